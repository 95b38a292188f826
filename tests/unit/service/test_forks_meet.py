"""Each way in which a head of another history can reach a gateway: every one ends in evidence.

A whole mesh over stand-in links, with real logs; sz-1 is forked, hk-1 follows it, mo-1 is a peer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from test_forks import Gateway, forged, source

from chopmark.core.evidence import check_evidence, encode_bulletin, parse_evidence
from chopmark.core.merkle import inclusion_proof
from chopmark.core.proof import Extra, Proof
from chopmark.mesh import topics
from chopmark.mesh.broker import Message
from chopmark.mesh.mesh import Mesh
from chopmark.mesh.unverified import next_bundle
from ledgers import LOG, NOW, ORIGIN, Source
from meshes import BROKER, FakeLink, FakeLog, fake, request_of, serving
from rig.patience import PATIENCE
from softkeys import cosigner

MO = "bank-mo.example/mo-1"
HELD = 100
TIME = NOW // 1000


class Meeting:
    """hk-1, which holds 100 entries of sz-1, and its mesh."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.other = source(7)
        logs = [gateway.replica, FakeLog(MO, "mo-1")]
        handlers = {"evidence": gateway.forks.take}
        self.mesh = Mesh("hk-1", [BROKER], gateway.log, logs, self.beat, handlers=handlers)
        gateway.forks.tell = lambda data: self.mesh.tell(topics.evidence("hk-1"), data)
        self.link = fake(self.mesh.links)

    async def beat(self) -> bytes:
        return b"heartbeat"

    async def answer(self) -> None:
        """Be sz-1, and answer each question with the other history."""
        while True:
            sent = await self.link.next("request")
            start = request_of(sent).start
            payload = self.other.package(start, min(next_bundle(start), 300))
            message = Message(
                topics.reply("hk-1", sent.parts.owner),
                payload,
                sent.correlation,
                retain=False,
                mid=1,
                release=lambda: None,
            )
            self.mesh._asker.take_reply(message)


@pytest.fixture
async def meeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Meeting]:
    monkeypatch.setattr("chopmark.mesh.links.Link", FakeLink)
    monkeypatch.setattr("chopmark.mesh.catchup.SETTLE", 0.01)
    async with AsyncExitStack() as stack:
        gateway = await Gateway(tmp_path, stack).open()
        await gateway.replica.ingest(source().packages(size=HELD))
        yield Meeting(gateway)


def witnessed(of: Source, size: int) -> bytes:
    """A witness's note: its own cosignature does not even have to be known."""
    mo = cosigner(f"{MO}/cosigner", 5)
    head = of.head(size)
    return of.note(size) + mo.sign(head.encode(), TIME).encode().encode()


def proof(of: Source, size: int) -> Proof:
    path = inclusion_proof(7, size, of.nodes)
    return Proof(7, path, of.note(size), Extra(of.entries[7]).encode())


async def by_live_package(meeting: Meeting) -> None:
    await meeting.link.deliver(topics.entries("sz-1"), meeting.other.package(HELD, 120, 120))


async def by_checkpoint(meeting: Meeting) -> None:
    await meeting.link.deliver(topics.checkpoint("sz-1"), meeting.other.note(50))


async def by_heartbeat(meeting: Meeting) -> None:
    topic = topics.cosignature("sz-1", "sz-1")
    await meeting.link.deliver(topic, meeting.other.note(60, TIME))


async def by_catch_up(meeting: Meeting) -> None:
    """The head alone says nothing; what is sent for it does."""
    await meeting.link.deliver(topics.checkpoint("sz-1"), meeting.other.note(200))


async def by_another_witness(meeting: Meeting) -> None:
    topic = topics.cosignature("sz-1", "mo-1")
    await meeting.link.deliver(topic, witnessed(meeting.other, 70))


async def by_presented_proof(meeting: Meeting) -> None:
    await meeting.gateway.replica.observe_proof(proof(meeting.other, 80))


async def by_presented_proof_of_a_head_ahead(meeting: Meeting) -> None:
    await meeting.gateway.replica.observe_proof(proof(meeting.other, 250))


async def by_published_evidence(meeting: Meeting) -> None:
    await meeting.link.deliver(topics.evidence("mo-1"), encode_bulletin([forged(90)]))


async def by_a_report(meeting: Meeting) -> None:
    notes = source().note(40), meeting.other.note(40)
    await meeting.gateway.forks.report(ORIGIN, *notes)


WAYS = [
    by_live_package,
    by_checkpoint,
    by_heartbeat,
    by_catch_up,
    by_another_witness,
    by_presented_proof,
    by_presented_proof_of_a_head_ahead,
    by_published_evidence,
    by_a_report,
]


@pytest.mark.parametrize("way", WAYS)
async def test_fork_is_caught_proven_and_published(
    meeting: Meeting, way: Callable[[Meeting], Awaitable[None]]
) -> None:
    gateway = meeting.gateway
    async with serving(meeting.mesh.run()), serving(meeting.answer()):
        await way(meeting)
        async with asyncio.timeout(PATIENCE):
            while not gateway.stored:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)
    assert gateway.replica.conflict
    [shown] = gateway.forks.describe()
    assert check_evidence(parse_evidence(shown["evidence"].encode()), LOG.vkey).origin == ORIGIN
    assert gateway.replica.size == HELD, "nothing of the other history was taken in"


@pytest.mark.parametrize("way", [way for way in WAYS if way is not by_published_evidence])
async def test_same_history_in_the_same_way_convicts_nobody(
    meeting: Meeting, way: Callable[[Meeting], Awaitable[None]]
) -> None:
    meeting.other = source()
    gateway = meeting.gateway
    async with serving(meeting.mesh.run()), serving(meeting.answer()):
        await way(meeting)
        await meeting.link.deliver(topics.entries("sz-1"), source().package(HELD, 256, 300))
        await meeting.link.deliver(topics.entries("sz-1"), source().package(256, 300, 300))
        async with asyncio.timeout(PATIENCE):
            while gateway.replica.signed_size < 300:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)
    assert (gateway.stored, gateway.replica.conflict) == (0, None)


async def test_our_own_cosignature_that_comes_back_is_nobodys(meeting: Meeting) -> None:
    note = witnessed(source(), 50)
    async with serving(meeting.mesh.run()):
        message = await meeting.link.deliver(topics.cosignature("sz-1", "hk-1"), note)
    assert message.acknowledged
    assert meeting.mesh.strangers == 0

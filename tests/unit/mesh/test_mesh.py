import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from chopmark.core.errors import InternalError, RefusedError, TryAgainError
from chopmark.mesh import mesh as module
from chopmark.mesh import topics
from chopmark.mesh.broker import DEFAULT_LIMITS, Message
from chopmark.mesh.mesh import MAX_QUEUE, MAX_SIZES, Mesh
from chopmark.mesh.messages import Request, Status, parse_status
from meshes import BROKER, FakeLink, FakeLog

OWN, SZ, MO = "bank-hk.example/hk-1", "bank-sz.example/sz-1", "bank-mo.example/mo-1"


class Net:
    """A mesh over a stand-in link, with two peers."""

    def __init__(self) -> None:
        self.own = FakeLog(OWN, "hk-1", size=30)
        self.sz = FakeLog(SZ, "sz-1")
        self.mo = FakeLog(MO, "mo-1")
        logs = [self.sz, self.mo]
        self.mesh = Mesh("hk-1", BROKER, self.own, logs, self.heartbeat, FakeLink)
        link = self.mesh.link
        assert isinstance(link, FakeLink)
        self.link = link

    async def heartbeat(self) -> bytes:
        return b"heartbeat"


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    monkeypatch.setattr(module, "RETRY", 0.001)
    return Net()


@asynccontextmanager
async def running(net: Net) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(net.mesh.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await task


def live(origin: str, start: int, end: int) -> bytes:
    return b"%s %d %d" % (origin.encode(), start, end)


async def acknowledged(message: Message) -> None:
    async with asyncio.timeout(30):
        while not message.acknowledged:  # noqa: ASYNC110 - a message tells nobody but the link
            await asyncio.sleep(0.001)


async def test_packages_are_stored_and_then_acknowledged(net: Net) -> None:
    net.sz.gate.clear()
    async with running(net):
        message = await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await asyncio.sleep(0.01)
        assert not message.acknowledged
        net.sz.gate.set()
        await net.sz.until(lambda: net.sz.size == 10)
        await acknowledged(message)


async def test_packages_that_wait_are_stored_together(net: Net) -> None:
    net.sz.gate.clear()
    async with running(net):
        for start in range(0, 1000, 10):
            await net.link.deliver(topics.entries("sz-1"), live(SZ, start, start + 10))
        net.sz.gate.set()
        await net.sz.until(lambda: net.sz.size == 1000)
    assert len(net.sz.ingested) <= 4
    assert max(map(len, net.sz.ingested)) <= module.MAX_GROUP


async def test_disk_that_refuses_is_tried_until_it_takes_them(net: Net) -> None:
    net.sz.failures = [TryAgainError("not-recorded", "the disk is full") for _ in range(5)]
    async with running(net):
        message = await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await net.sz.until(lambda: len(net.sz.failures) < 3)
        assert not message.acknowledged
        await net.sz.until(lambda: net.sz.size == 10)
    assert net.sz.dropped == []


@pytest.mark.parametrize("kind", ["checkpoint", "cosignature"])
async def test_notes_too_are_tried_until_the_disk_takes_them(net: Net, kind: str) -> None:
    topic = {
        "checkpoint": topics.checkpoint("sz-1"),
        "cosignature": topics.cosignature("sz-1", "sz-1"),
    }
    net.sz.failures = [TryAgainError("not-recorded", "the disk is full") for _ in range(3)]
    async with running(net):
        await net.link.deliver(topic[kind], b"note")
        await net.sz.until(lambda: net.sz.observed)
    assert net.sz.dropped == []


async def test_peer_with_a_slow_disk_holds_up_no_other(net: Net) -> None:
    net.sz.gate.clear()
    async with running(net):
        await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await net.link.deliver(topics.entries("mo-1"), live(MO, 0, 10))
        await net.mo.until(lambda: net.mo.size == 10)
        assert net.sz.size == 0


async def test_bad_note_is_dropped_and_acknowledged(net: Net) -> None:
    net.sz.failures = [RefusedError("bad-signature", "not good")]
    async with running(net):
        message = await net.link.deliver(topics.checkpoint("sz-1"), b"junk")
        await net.sz.until(lambda: net.sz.dropped)
        await net.link.deliver(topics.checkpoint("sz-1"), b"good")
        await net.sz.until(lambda: net.sz.observed)
        await acknowledged(message)


async def test_our_own_fault_while_taking_a_note_ends_the_mesh(net: Net) -> None:
    net.sz.failures = [InternalError("commit-unknown", "a commit failed")]
    async with running(net) as task:
        await net.link.deliver(topics.cosignature("sz-1", "sz-1"), b"note")
        await asyncio.wait({task}, timeout=30)
        with pytest.raises(ExceptionGroup) as caught:
            task.result()
    assert caught.group_contains(InternalError)
    assert net.sz.dropped == []


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "chopmark/v1/xx-9/entries",
        "chopmark/v1/hk-1/entries",
        "chopmark/v1/hk-1/request/xx-9",
        "chopmark/v1/hk-1/reply/xx-9",
        "chopmark/v1/sz-1/junk",
        "chopmark/v1/sz-1/status",
        "chopmark/v1/sz-1/cosignature/mo-1",
        "someone/elses",
    ],
)
async def test_nothing_that_a_broker_hands_over_ends_the_mesh(net: Net, topic: str) -> None:
    async with running(net) as task:
        message = await net.link.deliver(topic, b"\xa0 junk", b"c" * 300)
        await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await net.sz.until(lambda: net.sz.size == 10)
        await acknowledged(message)
        assert not task.done()


async def test_queue_of_a_flapping_link_is_bounded(net: Net) -> None:
    net.sz.gate.clear()
    async with running(net):
        for _ in range(10):
            for start in range(0, 1000, 10):
                await net.link.deliver(topics.entries("sz-1"), live(SZ, start, start + 10))
            net.link.cut()
            await net.link.reconnect()
        assert net.mesh.peers["sz-1"].queue.qsize() <= MAX_QUEUE
        assert net.mesh.peers["sz-1"].overflows
        net.sz.gate.set()
        await net.sz.until(lambda: net.sz.size == 1000)


def test_queue_is_never_full_of_one_connection() -> None:
    assert DEFAULT_LIMITS.unacknowledged < MAX_QUEUE


async def test_request_of_a_peer_is_answered(net: Net) -> None:
    async with running(net):
        message = await net.link.deliver(
            topics.request("hk-1", "sz-1"), Request(OWN, 0, 1).encode(), b"c"
        )
        sent = await net.link.next("reply")
    assert message.acknowledged
    assert (sent.topic, sent.payload) == ("chopmark/v1/sz-1/reply/hk-1", live(OWN, 0, 10))


async def test_gap_is_filled_by_asking(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.mesh.catchup.SETTLE", 0.001)
    async with running(net):
        await net.link.deliver(topics.checkpoint("sz-1"), b"head 10")
        sent = await net.link.next("request")
        assert sent.topic == "chopmark/v1/sz-1/request/hk-1"
        await net.link.deliver(topics.reply("hk-1", "sz-1"), live(SZ, 0, 10), sent.correlation)
        await net.sz.until(lambda: net.sz.size == 10)


async def test_status_is_a_hint_about_whom_to_ask(net: Net) -> None:
    async with running(net):
        assert net.mesh._helpers("sz-1") == ["sz-1", "mo-1"]
        status = Status(online=False, sizes={SZ: 7}).encode()
        await net.link.deliver(topics.status("sz-1"), status)
        await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await net.sz.until(lambda: net.sz.size == 10)
        assert net.mesh.peers["sz-1"].online is False
        assert net.mesh.peers["sz-1"].sizes == {SZ: 7}
        assert net.mesh._helpers("sz-1") == ["mo-1", "sz-1"]


async def test_reconnect_looks_for_what_was_missed_and_says_where_we_are(net: Net) -> None:
    async with running(net):
        await net.link.reconnect()
        assert parse_status((await net.link.next("status")).payload).sizes == {
            OWN: 30,
            SZ: 0,
            MO: 0,
        }
        asked = {(await net.link.next("request")).parts.owner for _ in range(2)}
        assert asked == {"sz-1", "mo-1"}


def test_will_says_that_we_are_gone(net: Net) -> None:
    assert net.link.will is not None
    assert net.link.will.topic == "chopmark/v1/hk-1/status"
    assert parse_status(net.link.will.payload) == Status(online=False, sizes={})
    assert set(net.link.filters) == set(topics.subscriptions("hk-1", ["sz-1", "mo-1"]))


def test_status_has_room_for_some_logs_only() -> None:
    logs = {f"bank.example/{number}": FakeLog(SZ, size=number) for number in range(300)}
    sizes = module._sizes(logs)
    assert len(sizes) == MAX_SIZES

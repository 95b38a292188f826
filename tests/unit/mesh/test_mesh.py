import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from chopmark.core.cbor import encode_cbor
from chopmark.core.errors import InternalError, RefusedError, TryAgainError
from chopmark.mesh import topics
from chopmark.mesh.broker import Broker, Message
from chopmark.mesh.intake import MAX_UNVERIFIED
from chopmark.mesh.mesh import MAX_ALL_UNVERIFIED, MAX_SIZES, Mesh
from chopmark.mesh.messages import Request, Status, parse_status
from chopmark.mesh.pace import MAX_LAG
from chopmark.mesh.unverified import MAX_GROUP
from meshes import BROKER, FakeLink, FakeLog, fake, live, request_of, serving
from meshes import running as answering
from rig.patience import PATIENCE

OWN, SZ, MO = "bank-hk.example/hk-1", "bank-sz.example/sz-1", "bank-mo.example/mo-1"

OTHER = Broker("other.example", 1883)


class Net:
    """A mesh over a stand-in link, with two peers."""

    def __init__(self) -> None:
        self.own = FakeLog(OWN, "hk-1", size=30)
        self.sz = FakeLog(SZ, "sz-1")
        self.mo = FakeLog(MO, "mo-1")
        self.mesh = Mesh("hk-1", [BROKER, OTHER], self.own, [self.sz, self.mo], self.heartbeat)
        self.link, self.second = (fake(self.mesh.links, number) for number in (0, 1))

    async def heartbeat(self) -> bytes:
        return b"heartbeat"

    def holders(self) -> list[str]:
        """Who is asked for sz-1's log, in order."""
        return [holder.name for holder in self.mesh._holders(self.sz)]

    async def tell(self, peer: str, link: FakeLink, *, online: bool = True, **sizes: int) -> None:
        """A status of a peer comes over one link; sizes by member."""
        origins = {"hk": OWN, "sz": SZ, "mo": MO}
        status = Status(online=online, sizes={origins[name]: size for name, size in sizes.items()})
        await link.deliver(topics.status(peer), status.encode())


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    monkeypatch.setattr("chopmark.mesh.links.Link", FakeLink)
    monkeypatch.setattr("chopmark.mesh.intake.RETRY", 0.001)
    return Net()


def running(net: Net) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    return serving(net.mesh.run())


async def acknowledged(message: Message) -> None:
    async with asyncio.timeout(PATIENCE):
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
    assert max(map(len, net.sz.ingested)) <= MAX_GROUP


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


async def test_cosignature_of_ours_that_a_broker_kept_is_handed_on(net: Net) -> None:
    found: list[tuple[str, bytes]] = []
    net.mesh.on_returned = lambda owner, note: found.append((owner, note))
    topic = topics.cosignature("sz-1", "hk-1")
    async with running(net):
        await net.link.deliver(topic, b"as it was kept", retain=True)
        message = await net.link.deliver(topic, b"as it was published")
        await acknowledged(message)
    assert found == [("sz-1", b"as it was kept")]
    assert net.mesh.strangers == 0


async def test_our_own_fault_while_taking_a_note_ends_the_mesh(net: Net) -> None:
    net.sz.failures = [InternalError("commit-unknown", "a commit failed")]
    async with running(net) as task:
        await net.link.deliver(topics.cosignature("sz-1", "sz-1"), b"note")
        await asyncio.wait({task}, timeout=PATIENCE)
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
        "chopmark/v1/sz-1/cosignature/xx-9",
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


async def test_request_of_a_peer_is_answered(net: Net) -> None:
    async with running(net):
        message = await net.link.deliver(
            topics.request("hk-1", "sz-1"), Request(OWN, 0, 1).encode(), b"c"
        )
        sent = await net.link.next("reply")
    assert message.acknowledged
    assert (sent.topic, sent.payload) == ("chopmark/v1/sz-1/reply/hk-1", live(OWN, 0, 10, 30))


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
        assert net.holders() == ["sz-1", "mo-1"]
        status = Status(online=False, sizes={SZ: 7}).encode()
        await net.link.deliver(topics.status("sz-1"), status)
        await net.link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
        await net.sz.until(lambda: net.sz.size == 10)
        assert net.mesh.online(net.mesh.peers["sz-1"]) is False
        assert net.mesh.peers["sz-1"].sizes == {}, "of a peer that is gone"
        assert net.holders() == ["mo-1", "sz-1"]


async def test_peer_of_another_version_is_not_asked_and_is_no_measure_until_it_is_updated(
    net: Net,
) -> None:
    async with running(net):
        await net.tell("sz-1", net.link, hk=30)
        assert dict(net.mesh.lags()) == {"sz-1": 0}
        strange = encode_cbor({0: True, 1: 9, 2: "sizes otherwise", 3: 8})
        await net.link.deliver(topics.status("sz-1"), strange)
        assert net.holders() == ["mo-1"]
        assert (dict(net.mesh.lags()), net.sz.dropped) == ({}, [])
        assert net.mesh.online(net.mesh.peers["sz-1"]) is True
        await net.tell("sz-1", net.link, hk=30)
        assert net.holders() == ["sz-1", "mo-1"]


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
    for link in (net.link, net.second):
        assert link.will is not None
        assert link.will.topic == "chopmark/v1/hk-1/status"
        assert parse_status(link.will.payload) == Status(online=False, sizes={})
        assert set(link.filters) == set(topics.subscriptions("hk-1", ["sz-1", "mo-1"]))


async def test_status_has_room_for_some_logs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.mesh.links.Link", FakeLink)
    many = [FakeLog(f"bank.example/{number}", f"m-{number}") for number in range(300)]
    mesh = Mesh("hk-1", [BROKER], FakeLog(OWN), many, Net.heartbeat)  # type: ignore[arg-type]
    assert len(mesh._sizes()) == MAX_SIZES
    limits = [peer.intake.unverified.limit for peer in mesh.peers.values()]
    assert sum(limits) <= MAX_ALL_UNVERIFIED
    assert max(limits) <= MAX_UNVERIFIED


# Several brokers


async def test_second_copy_from_another_broker_costs_a_look_only(net: Net) -> None:
    async with running(net):
        for link in (net.link, net.second):
            message = await link.deliver(topics.entries("sz-1"), live(SZ, 0, 10))
            await link.deliver(topics.checkpoint("sz-1"), b"head 10")
        assert message.acknowledged
        await net.sz.until(lambda: net.sz.size == 10 and net.sz.observed)
    assert net.sz.ingested == [[live(SZ, 0, 10)]]
    assert net.sz.observed == [("announced", b"head 10")]
    assert net.mesh.peers["sz-1"].intake.duplicates == 2


async def test_stream_goes_on_when_one_broker_ends_in_the_middle_of_it(net: Net) -> None:
    async with running(net):
        for start in range(0, 500, 10):
            if start < 200:
                await net.link.deliver(topics.entries("sz-1"), live(SZ, start, start + 10))
            if start == 200:
                net.link.cut()
            await net.second.deliver(topics.entries("sz-1"), live(SZ, start, start + 10))
        await net.sz.until(lambda: net.sz.size == 500)
    assert net.mesh.peers["sz-1"].intake.duplicates == 20


async def test_request_that_comes_over_both_brokers_is_answered_once_over_the_first(
    net: Net,
) -> None:
    request = Request(OWN, 0, 1).encode()
    async with running(net):
        for link in (net.second, net.link):
            await link.deliver(topics.request("hk-1", "sz-1"), request, b"c")
        await net.second.next("reply")
        await net.link.deliver(topics.request("hk-1", "sz-1"), request, b"d")
        assert (await net.link.next("reply")).correlation == b"d"
    assert net.mesh.server.repeated == 1


async def test_peer_is_online_if_it_is_at_any_broker_that_we_reach(net: Net) -> None:
    peer = net.mesh.peers["sz-1"]
    async with running(net):
        assert net.mesh.online(peer) is None
        await net.tell("sz-1", net.link, online=False)
        assert net.mesh.online(peer) is False
        await net.tell("sz-1", net.second)
        assert net.mesh.online(peer) is True
        net.second.cut()
        assert net.mesh.online(peer) is False
        net.link.cut()
        assert net.mesh.online(peer) is None


async def test_peer_that_says_that_it_holds_more_than_we_do_is_asked_too(net: Net) -> None:
    async with running(net):
        await net.tell("mo-1", net.link, sz=1)
        assert [holder.sure for holder in net.mesh._holders(net.sz)] == [True, True]
        net.sz.size = 1
        assert [holder.sure for holder in net.mesh._holders(net.sz)] == [True, False]


# A stream that outruns us


async def test_live_stream_that_outruns_the_disk_is_dropped_at_a_bound_and_caught_up_with(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.catchup.SETTLE", 0.001)
    net.sz.per_package = 256
    unverified = net.mesh.peers["sz-1"].intake.unverified
    unverified.limit = 20_000
    net.sz.gate.clear()
    end = 256 * 100
    async with running(net):
        for start in range(0, end, 256):
            await net.link.deliver(topics.entries("sz-1"), live(SZ, start, start + 256))
            assert unverified.bytes <= unverified.limit
        assert unverified.dropped
        assert net.link.held < 100, "what was dropped was acknowledged"
        await net.link.deliver(topics.checkpoint("sz-1"), b"head %d" % end)
        net.sz.gate.set()
        async with answering(answer_all(net, FakeLog(SZ, size=end, per_package=256))):
            await net.sz.until(lambda: net.sz.size == end)


async def answer_all(net: Net, origin: FakeLog) -> None:
    """Answer every question as sz-1 would."""
    while True:
        sent = await net.link.next("request", 600)
        payload, _ = await origin.package(request_of(sent).start)
        await net.link.deliver(topics.reply("hk-1", "sz-1"), payload, sent.correlation)


# Pace


async def has_room(net: Net) -> bool:
    """Whether our log may grow now."""
    task = asyncio.create_task(net.mesh.room())
    await asyncio.sleep(0.01)
    done = task.done()
    task.cancel()
    return done


async def test_our_log_waits_for_a_connected_peer_and_goes_on_with_its_status(net: Net) -> None:
    async with running(net):
        await net.tell("sz-1", net.link, hk=30)
        assert await has_room(net)
        net.own.size += MAX_LAG + 1
        waiting = asyncio.create_task(net.mesh.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert net.mesh.slowed
        assert net.mesh.lags() == {"sz-1": MAX_LAG + 1}
        await net.tell("sz-1", net.second, hk=31)
        async with asyncio.timeout(PATIENCE):
            await waiting
        assert not net.mesh.slowed


async def test_peers_that_are_away_new_or_frozen_hold_nobody_up(net: Net) -> None:
    net.own.size = MAX_LAG + 1
    async with running(net):
        assert await has_room(net)
        await net.tell("sz-1", net.link, hk=0)
        assert await has_room(net), "a new replica"
        await net.tell("sz-1", net.link, hk=net.own.size)
        net.own.size += MAX_LAG + 1
        assert not await has_room(net)
        await net.tell("sz-1", net.link, online=False)
        assert await has_room(net), "offline"
        await net.tell("sz-1", net.link, hk=net.own.size)
        net.own.size += MAX_LAG + 1
        assert not await has_room(net)
        net.sz.conflict = "two histories"
        await net.tell("sz-1", net.link, hk=MAX_LAG)
        assert await has_room(net), "frozen"

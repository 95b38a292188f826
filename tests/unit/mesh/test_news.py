import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from chopmark.core.errors import TryAgainError
from chopmark.mesh import news as module
from chopmark.mesh.messages import Status, parse_status
from chopmark.mesh.news import STATUS_STEP, News
from meshes import FakeLink, FakeLog, serving, until

OWN, SZ = "bank-hk.example/hk-1", "bank-sz.example/sz-1"


class Desk:
    """News about a log that the test lets grow, for two brokers."""

    def __init__(self, size: int = 0) -> None:
        self.link, self.other = FakeLink(), FakeLink()
        self.log = FakeLog(OWN, size=size)
        self.replica = FakeLog(SZ)
        self.beats: list[Exception | bytes] = []
        self.news = News(
            "hk-1",
            [self.link, self.other],  # type: ignore[list-item]
            self.log,
            self.heartbeat,
            lambda: {OWN: self.log.size, SZ: self.replica.size},
        )

    async def heartbeat(self) -> bytes:
        beat = self.beats.pop(0) if self.beats else b"heartbeat"
        if isinstance(beat, Exception):
            raise beat
        return beat

    def grow(self, count: int) -> None:
        self.log.size += count
        self.news.head_moved()

    def replicate(self, count: int) -> None:
        self.replica.size += count
        self.news.sizes_changed()

    async def sizes(self) -> dict[str, int]:
        return parse_status((await self.link.next("status")).payload).sizes


def running(desk: Desk) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    return serving(desk.news.run())


async def test_newest_head_is_published_and_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_PAUSE", 0.01)
    desk = Desk()
    async with running(desk):
        desk.news.head_moved()
        await asyncio.sleep(0.02)
        for _ in range(30):
            desk.grow(1)
        sent = await desk.link.next("checkpoint")
        assert (sent.payload, sent.retain) == (b"head 30", True)
        desk.grow(1)
        assert (await desk.link.next("checkpoint")).payload == b"head 31"


async def test_reconnect_says_where_we_are() -> None:
    desk = Desk(size=7)
    async with running(desk):
        desk.news.connected()
        sent = {one.parts.kind: one for one in [await desk.link.next() for _ in range(3)]}
        assert parse_status(sent["status"].payload).sizes == {OWN: 7, SZ: 0}
        assert sent["status"].retain
        beat = sent["cosignature"]
        assert (beat.topic, beat.payload) == ("chopmark/v1/hk-1/cosignature/hk-1", b"heartbeat")
        assert beat.retain
        assert sent["checkpoint"].payload == b"head 7"


async def test_new_head_is_vouched_for_twice_since_times_are_whole_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first may bear a time from before the entries were made."""
    monkeypatch.setattr(module, "HEARTBEAT_PAUSE", 0.001)
    desk = Desk()
    desk.beats = [b"first", b"second"]
    async with running(desk):
        desk.grow(5)
        for beat in (b"first", b"second"):
            assert (await desk.link.next("cosignature")).payload == beat


async def test_heartbeats_go_on_while_the_hsm_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.001)
    monkeypatch.setattr(module, "HEARTBEAT_PAUSE", 0.001)
    desk = Desk()
    desk.beats = [TryAgainError("hsm-away", "the HSM is away")] * 2
    async with running(desk):
        assert (await desk.link.next("cosignature")).payload == b"heartbeat"


async def test_heartbeats_go_on_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.001)
    monkeypatch.setattr(module, "HEARTBEAT_PAUSE", 0.001)
    desk = Desk()
    desk.link.cut()
    async with running(desk):
        await until(desk.link.publishing.is_set)
        desk.link.connected = True
        assert (await desk.link.next("cosignature")).payload == b"heartbeat"


async def test_every_broker_is_told() -> None:
    desk = Desk(size=7)
    async with running(desk):
        desk.news.connected()
        for link in (desk.link, desk.other):
            kinds = {(await link.next()).parts.kind for _ in range(3)}
            assert kinds == {"checkpoint", "cosignature", "status"}


async def test_broker_that_is_slow_gets_the_newest_only_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEAD_PAUSE", 0.0)
    desk = Desk()
    desk.other.gate.clear()
    async with running(desk):
        for size in range(1, 20):
            desk.grow(1)
            assert (await desk.link.next("checkpoint")).payload == b"head %d" % size
        desk.other.gate.set()
        heads = [await desk.other.next("checkpoint") for _ in range(2)]
    assert heads[-1].payload == b"head 19"


async def test_growth_that_matters_is_told_at_once_and_the_rest_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STATUS_IDLE", 600.0)
    monkeypatch.setattr(module, "STATUS_PAUSE", 0.0)
    desk = Desk()
    async with running(desk):
        desk.replicate(STATUS_STEP - 1)
        await asyncio.sleep(0.01)
        assert desk.link.sent.empty()
        desk.replicate(1)
        assert await desk.sizes() == {OWN: 0, SZ: STATUS_STEP}
    monkeypatch.setattr(module, "STATUS_IDLE", 0.01)
    async with running(desk):
        desk.replicate(1)
        assert await desk.sizes() == {OWN: 0, SZ: STATUS_STEP + 1}


async def test_status_is_repeated_when_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATUS_IDLE", 0.001)
    monkeypatch.setattr(module, "STATUS", 0.003)
    monkeypatch.setattr(module, "STATUS_PAUSE", 0.0)
    desk = Desk()
    async with running(desk):
        for _ in range(3):
            status = parse_status((await desk.link.next("status")).payload)
            assert status == Status(online=True, sizes={OWN: 0, SZ: 0})

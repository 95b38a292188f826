import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from chopmark.core.errors import InternalError, TryAgainError
from chopmark.mesh import live
from chopmark.mesh.live import WINDOW, Publisher
from chopmark.mesh.messages import parse_status
from meshes import FakeLink, FakeLog

OWN = "bank-hk.example/hk-1"


class Press:
    """A publisher over a log that the test lets grow."""

    def __init__(self, size: int = 0) -> None:
        self.link = FakeLink()
        self.log = FakeLog(OWN, size=size)
        self.beats: list[Exception | bytes] = []
        self.publisher = Publisher(
            "hk-1",
            self.link,  # type: ignore[arg-type]
            self.log,
            self.heartbeat,
            lambda: {OWN: self.log.size},
        )

    async def heartbeat(self) -> bytes:
        beat = self.beats.pop(0) if self.beats else b"heartbeat"
        if isinstance(beat, Exception):
            raise beat
        return beat

    def grow(self, count: int) -> None:
        self.log.size += count
        self.publisher.head_moved()

    async def ranges(self, until: int) -> list[tuple[int, int]]:
        """What entries are published until one package ends there."""
        found: list[tuple[int, int]] = []
        while not found or max(end for _, end in found) < until:
            _, start, end = (await self.link.next("entries")).payload.split()
            found.append((int(start), int(end)))
        return sorted(found)


@asynccontextmanager
async def running(press: Press) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(press.publisher.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await task


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_new_entries_are_published_as_they_are_signed() -> None:
    press = Press(size=5)
    async with running(press):
        press.grow(20)
        assert await press.ranges(25) == [(5, 10), (10, 20), (20, 25)]
        press.grow(1)
        assert await press.ranges(26) == [(25, 26)]


async def test_entries_signed_before_the_start_are_left_to_catch_up() -> None:
    press = Press(size=500)
    async with running(press):
        press.publisher.head_moved()
        press.grow(1)
        assert await press.ranges(501) == [(500, 501)]


async def test_packages_on_their_way_are_bounded() -> None:
    press = Press()
    press.link.gate.clear()
    async with running(press):
        press.grow(10 * (WINDOW + 20))
        await press.link.publishing.wait()
        await until(lambda: press.publisher._published == 10 * (WINDOW + 1))
        await asyncio.sleep(0.01)
        assert press.publisher._published == 10 * (WINDOW + 1)
        press.link.gate.set()
        found = await press.ranges(10 * (WINDOW + 20))
    assert found[0] == (0, 10)


async def test_what_a_lost_link_swallowed_is_not_sent_again() -> None:
    press = Press()
    async with running(press):
        press.grow(10)
        await press.ranges(10)
        press.link.cut()
        press.grow(30)
        await until(lambda: press.publisher._published == 40)
        press.link.connected = True
        press.publisher.connected()
        press.grow(10)
        assert await press.ranges(50) == [(40, 50)]


async def test_link_lost_in_the_middle_of_publishing_goes_on_with_what_is_new() -> None:
    press = Press()
    press.link.gate.clear()
    async with running(press) as task:
        press.grow(1000)
        await press.link.publishing.wait()
        press.link.cut()
        press.link.gate.set()
        await until(lambda: press.publisher._published == 1000)
        press.link.connected = True
        press.publisher.connected()
        press.grow(5)
        assert await press.ranges(1005) == [(1000, 1005)]
        assert not task.done()


async def test_ledger_that_cannot_be_read_does_not_end_the_publisher() -> None:
    press = Press()
    press.log.failures = [InternalError("damaged-ledger", "a tile is missing")]
    async with running(press) as task:
        press.grow(10)
        await until(lambda: press.publisher._published == 10)
        press.grow(10)
        assert await press.ranges(20) == [(10, 20)]
        assert not task.done()


async def test_newest_head_is_published_and_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEAD_PAUSE", 0.01)
    press = Press()
    async with running(press):
        press.publisher.head_moved()
        await asyncio.sleep(0.02)
        for _ in range(30):
            press.grow(1)
        sent = await press.link.next("checkpoint")
        assert (sent.payload, sent.retain) == (b"head 30", True)
        press.grow(1)
        assert (await press.link.next("checkpoint")).payload == b"head 31"


async def test_reconnect_says_where_we_are() -> None:
    press = Press(size=7)
    async with running(press):
        press.publisher.connected()
        status = await press.link.next("status")
        assert parse_status(status.payload).sizes == {OWN: 7}
        assert status.retain
        beat = await press.link.next("cosignature")
        assert (beat.topic, beat.payload) == ("chopmark/v1/hk-1/cosignature/hk-1", b"heartbeat")
        assert beat.retain
        press.publisher.connected()
        assert (await press.link.next("checkpoint")).payload == b"head 7"


async def test_heartbeats_go_on_while_the_hsm_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.001)
    press = Press()
    press.beats = [TryAgainError("hsm-away", "the HSM is away")] * 2
    async with running(press):
        assert (await press.link.next("cosignature")).payload == b"heartbeat"


async def test_heartbeats_go_on_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.001)
    press = Press()
    press.link.cut()
    async with running(press):
        await until(press.link.publishing.is_set)
        press.link.connected = True
        assert (await press.link.next("cosignature")).payload == b"heartbeat"


@pytest.mark.parametrize("steps", range(8))
async def test_stop_that_meets_a_lost_connection_is_a_stop(steps: int) -> None:
    press = Press()
    press.link.gate.clear()
    async with running(press) as task:
        press.grow(20)
        await press.link.publishing.wait()
        press.link.connected = False
        press.link.gate.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=30)
    assert done

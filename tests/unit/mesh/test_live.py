import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from chopmark.core.errors import InternalError
from chopmark.mesh.live import MAX_BEHIND, MAX_KEPT, WINDOW, Printer, Publisher
from meshes import FakeLink, FakeLog, range_of, serving, until
from rig.patience import PATIENCE

OWN = "bank-hk.example/hk-1"


class Press:
    """A publisher over a log that the test lets grow."""

    def __init__(self, size: int = 0) -> None:
        self.link = FakeLink()
        self.log = FakeLog(OWN, size=size)
        self.publisher = make_publisher(self.link, Printer(self.log, keep=False))

    def grow(self, count: int) -> None:
        self.log.size += count
        self.publisher.head_moved()

    async def ranges(self, until: int) -> list[tuple[int, int]]:
        """What entries are published until one package ends there."""
        found: list[tuple[int, int]] = []
        while not found or max(end for _, end in found) < until:
            found.append(range_of((await self.link.next("entries")).payload)[1:])
        return sorted(found)


def make_publisher(
    link: FakeLink, printer: Printer, is_heard: Callable[[], bool] = lambda: True
) -> Publisher:
    return Publisher("hk-1", link, printer, is_heard)  # type: ignore[arg-type]


def running(press: Press) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    return serving(press.publisher.run())


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
        await until(lambda: press.publisher._published == 10 * WINDOW)
        await asyncio.sleep(0.01)
        assert press.publisher._published == 10 * WINDOW
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


async def test_publisher_that_falls_far_behind_goes_on_with_what_is_new() -> None:
    press = Press()
    press.link.gate.clear()
    async with running(press):
        press.grow(10 * WINDOW)
        await until(lambda: press.publisher._published == 10 * WINDOW)
        press.grow(MAX_BEHIND + 1)
        press.link.gate.set()
        begun = sorted([range_of((await press.link.next()).payload)[1:] for _ in range(WINDOW)])
        assert begun == [(start, start + 10) for start in range(0, 10 * WINDOW, 10)]
        await until(lambda: press.publisher.skipped)
        press.grow(3)
        size = press.log.size
        assert await press.ranges(size) == [(size - 3, size)]
    assert press.publisher.skipped == MAX_BEHIND + 1


async def test_publisher_that_is_a_little_behind_leaves_nothing_out() -> None:
    press = Press()
    press.link.gate.clear()
    async with running(press):
        press.grow(MAX_BEHIND // 2)
        await press.link.publishing.wait()
        press.link.gate.set()
        found = await press.ranges(MAX_BEHIND // 2)
    assert found == [(start, start + len_) for start, len_ in _tens(MAX_BEHIND // 2)]
    assert press.publisher.skipped == 0


def _tens(size: int) -> list[tuple[int, int]]:
    return [(start, min(10, size - start)) for start in range(0, size, 10)]


async def test_slow_broker_holds_up_no_other() -> None:
    log = FakeLog(OWN)
    slow, quick = FakeLink(), FakeLink()
    slow.gate.clear()
    printer = Printer(log, keep=True)
    publishers = [make_publisher(link, printer) for link in (slow, quick)]
    tasks = [asyncio.create_task(publisher.run()) for publisher in publishers]
    log.size = 10 * (WINDOW + 5)
    for publisher in publishers:
        publisher.head_moved()
    ends = [range_of((await quick.next("entries")).payload)[2] for _ in range(WINDOW + 5)]
    assert max(ends) == log.size
    assert slow.sent.empty()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_package_for_several_brokers_is_made_once_and_not_kept_for_ever() -> None:
    log = FakeLog(OWN, size=10 * (MAX_KEPT + 10))
    printer = Printer(log, keep=True)
    for start in range(0, log.size, 10):
        assert await printer.package(start) is await printer.package(start)
    assert len(printer._kept) == MAX_KEPT


async def test_nothing_is_published_while_nobody_hears_it() -> None:
    press, heard = Press(), asyncio.Event()
    press.publisher = make_publisher(press.link, Printer(press.log, keep=False), heard.is_set)
    async with running(press):
        press.grow(20)
        while press.publisher._due.is_set():  # noqa: ASYNC110 - nobody tells that it looked
            await asyncio.sleep(0)
        heard.set()
        press.grow(10)
        assert await press.ranges(30) == [(20, 30)]
    assert press.publisher.skipped == 0


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
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done

import asyncio
import time
from contextlib import suppress

import pytest

from chopmark.service.looplag import BOUNDS, LoopLag
from rig.patience import PATIENCE


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_worst_is_of_the_last_minute() -> None:
    clock = Clock()
    lag = LoopLag(clock)
    assert lag.worst() == 0
    for seconds, value in ((0, 0.3), (10, 0.1), (30, 0.2)):
        clock.now = 1000.0 + seconds
        lag.observe(value)
    assert lag.worst() == 0.3
    clock.now = 1061.0
    assert lag.worst() == 0.2
    clock.now = 1091.0
    assert lag.worst() == 0


def test_memory_is_bounded_by_the_window() -> None:
    clock = Clock()
    lag = LoopLag(clock)
    for number in range(100_000):
        clock.now += 0.05
        lag.observe(1 / (number + 1))
    assert len(lag._worst) <= 1201


def test_buckets_hold_each_lag_once_by_its_upper_bound() -> None:
    lag = LoopLag(Clock())
    for value in (0.0, 0.001, 0.0011, 0.05, 9.0):
        lag.observe(value)
    assert lag.buckets[0] == 2
    assert lag.buckets[1] == 1
    assert lag.buckets[BOUNDS.index(0.05)] == 1
    assert lag.buckets[-1] == 1
    assert lag.total == pytest.approx(9.0521)


def test_lag_above_a_second_is_one_warning_until_a_quiet_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    lag = LoopLag(clock)
    lag.observe(1.0)
    assert not caplog.records
    for seconds in (0, 30, 80, 130):
        clock.now = 2000.0 + seconds
        lag.observe(1.5)
    assert len(caplog.records) == 1
    clock.now = 2191.0
    lag.observe(2.5)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "2.5 s late" in caplog.text


async def test_blocked_loop_is_seen() -> None:
    lag = LoopLag()
    running = asyncio.create_task(lag.run())
    async with asyncio.timeout(PATIENCE):
        while not sum(lag.buckets):  # noqa: ASYNC110 -- the condition is not ours to signal
            await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251 -- that it blocks is the point
        while lag.worst() < 0.2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

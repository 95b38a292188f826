import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chopmark.service import storage as module
from chopmark.service.storage import DAY, ENTRY_COST, HOUR, Gate, Growth, Space, Storage, measure
from rig.patience import PATIENCE

TOTAL = 1_000_000_000


class Disk:
    """A disk and a clock that a test moves; counts how often it is looked at."""

    def __init__(self, part: float = 0.5) -> None:
        self.part = part
        self.now = 0.0
        self.entries = 0
        self.looks = 0
        self.error: OSError | None = None

    def look(self, _path: Path) -> Space:
        self.looks += 1
        if self.error is not None:
            raise self.error
        used = round(self.part * TOTAL)
        return Space(used, TOTAL - used)


@contextmanager
def storage(disk: Disk) -> Iterator[Storage]:
    path = Path("/var/lib/chopmark")
    made = Storage(path, 0.90, 0.97, lambda: disk.entries, disk.look, lambda: disk.now)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("parts", "reached"),
    [
        ([0.899], [False]),
        ([0.90], [True]),
        ([0.90, 0.891, 0.8899], [True, True, False]),
        ([0.90, 0.8899, 0.895], [True, False, False]),
    ],
)
def test_gate_opens_again_one_point_below_its_threshold(
    parts: list[float], reached: list[bool]
) -> None:
    gate = Gate("alarm", 0.90)
    seen = []
    for part in parts:
        gate.observe(part)
        seen.append(gate.reached)
    assert seen == reached


def test_gate_tells_of_changes_only() -> None:
    gate = Gate("alarm", 0.90)
    assert [gate.observe(part) for part in (0.5, 0.9, 0.95, 0.5, 0.5)] == [
        *(False, True, False, True, False)
    ]


def test_growth_is_unknown_without_ten_minutes_of_history() -> None:
    growth = Growth()
    assert growth.per_day() is None
    growth.observe(0, 100)
    assert growth.per_day() is None
    growth.observe(599, 200)
    assert growth.per_day() is None


def test_growth_of_a_shrinking_or_steady_disk_is_unknown() -> None:
    growth = Growth()
    for minute in range(20):
        growth.observe(minute * 60, 1000 - minute)
    assert growth.per_day() is None


def test_growth_takes_the_faster_of_hour_and_day() -> None:
    steady, burst = Growth(), Growth()
    for hour in range(21):
        steady.observe(hour * HOUR, hour * 1000)
        burst.observe(hour * HOUR, hour * 1000)
    for minute in range(1, 61):
        steady.observe(20 * HOUR + minute * 60, 20_000)
        burst.observe(20 * HOUR + minute * 60, 20_000 + minute * 1000)
    assert steady.per_day() == pytest.approx(20_000 / 21 * 24)
    assert burst.per_day() == pytest.approx(60_000 * 24)


def test_growth_forgets_what_is_older_than_a_day_and_keeps_a_sample_a_minute() -> None:
    growth = Growth()
    for second in range(0, int(2 * DAY), 20):
        growth.observe(second, second)
    assert len(growth._samples) <= DAY / 60 + 1


async def test_days_left_follow_from_growth() -> None:
    disk = Disk(0.5)
    with storage(disk) as watched:
        await watched.look()
        assert watched.days_left is None
        disk.now, disk.part = 1800.0, 0.51
        await watched.look()
        assert watched.days_left == pytest.approx(0.49 / 0.01 / 48)
        assert watched.describe()["days_left"] == pytest.approx(1.0)
        assert watched.describe()["soon"] is True


@pytest.mark.parametrize(("growth", "soon"), [(0.0, False), (0.001, False), (0.002, True)])
async def test_disk_that_is_full_within_a_week_is_told_long_before_its_bound(
    growth: float,
    soon: bool,  # noqa: FBT001 - of the table above
) -> None:
    disk = Disk(0.5)
    with storage(disk) as watched:
        await watched.look()
        disk.now, disk.part = 1800.0, 0.5 + growth
        await watched.look()
        assert (watched.state, watched.describe()["soon"]) == ("ok", soon)


@pytest.mark.parametrize(
    ("part", "state", "alarms", "issuing", "paused"),
    [
        (0.50, "ok", [], True, False),
        (0.90, "storage-alarm", ["storage-alarm"], True, False),
        (0.97, "storage-full", ["storage-alarm", "storage-full"], False, False),
        (0.985, "replicas-paused", ["storage-alarm", "storage-full", "replicas-paused"], 0, 1),
    ],
)
async def test_state_by_how_full_the_disk_is(
    *, part: float, state: str, alarms: list[str], issuing: bool, paused: bool
) -> None:
    with storage(Disk(part)) as watched:
        await watched.look()
        assert watched.state == state
        assert [alarm["code"] for alarm in watched.alarms()] == alarms
        assert (watched.issuing, watched.paused) == (issuing, paused)
        assert (watched.refuse(1) is None) == issuing
        assert watched.admit(1) == (not paused)


async def test_refusal_is_507_with_hint_and_retry_after() -> None:
    with storage(Disk(0.98)) as watched:
        await watched.look()
        refusal = watched.refuse(1)
    assert refusal is not None
    assert (refusal.code, refusal.exit_code, refusal.retry_after) == ("storage-full", 75, 30)
    assert "98.0% full" in refusal.message
    assert "96%" in refusal.hint


async def test_everything_comes_back_below_the_hysteresis() -> None:
    disk = Disk(0.99)
    with storage(disk) as watched:
        await watched.look()
        disk.part = 0.965
        await watched.look()
        assert (watched.issuing, watched.paused) == (False, False)
        disk.part = 0.955
        await watched.look()
        assert (watched.issuing, watched.state) == (True, "storage-alarm")
        disk.part = 0.88
        await watched.look()
        assert watched.alarms() == []


async def test_burst_between_two_looks_is_stopped_at_the_bound() -> None:
    disk = Disk(0.9699)
    room = int(0.0001 * TOTAL)
    with storage(disk) as watched:
        await watched.look()
        while watched.refuse(1000) is None:
            disk.entries += 1000
        assert room - 1001 * ENTRY_COST < disk.entries * ENTRY_COST <= room
        disk.part = 0.96995
        await watched.look()
        assert watched.refuse(1) is None


async def test_what_waits_counts_as_written() -> None:
    with storage(Disk(0.9699)) as watched:
        await watched.look()
        most = int(0.0001 * TOTAL) // ENTRY_COST
        assert watched.refuse(most - 1) is None
        assert watched.refuse(most + 1) is not None


async def test_packages_count_against_replicas_and_then_against_issuing() -> None:
    with storage(Disk(0.9699)) as watched:
        await watched.look()
        while watched.admit(10_000):
            pass
        assert watched.refuse(1) is not None
        assert watched.issuing
        await watched.look()
        assert watched.admit(10_000)
        assert watched.refuse(1) is None


async def test_entries_appended_while_looking_are_not_forgotten() -> None:
    disk = Disk(0.9699)
    with storage(disk) as watched:

        def look(path: Path) -> Space:
            disk.entries += int(0.0001 * TOTAL) // ENTRY_COST
            return disk.look(path)

        watched._measure = look
        await watched.look()
        assert watched.refuse(1000) is not None


async def test_a_burst_makes_it_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 10 * PATIENCE)
    disk = Disk(0.9699)
    with storage(disk) as watched:
        await watched.look()
        running = asyncio.create_task(watched.run())
        disk.entries += int(0.00009 * TOTAL) // ENTRY_COST
        watched.refuse(1)
        async with asyncio.timeout(PATIENCE):  # less than the time between two looks
            while disk.looks < 2:  # noqa: ASYNC110 -- the condition is not ours to signal
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_each_crossing_is_one_line_at_error(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(0.5)
    with storage(disk) as watched:
        for part in (0.5, 0.91, 0.92, 0.895, 0.975, 0.975, 0.99, 0.99):
            disk.part = part
            await watched.look()
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    codes = [record.__dict__["code"] for record in lines]
    assert codes == ["storage-alarm", "storage-full", "replicas-paused"]
    assert len(caplog.records) == 3


async def test_disk_that_cannot_be_looked_at_changes_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(0.98)
    with storage(disk) as watched:
        await watched.look()
        caplog.clear()
        disk.error = OSError(5, "Input/output error")
        await watched.look()
        await watched.look()
        assert not watched.issuing
    assert len(caplog.records) == 1


def test_measure_agrees_with_df(tmp_path: Path) -> None:
    space = measure(tmp_path)
    assert 0 <= space.part < 1
    assert space.total == space.used + space.free


def test_disk_of_no_size_counts_as_full() -> None:
    assert Space(0, 0).part == 1.0

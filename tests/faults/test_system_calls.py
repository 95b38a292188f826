"""An error, a full disk and a kill at every system call by which the write path writes.

The calls are not written down here: strace counts them, thread by thread, in a run without faults.
What happens at the calls that only read (nearly all are SoftHSM's, of its own files), and every
fault at each call of the start rather than one of them in turn, is tried with `FAULTS=long`.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from tracing import Point, Result, find_points, run_traced, try_point
from victims import Box, Ledger, Nursery, make_box

pytestmark = [pytest.mark.usefixtures("_strace"), pytest.mark.timeout(900)]

WRITES: Final = (
    *("write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "sync_file_range"),
    *("ftruncate", "fallocate", "openat", "link", "linkat", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "mkdir", "mkdirat", "flock"),
)
READS: Final = ("read", "pread64", "lseek", "getdents64")
FILLS: Final = {"write", "pwrite64", "writev", "pwritev", "ftruncate", "fallocate"}
"""Calls that a full disk refuses and SQLite goes on with."""
KILL, BROKEN, FULL = "signal=KILL", "error=EIO", "error=ENOSPC"
THREADS: Final = {
    "main": "configuration, lock, making of the replica's database",
    "read_0": "opening of the log and of its index",
    "hsm": "SoftHSM",
    "write-log_0": "appends, moves of the head, checkpoint of the WAL",
    "index": "the log's digest index",
    "read-copy_0": "opening of the replica",
    "write-copy_0": "the replica's appends, heads and heartbeat",
    "index-1": "the replica's digest index",
}
ALL: Final = os.environ.get("FAULTS") == "long"
numbers = count()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where possible: a kill or an error loses nothing that the kernel has."""
    shared = Path("/dev/shm")  # noqa: S108 - a new folder of our own is made in it
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def box(folder: Path, nursery: Nursery) -> Box:
    """A gateway whose next entries complete a bundle and its tile; it has no replica yet."""
    box = make_box(folder / "base")
    victim = nursery.run(Ledger(box), commits=1, each=250, replicate=False)
    assert victim.end == "done"
    return box


def faults_at(point: Point) -> list[str]:
    # SoftHSM reads its files over and over; nothing of ours is written meanwhile.
    reads = {"openat", *READS} if point.thread == "hsm" else READS
    if point.call in reads:
        return [BROKEN] if ALL else []
    every = [KILL, BROKEN, FULL] if point.call in FILLS else [KILL, BROKEN]
    if point.thread == "main" and not ALL:  # nearly all of them make one database of many tables
        return [every[point.number % len(every)]]
    return every


def try_all(nursery: Nursery, box: Box, points: list[Point], folder: Path) -> list[Result]:
    """All faults at all points; two at a time, each in a folder of its own that is gone after."""

    def try_one(task: tuple[Point, str]) -> Result:
        place = folder / f"x{next(numbers)}"
        try:
            return try_point(nursery, box, *task, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    tasks = [(point, fault) for point in points for fault in faults_at(point)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(try_one, tasks))


@pytest.mark.parametrize("thread", THREADS)
def test_nothing_is_lost_by_a_fault_at_any_call(
    thread: str, nursery: Nursery, box: Box, folder: Path
) -> None:
    calls = (*WRITES, *READS) if ALL else WRITES
    points = find_points(nursery, box, thread, calls, folder / f"count-{thread}")
    results = try_all(nursery, box, points, folder)
    ends = Counter((result.fault, result.end) for result in results)
    print(thread, dict(Counter(point.call for point in points)), dict(ends))  # noqa: T201 - for -s
    assert results
    assert [result for result in results if not result.hit] == []
    assert [result for result in results if result.faults] == []


HUNG: Final = 20.0
BUGS: Final = {
    "answer_before_commit": (KILL, "pwrite64"),
    "ignore_failed_commit": (BROKEN, "fdatasync"),
    "move_head_first": (KILL, "pwrite64"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bug_is_invisible_without_faults_and_found_with_them(
    bug: str, nursery: Nursery, box: Box, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(box.copy_to(folder / bug))
    assert nursery.run(ledger, bug=bug).end == "done"
    assert ledger.check() == []
    fault, call = BUGS[bug]
    monkeypatch.setattr(nursery, "patience", HUNG)  # a bug may well have it wait for ever
    find = partial(run_traced, thread="write-log_0", bug=bug)
    place = folder / f"{bug}-count"
    counted = Ledger(box.copy_to(place))
    _, trace = find(nursery, counted, path=place / "trace", options=["-e", f"trace={call}"])
    points = [Point("write-log_0", call, n + 1) for n in range(trace.count()[call])]
    tries = (
        try_point(nursery, box, point, fault, folder / f"{bug}-{point.number}", bug=bug)
        for point in points
    )
    assert any(result.faults for result in tries)

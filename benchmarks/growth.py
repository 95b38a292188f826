"""The row `growth.ratio`: what an entry costs in a large log, beside a small one."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import limits
from bench import Bench, Figures, patience
from load import LoadFailedError
from rows import Figure

SMALL: Final = 100_000
"""Entries of the small log."""
STRETCH: Final = 50_000
"""Entries of which the cost is taken."""
_TICKS: Final = 100
"""Clock ticks a second in /proc (USER_HZ)."""


def note_small(bench: Bench) -> None:
    """Fill a small log, and note what an entry costs in it."""
    small = min(SMALL, bench.scale // 10)
    if bench.used < small:
        asyncio.run(bench.attest(small - bench.used))
    bench.small_cost = _cost(bench, small // 2)


def ratio(bench: Bench) -> Figures:
    """Cost of an entry in the log as it is now / in the small log; nobody follows."""
    bench.follower.stop()
    bench.issuer.stop()
    bench.issuer.start()
    small = min(SMALL, bench.scale // 10)
    return {"growth.ratio": Figure(_cost(bench, small // 2) / bench.small_cost, 1)}


def _cost(bench: Bench, count: int) -> float:
    """What an entry costs the issuer, with the work that follows behind, in entries of a bare loop.

    A virtual processor may be half as quick some minutes later: each cost is compared with what
    the bare loop takes just then.
    """
    _wait_until_idle(bench.issuer.pid, count)
    before = _cpu(bench.issuer.pid)
    asyncio.run(bench.attest(count))
    _wait_until_idle(bench.issuer.pid, count)
    # The kernel counts in ticks: so few entries that they take none are not what is measured.
    used = max(_cpu(bench.issuer.pid) - before, 1 / _TICKS) / count
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        start = time.process_time()
        limits.bare_rate(Path(folder), count)
        return used / ((time.process_time() - start) / count)


def _wait_until_idle(pid: int, count: int) -> None:
    """Until a process takes hardly any CPU time: the digest index has followed."""
    deadline = time.monotonic() + patience(count)
    used = _cpu(pid)
    while time.monotonic() < deadline:
        time.sleep(1)
        before, used = used, _cpu(pid)
        if used - before < 0.05:
            return
    raise LoadFailedError("the issuer does not come to rest")


def _cpu(pid: int) -> float:
    """CPU seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS

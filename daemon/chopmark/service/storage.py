"""How full the disk with the ledger is, and what that allows.

1. At `alarm` an operator is told: one line in the log, and an entry in the status.
2. At `stop` nothing more is issued; what was appended is still signed, and everything else works.
3. Halfway from `stop` to full the replicas take nothing more in: what peers issue must not use up
   the room in which our own heads are signed. Catch-up brings it once there is room.
4. Each ends by itself, once `HYSTERESIS` less is in use.
5. Between two looks at the disk, what is written since is estimated, and never underestimated: a
   burst is stopped at the bound, not at the next look.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.core.errors import TryAgainError
from chopmark.ledger.worker import Worker

LOG: Final = logging.getLogger("chopmark.storage")
HYSTERESIS: Final = 0.01
"""What was closed by a threshold opens again below the threshold less this part of the disk."""
LOOK: Final = 5.0
"""Seconds between two looks at the disk, when little is written."""
PAUSE: Final = 0.05
"""Seconds between two looks when much is written."""
ENTRY_COST: Final = 512
"""Bytes taken for one entry: at most 200 in ledger and index, and the same in write-ahead logs."""
PACKAGE_COST: Final = 3
"""Bytes taken for each byte of a package: ledger, index and write-ahead logs of a replica."""
RETRY_AFTER: Final = 30
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
SOON: Final = 7.0
"""Days: a disk that is full within so many, as it grows now, is nothing to be at ease about."""
LEAST_SPAN: Final = 600.0
"""Seconds of history without which no rate of growth is told."""


@dataclass(frozen=True, slots=True)
class Space:
    """A file system: bytes in use, and bytes that this process may still write."""

    used: int
    free: int

    @property
    def total(self) -> int:
        """Bytes that there are for us; what is reserved for root does not count, as in df."""
        return self.used + self.free

    @property
    def part(self) -> float:
        """Part in use, 0 to 1."""
        return self.used / self.total if self.total else 1.0


def measure(path: Path) -> Space:
    """Look at the file system that holds `path`."""
    found = os.statvfs(path)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    return Space(used, found.f_bavail * found.f_frsize)


class Gate:
    """A threshold that is reached, and left again a little below."""

    def __init__(self, code: str, threshold: float) -> None:
        self.code = code
        self.threshold = threshold
        self.reached = False

    def observe(self, part: float) -> bool:
        """Take note of how full the disk is; whether that changed anything."""
        before = self.reached
        self.reached = part >= self.threshold - (HYSTERESIS if before else 0.0)
        return self.reached != before


class Growth:
    """How fast the disk fills: over the last hour or the last day, whichever was faster."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def observe(self, now: float, used: int) -> None:
        """Take note of the bytes in use at a time in seconds; one sample a minute is kept."""
        if self._samples and now - self._samples[-1][0] < MINUTE:
            return
        self._samples.append((now, used))
        while now - self._samples[0][0] > DAY:
            self._samples.popleft()

    def per_day(self) -> float | None:
        """Bytes a day; None if there is no growth, or not enough history."""
        rates = [rate for rate in map(self._rate, (HOUR, DAY)) if rate is not None]
        fastest = max(rates, default=0.0)
        return fastest if fastest > 0 else None

    def _rate(self, span: float) -> float | None:
        if not self._samples:
            return None
        last, used = self._samples[-1]
        first, before = next(sample for sample in self._samples if last - sample[0] <= span)
        return (used - before) / (last - first) * DAY if last - first >= LEAST_SPAN else None


class Storage:
    """Looks after the disk with the ledger.

    Args:
        path: the state folder.
        alarm: part of the disk at which an operator is told.
        stop: part of the disk at which issuing stops.
        size: durable entries of our own log.
        look: measures the file system; runs on a thread of its own, for a disk may hang.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        path: Path,
        alarm: float,
        stop: float,
        size: Callable[[], int],
        look: Callable[[Path], Space] = measure,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.space = Space(0, 0)
        self.growth = Growth()
        self._alarm = Gate("storage-alarm", alarm)
        self._stop = Gate("storage-full", stop)
        self._pause = Gate("replicas-paused", stop + (1 - stop) / 2)
        self._size, self._measure, self._monotonic = size, look, monotonic
        self._base = 0
        self._taken_in = 0
        self._due = asyncio.Event()
        self._worker = Worker("storage")
        self._failed = False

    @property
    def state(self) -> str:
        """`ok`, or the code of the highest threshold that is reached."""
        return next((gate.code for gate in self._gates[::-1] if gate.reached), "ok")

    @property
    def issuing(self) -> bool:
        """Whether there is room to issue."""
        return not self._stop.reached

    @property
    def paused(self) -> bool:
        """Whether replicas take nothing in."""
        return self._pause.reached

    @property
    def days_left(self) -> float | None:
        """Days until the disk is full, as it grows now; None if it does not grow."""
        rate = self.growth.per_day()
        return None if rate is None else self.space.free / rate

    async def run(self) -> None:
        """Look for ever: now and then, and sooner when much is written."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                async with asyncio.timeout(LOOK):
                    await self._due.wait()
            except TimeoutError:
                pass
            await self.look()

    async def look(self) -> None:
        """Look at the disk now."""
        self._due.clear()
        base, taken_in = self._size(), self._taken_in
        try:
            space = await self._worker.run(self._measure, self.path)
        except OSError as error:
            if not self._failed:
                LOG.error("cannot tell how full the disk with %s is: %s", self.path, error)  # noqa: TRY400  # the reason says it all
            self._failed = True
            return
        self._failed = False
        # What was written while we looked is counted twice rather than never.
        self._base, self._taken_in = base, self._taken_in - taken_in
        self.space = space
        self.growth.observe(self._monotonic(), space.used)
        for gate in self._gates:
            if gate.observe(space.part):
                self._tell(gate)

    def refuse(self, waiting: int) -> TryAgainError | None:
        """Why nothing may be issued, if so; for `Sequencer.refuse`.

        Args:
            waiting: entries that would then be waiting to be appended.
        """
        if self._stop.reached:
            percent = f"{self._stop.threshold - HYSTERESIS:.0%}"
            return self._full(f"issuing goes on by itself below {percent}")
        if self._has_room(self._stop, waiting * ENTRY_COST):
            return None
        return self._full("there is still room for a little: send less at once")

    def admit(self, size: int) -> bool:
        """Whether a replica may take in packages of so many bytes, which then count as written."""
        if self._pause.reached or not self._has_room(self._pause, size * PACKAGE_COST):
            return False
        self._taken_in += size * PACKAGE_COST
        return True

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must know, as JSON."""
        hint = "free space there, or enlarge it"
        return [
            {"code": gate.code, "message": self._describe(gate), "hint": hint}
            for gate in self._gates
            if gate.reached
        ]

    def describe(self) -> dict[str, Any]:
        """The state as JSON; sizes in bytes."""
        rate, days = self.growth.per_day(), self.days_left
        return {
            "state": self.state,
            "path": str(self.path),
            "total_bytes": self.space.total,
            "used_bytes": self.space.used,
            "free_bytes": self.space.free,
            "used": round(self.space.part, 4),
            "growth_bytes_per_day": None if rate is None else round(rate),
            "days_left": None if days is None else round(days, 1),
            "soon": days is not None and days < SOON,
            "alarm": self._alarm.threshold,
            "stop": self._stop.threshold,
        }

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    @property
    def _gates(self) -> tuple[Gate, Gate, Gate]:
        return self._alarm, self._stop, self._pause

    def _has_room(self, gate: Gate, more: int) -> bool:
        """Whether so many bytes more stay below a threshold, by what is known and estimated."""
        written = (self._size() - self._base) * ENTRY_COST + self._taken_in + more
        room = gate.threshold * self.space.total - self.space.used
        if 2 * written > room:
            self._due.set()
        return written <= room

    def _tell(self, gate: Gate) -> None:
        extra = {"code": gate.code}
        if gate.reached:
            LOG.error("%s: free space there, or enlarge it", self._describe(gate), extra=extra)
        else:
            used = f"{self.space.part:.1%}"
            LOG.warning("%s is over: the disk is %s full", gate.code, used, extra=extra)

    def _describe(self, gate: Gate) -> str:
        what = {
            "storage-alarm": f"issuing stops at {self._stop.threshold:.0%}",
            "storage-full": "nothing more is issued",
            "replicas-paused": "replicas take nothing more in",
        }
        return f"the disk with {self.path} is {self.space.part:.1%} full: {what[gate.code]}"

    def _full(self, hint: str) -> TryAgainError:
        message = f"the disk of the ledger is {self.space.part:.1%} full: nothing was recorded"
        hint = f"free space on the gateway's disk, or enlarge it; {hint}"
        return TryAgainError("storage-full", message, hint=hint, retry_after=RETRY_AFTER)

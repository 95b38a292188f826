"""How late the event loop is: what waits in it waits at least as long.

A heartbeat asks to be woken every `BEAT`; by how much it is late is the lag. Whatever blocks the
loop (a disk, a long computation, a machine without processors to spare) shows here first.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

LOG: Final = logging.getLogger("chopmark.loop")
BEAT: Final = 0.05
"""Seconds between heartbeats: 20 wake-ups a second cost nothing that can be measured."""
LATE: Final = 1.0
"""Seconds of lag that an operator is told of."""
WINDOW: Final = 60.0
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets, in seconds; above them there is one more."""


class LoopLag:
    """Measures the lag of the running event loop.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._worst: deque[tuple[float, float]] = deque()
        self._told_until = float("-inf")
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            due = self._monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self.observe(max(0.0, self._monotonic() - due))

    def observe(self, lag: float) -> None:
        """Take note of one heartbeat's lag in seconds."""
        now = self._monotonic()
        self.buckets[bisect_left(BOUNDS, lag)] += 1
        self.total += lag
        # Only what no later lag exceeds can still become the worst of the window.
        while self._worst and self._worst[-1][1] <= lag:
            self._worst.pop()
        self._worst.append((now, lag))
        self._forget(now)
        if lag > LATE:
            self._tell(now, lag)

    def worst(self) -> float:
        """The greatest lag of the last minute, in seconds; 0 before the first heartbeat."""
        self._forget(self._monotonic())
        return self._worst[0][1] if self._worst else 0.0

    def _forget(self, now: float) -> None:
        while self._worst and now - self._worst[0][0] > WINDOW:
            self._worst.popleft()

    def _tell(self, now: float, lag: float) -> None:
        """Say it once, and again only after a minute without."""
        if now >= self._told_until:
            LOG.warning("the event loop was %.1f s late: is the machine overloaded?", lag)
        self._told_until = now + WINDOW

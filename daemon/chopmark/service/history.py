"""How much was done, minute by minute, over the last day: for charts that people look at.

It is kept in memory and is bounded: a day of minutes, 1,440 of them. Who wants more reads the
metrics (docs/operations/monitoring.md); after a start it begins anew.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from chopmark.core.ports import Clock
from chopmark.core.wording import format_time

STEP: Final = 60
"""Seconds between two samples."""
KEPT: Final = 24 * 60
"""Samples: a day of them."""


class Totals(NamedTuple):
    """What was counted since some beginning; each only grows, but for a replica that is mended.

    Attributes:
        recorded: entries of our own log.
        verified: verdicts given.
        replicated: entries of all replicas.
    """

    recorded: int
    verified: int
    replicated: int


class History:
    """Takes a sample each minute.

    Args:
        totals: gives what is counted now.
        clock: the gateway's, to say when the newest sample was taken.
    """

    def __init__(self, totals: Callable[[], Totals], clock: Clock) -> None:
        self._totals = totals
        self._clock = clock
        self._last = totals()
        self._until = clock.now_ms()
        self._samples: deque[Totals] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await asyncio.sleep(STEP)
            self.sample()

    def sample(self) -> None:
        """Keep what was done since the sample before; the oldest goes."""
        before, self._last = self._last, self._totals()
        grown = (max(0, now - then) for now, then in zip(self._last, before, strict=True))
        self._samples.append(Totals(*grown))
        self._until = self._clock.now_ms()

    def describe(self) -> dict[str, Any]:
        """As JSON (docs/api.md): for each count a list, the oldest minute first."""
        columns = {name: [getattr(one, name) for one in self._samples] for name in Totals._fields}
        return {"step_seconds": STEP, "until": format_time(self._until), **columns}

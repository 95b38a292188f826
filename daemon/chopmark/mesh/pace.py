"""How far behind the peers are: the issuer is slowed to the slowest of those that count.

Rules:
1. What a peer holds of our log is what its statuses say; a hint, which can slow us and no more.
2. A peer counts from the moment on at which it lacks at most `MAX_LAG` entries. One that has yet to
   catch up, such as a new and empty replica, does not: it must not stop a bank from issuing.
3. It counts no longer when it is offline, when we have frozen its log over a fork, or when it lacks
   something and its replica has not grown for `PATIENCE` seconds. Then rule 2 holds anew.
4. We are slowed while a peer that counts lacks more than `MAX_LAG` entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_LAG: Final = 131_072
"""Entries that a peer that counts may lack: a second of the quickest issuer, some 12 MB."""
PATIENCE: Final = 10.0
"""Seconds for which a peer that lacks something may tell of no growth."""


@dataclass(slots=True)
class Measure:
    """What is known of one peer: its size, and since when it lacks something without growing."""

    size: int
    stuck_since: float | None = None
    counts: bool = False


class Pace:
    """Measures the peers. Times are seconds of a monotonic clock, given by the caller."""

    def __init__(self, limit: int = MAX_LAG) -> None:
        self._limit = limit
        self._measures: dict[str, Measure] = {}

    def heard(self, peer: str, size: int, own: int, now: float) -> None:
        """A peer says that it holds `size` entries of our log, which has `own`."""
        measure = self._measures.setdefault(peer, Measure(size))
        if size < measure.size:  # a replica that was made anew
            measure.counts = False
        if size != measure.size:
            measure.stuck_since = now
        if own - size <= self._limit:
            measure.counts = True
        measure.size = size

    def gone(self, peer: str) -> None:
        """A peer is offline, or frozen."""
        if peer in self._measures:
            self._measures[peer].counts = False

    def lags(self, own: int, now: float) -> Mapping[str, int]:
        """Entries that each peer that counts lacks of our `own`."""
        return {
            peer: lag
            for peer, measure in self._measures.items()
            for lag in (self._lag(measure, own, now),)
            if measure.counts
        }

    def is_slowed(self, own: int, now: float) -> bool:
        """Whether a peer that counts lacks too much."""
        return max(self.lags(own, now).values(), default=0) > self._limit

    def _lag(self, measure: Measure, own: int, now: float) -> int:
        lag = max(0, own - measure.size)
        if not lag:
            measure.stuck_since = None
        elif measure.stuck_since is None:
            measure.stuck_since = now
        elif now - measure.stuck_since > PATIENCE:
            measure.counts = False
        return lag

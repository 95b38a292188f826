"""How long entries wait for their signed head: counts for a histogram."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

BOUNDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Seconds: an idle gateway needs some milliseconds, a TPM half a second, an HSM that is away…"""


@dataclass(slots=True)
class Waits:
    """Under each head, the entry that has waited longest.

    Attributes:
        buckets: heads by that time; the last is beyond all bounds.
        seconds: of all of them together.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    _since: float | None = None

    def appended(self, arrived: float) -> None:
        """Entries are durable, the first of which came at this time (monotonic seconds)."""
        self._since = arrived if self._since is None else min(self._since, arrived)

    def take(self) -> float | None:
        """Since when the entries wait that the next head will cover."""
        since, self._since = self._since, None
        return since

    def signed(self, since: float | None, now: float) -> None:
        """The head is there that covers what `take` gave."""
        if since is not None:
            self.buckets[bisect_left(BOUNDS, now - since)] += 1
            self.seconds += now - since

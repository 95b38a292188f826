"""How long to wait before the next attempt to connect."""

from random import Random


class Backoff:
    """Doubling delays with jitter, so that many gateways do not return in one moment.

    Args:
        first: the shortest full delay, seconds.
        top: no delay is longer, seconds.
        random: where the jitter comes from.
    """

    def __init__(self, first: float, top: float, random: Random) -> None:
        self._first = first
        self._top = top
        self._random = random
        self._failures = 0

    def reset(self) -> None:
        """Start anew after a connection that held."""
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait now: between half and all of a delay that doubles each time."""
        full = min(self._top, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return full * self._random.uniform(0.5, 1.0)

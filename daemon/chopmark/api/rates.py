"""How much one client may ask for in a second: a bucket of tokens, one for each document.

Single requests are refused while the bucket is empty; streams are slowed, and may run it into debt,
which they wait for before they go on.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from chopmark.core.errors import TryAgainError

_LEAST: Final = 1


class Bucket:
    """Tokens of one client; it holds those of a second.

    Args:
        rate: tokens a second, 1 at least.
        clock: seconds that only go forward.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._level = float(rate)
        self._filled = clock()

    def take(self) -> None:
        """Take one for a single request.

        Raises:
            TryAgainError: `rate-limited`; nothing was done.
        """
        self._fill()
        if self._level < 1:
            wait = max(_LEAST, math.ceil((1 - self._level) / self.rate))
            message = f"more than {self.rate} a second, the rate that the configuration gives you"
            hint = "send less, or many in a batch, which is slowed and not refused"
            raise TryAgainError("rate-limited", message, hint=hint, retry_after=wait)
        self._level -= 1

    async def pace(self, count: int) -> None:
        """Take so many for part of a stream, and wait until they are there."""
        self._fill()
        self._level -= count
        if self._level < 0:
            await asyncio.sleep(-self._level / self.rate)

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(float(self.rate), self._level + (now - self._filled) * self.rate)
        self._filled = now

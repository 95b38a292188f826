"""Wrong passwords make further ones slow, and lock nobody out for ever.

1. Each name, and each address, has a number of tries. Beyond it the next try must wait, and twice
   as long after each one that fails, up to `LONGEST`. Names that are no account's are counted, too:
   the answer does not tell which there are.
2. A try counts as failed from when it begins; what succeeds is taken back, and the wait that it
   began. So tries at the same time are no more than tries one after the other.
3. Tries while one must wait are refused, not counted: whoever goes on and on makes the wait no
   longer.
4. A browser in which somebody has signed in to an account has tries of its own for it (a device
   cookie, as OWASP describes it): whoever guesses elsewhere does not keep its user out.
5. After an hour without a failure all is forgotten. An operator forgets it at once, on the unix
   socket, where nobody is ever locked out.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.core.errors import TryAgainError

FREE: Final = {"name": 5, "device": 10, "address": 20, "oidc": 20}
"""Tries without a wait, by what they are counted for; `oidc`: of an address, at the provider."""
PLACES: Final = frozenset({"address", "oidc"})
"""Those of them that are about an address."""
FIRST: Final = 30.0
"""Seconds of the first wait."""
LONGEST: Final = 900.0
FORGET: Final = 3600.0
MOST: Final = 4096
"""Names, devices and addresses that are remembered; beyond, one that need not wait goes, the one
that has failed longest ago."""

Key = tuple[str, str]
"""What is counted: a kind of `FREE`, and which: a name, `name@browser`, or an address."""


@dataclass(slots=True)
class _Count:
    failures: int = 0
    until: float = 0.0
    before: float = 0.0
    last: float = 0.0


class Lockouts:
    """Counts wrong passwords.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[Key, _Count] = OrderedDict()

    def begin(self, keys: Sequence[Key]) -> None:
        """Begin a try, which counts as failed from now on.

        Raises:
            TryAgainError: `locked-out`; nothing was counted.
        """
        now = self._clock()
        wait = max((self._wait(key, now) for key in keys), default=0.0)
        if wait > 0:
            message = "too many wrong passwords for this name, or from this address"
            hint = "wait, or ask an operator: `chopmark account unlock` on the gateway"
            raise TryAgainError("locked-out", message, hint=hint, retry_after=math.ceil(wait))
        for key in keys:
            self._fail(key, now)
        while len(self._counts) > MOST:
            del self._counts[self._find_least(keys, now)]

    def take_back(self, keys: Sequence[Key], *, forgive: bool) -> None:
        """A try has not failed; if `forgive`, all before it are forgotten but those of addresses.

        An address is forgiven nothing more: with an account of his own somebody could try others'.
        """
        for key in keys:
            count = self._counts.get(key)
            if count is None:
                continue
            count.failures -= 1
            # Beyond the free tries no two run at the same time: what was before it is known.
            count.until = 0.0 if count.failures < FREE[key[0]] else count.before
            if count.failures < 1 or (forgive and key[0] not in PLACES):
                del self._counts[key]

    def forget(self, name: str) -> bool:
        """Let a name, in any browser, or an address be tried again; whether it had to wait."""
        now = self._clock()
        keys = [key for key in self._counts if whose(key) == name]
        waited = any(self._wait(key, now) > 0 for key in keys)
        for key in keys:
            del self._counts[key]
        return waited

    def waiting(self) -> dict[Key, int]:
        """What must wait now, and for how many seconds."""
        now = self._clock()
        waits = {key: math.ceil(self._wait(key, now)) for key in self._counts}
        return {key: seconds for key, seconds in waits.items() if seconds > 0}

    def _wait(self, key: Key, now: float) -> float:
        count = self._counts.get(key)
        return 0.0 if count is None else max(0.0, count.until - now)

    def _fail(self, key: Key, now: float) -> None:
        count = self._counts.pop(key, None)
        if count is None or now - count.last > FORGET:
            count = _Count()
        self._counts[key] = count
        count.failures += 1
        count.last = now
        beyond = count.failures - FREE[key[0]]
        if beyond >= 0:
            count.before = count.until
            count.until = now + min(LONGEST, FIRST * 2 ** min(beyond, 16))

    def _find_least(self, but: Sequence[Key], now: float) -> Key:
        """What to forget first: many tries elsewhere must not make us forget whose wait is long."""
        others = [(key, count) for key, count in self._counts.items() if key not in but]
        few = (
            key
            for key, count in others
            if count.failures < FREE[key[0]] or now - count.last > FORGET
        )
        return next(few, others[0][0])


def whose(key: Key) -> str:
    """The name, or the address, that is counted for."""
    return key[1].partition("@")[0]

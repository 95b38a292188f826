"""Wrong tries make further ones wait, over restarts and power cuts, and lock nobody out for ever.

Rules, as of the page's (`api.signin.lockout`), for one port and at most 64 technicians:
1. Each id has `FREE` tries without a wait, and so has the port (`PORT`). Beyond them the next try
   waits, and twice as long after each one that fails, up to `LONGEST`.
2. Ids are told apart by `_SLOTS` places, whether anybody has them or not: whoever tries ten
   thousand ids takes no more room, and learns from no wait which there are.
3. A try counts from when it begins. What succeeds forgets those of the id, not those of the port:
   one who may sign in must not be able to guess another's PIN as often as he likes.
4. Tries while one must wait are not counted: whoever goes on makes the wait no longer.
5. After an hour without one all is forgotten.
6. Time is what the machine has been up, which nobody sets. If it is less than when something
   failed, the machine was started anew, and a wait begins again, as long as it was.
"""

import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from chopmark.core.errors import TryAgainError

FREE: Final = 5
PORT_FREE: Final = 20
FIRST: Final = 30.0
"""Seconds of the first wait."""
LONGEST: Final = 900.0
FORGET: Final = 3600.0
PORT: Final = "port"
_SLOTS: Final = 256


class Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tries that have failed: how many, when the last did, and until when one waits (uptime)."""

    failures: int
    last: float
    until: float


Counts = Mapping[str, Count]
"""By place: `port`, or the number of a slot."""


def slot_of(name: str) -> str:
    """The place in which the tries of an id are counted."""
    return str(int.from_bytes(sha256(name.encode("utf-8", "replace")).digest()[:4]) % _SLOTS)


def restart(counts: Counts, now: float) -> dict[str, Count]:
    """What was counted, as it stands now; waits begin anew if the machine was started since."""
    found = {}
    for place, count in counts.items():
        if now < count.last:
            until = now + _wait(count.failures, _free(place))
            found[place] = Count(count.failures, now, until)
        elif now - count.last <= FORGET:
            found[place] = count
    return found


def waiting(counts: Counts, name: str, now: float) -> int:
    """Seconds that this id must wait at this port; 0 if none."""
    found = [counts[place].until - now for place in _places(name) if place in counts]
    return max(0, math.ceil(max(found, default=0.0)))


def left(counts: Counts, name: str) -> int:
    """Tries that are left before a wait."""
    found = [
        _free(place) - (counts[place].failures if place in counts else 0) for place in _places(name)
    ]
    return max(0, min(found))


def fail(counts: Counts, name: str, now: float) -> dict[str, Count]:
    """One more try that has not succeeded yet."""
    made = dict(counts)
    for place in _places(name):
        failures = 1 + (made[place].failures if place in made else 0)
        made[place] = Count(failures, now, now + _wait(failures, _free(place)))
    return made


def succeed(counts: Counts, before: Counts, name: str) -> dict[str, Count]:
    """The try has succeeded: the id's are forgotten, and the port's are those before it."""
    made = dict(counts)
    made.pop(slot_of(name), None)
    made.pop(PORT, None)
    return made | ({PORT: before[PORT]} if PORT in before else {})


def wait_error(wait: int) -> TryAgainError:
    """The error for one who must wait so many seconds."""
    hint = "then try again; nothing makes it shorter"
    return TryAgainError(
        "console-wait", f"too many wrong tries: wait {wait} s", hint=hint, retry_after=wait
    )


def _places(name: str) -> tuple[str, str]:
    return slot_of(name), PORT


def _free(place: str) -> int:
    return PORT_FREE if place == PORT else FREE


def _wait(failures: int, free: int) -> float:
    beyond = failures - free
    return 0.0 if beyond < 0 else min(LONGEST, FIRST * 2.0 ** min(beyond, 16))

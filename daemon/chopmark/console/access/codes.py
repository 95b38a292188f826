"""One-time codes: by the clock (TOTP, RFC 6238), or by a counter (HOTP, RFC 4226).

A code counts once: what is remembered is the number of the last one, and only later ones are
taken. By the clock that number is the step of 30 seconds.
"""

import base64
import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Literal

from pyotp import HOTP

from chopmark.core.enrolment import Secret

Kind = Literal["clock", "counter"]
STEP: Final = 30
"""Seconds (RFC 6238 §5.2)."""
SKEW: Final = 1
"""Steps by which a technician's clock may be wrong, each way."""
AHEAD: Final = 20
"""Codes that may have been made and not used here (RFC 4226 §7.4): one telephone serves many boxes.
With the waits after wrong tries that leaves a guess one chance in fifty thousand each."""
DIGITS: Final = 6


def find(secret: Secret, kind: Kind, code: str, used: int, now: float) -> int | None:
    """The number of the code among those that are taken now, or None.

    Args:
        secret: the technician's.
        kind: which of the two is asked for.
        code: as it was typed.
        used: number of the last one that was taken; -1 if none was.
        now: seconds since the Unix epoch, for codes by the clock.
    """
    typed = code.replace(" ", "")
    key = secret.totp if kind == "clock" else secret.hotp
    found = None
    for number in _numbers(secret, kind, used, now):  # to the end, whichever it is
        if hmac.compare_digest(_code(key, number).encode(), typed.encode("utf-8", "replace")):
            found = number
    return found


def name_of(secret: Secret, kind: Kind) -> str:
    """What a secret is remembered by; says nothing about it."""
    key = secret.totp if kind == "clock" else secret.hotp
    return sha256(b"chopmark/console-code/v1\n" + kind.encode() + b"\n" + key).hexdigest()[:16]


def _numbers(secret: Secret, kind: Kind, used: int, now: float) -> Iterable[int]:
    if kind == "counter":
        first = max(used + 1, secret.counter)
        return range(first, first + AHEAD)
    step = int(now) // STEP
    return range(max(used + 1, step - SKEW, 0), step + SKEW + 1)


def _code(key: bytes, number: int) -> str:
    return HOTP(base64.b32encode(key).decode(), digits=DIGITS).at(number)

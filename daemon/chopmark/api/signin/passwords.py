"""Passwords, hashed by Argon2id (RFC 9106): one at a time, so that guessing costs little here.

A hash takes `COST.memory` and a tenth of a second of one processor, which a branch box has two of.
They are made one after the other, in a thread that gives way to all others; who signs in while
`QUEUE` wait is told to come again. Who gives a password is known, and waits with them: strangers
must not keep an operator from that.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chopmark.core.errors import RefusedError, TryAgainError

QUEUE: Final = 16
LEAST: Final = 12
"""Characters: NIST SP 800-63B asks for 8, and for 15 where nothing else protects."""
MOST: Final = 256
"""Characters."""
_COMMON: Final = (
    *("password", "passwort", "chopmark", "administrator", "letmein", "welcome", "iloveyou"),
    *("qwertyuiop", "qwerty", "qwertz", "asdfgh", "zxcvbn", "1q2w3e4r"),
    *("1234567890", "123456", "12345", "1234", "654321", "4321", "abcdef", "abc"),
)
"""What is guessed first; a password is more than some of these."""
_VARIETY: Final = 5
"""Characters that differ, beside those."""
_SHORT: Final = 4
"""Characters of a name that many a password has in it."""
_NICE: Final = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash costs: passes, and KiB of memory. OWASP asks for 2 of 19 MiB at least."""

    passes: int = 4
    memory: int = 32 * 1024


COST: Final = Cost()


def check_password(password: str, name: str) -> None:
    """Refuse a new password that is too short, too long, or the name.

    Raises:
        RefusedError: `weak-password`. The password is not in it.
    """
    plain = _plain(password)
    if not LEAST <= len(plain) <= MOST or not plain.isprintable():
        message = f"a password has {LEAST} to {MOST} characters that print"
        raise RefusedError("weak-password", message, hint="take four words, for instance")
    rest = plain.lower()
    named = len(name) >= _SHORT and name in rest
    for common in _COMMON:
        rest = rest.replace(common, "")
    if named or len(set(rest)) < _VARIETY:
        message = "a password is not the name, a common one, or a character again and again"
        raise RefusedError("weak-password", message, hint="take four words, for instance")


class Hasher:
    """Makes and checks hashes."""

    def __init__(self, cost: Cost = COST) -> None:
        self._argon = PasswordHasher(cost.passes, cost.memory, parallelism=1)
        self._thread = ThreadPoolExecutor(1, "passwords", _give_way)
        self._waiting = 0
        self._decoy = ""

    async def make(self, password: str) -> str:
        """The hash of a password, with its salt and parameters."""
        return await self._run(lambda: self._argon.hash(_encode(password)))

    async def check(self, known: str | None, password: str, *, stranger: bool = True) -> bool:
        """Whether a password is the one; without a hash it never is, and that takes as long.

        Args:
            known: the hash.
            password: that is shown.
            stranger: as many places again are for those whose browsers are known.

        Raises:
            TryAgainError: `overloaded`.
        """
        if self._waiting >= (QUEUE if stranger else 2 * QUEUE):
            message = "too many people sign in at this moment"
            raise TryAgainError("overloaded", message, hint="come again", retry_after=5)
        return await self._run(lambda: self._check(known, password))

    def is_outdated(self, known: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        return self._argon.check_needs_rehash(known)

    def _check(self, known: str | None, password: str) -> bool:
        if not self._decoy:
            self._decoy = self._argon.hash(secrets.token_bytes(16))
        try:
            self._argon.verify(known or self._decoy, _encode(password))
        except (VerificationError, InvalidHashError):
            return False
        return known is not None

    async def _run(self, work: Callable[[], T]) -> T:
        self._waiting += 1
        loop = asyncio.get_running_loop()
        future = self._thread.submit(work)
        # Not when we are cancelled: it is in the queue all the same.
        future.add_done_callback(lambda _: _call(loop, self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._waiting -= 1


def _call(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(leave)


def _encode(password: str) -> bytes:
    return _plain(password).encode("utf-8", "surrogatepass")


def _plain(password: str) -> str:
    """As typed on any keyboard (RFC 8265: NFC); cut before, for much longer ones are nobody's.

    One character is made of four at most, and the time that it takes grows with the square.
    """
    return normalize("NFC", password[: 4 * MOST + 1])[: MOST + 1]


def _give_way() -> None:
    """Let this thread have what time the others leave (Linux has a priority for each thread)."""
    with suppress(OSError):  # a unit may forbid the call
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

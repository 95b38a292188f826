"""The PIN as the HSM's thread gets it: given late, never kept, never tried twice when refused."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from chopmark.hsm.book import TokenBook
from chopmark.hsm.errors import PinRefusedError


class PinPad:
    """Stands for a PIN that is typed at the device."""


Pin = str | PinPad
Source = Callable[[], Pin]


class PinAwaitedError(Exception):
    """The PIN is still to be given through the daemon's socket.

    Args:
        message: why, for status and log.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class BookedPin:
    """The PIN that the daemon uses too: what a token says of it is kept where the daemon looks.

    Attributes:
        source: gives it.
        book: the daemon's.
    """

    source: Source = field(repr=False)
    book: TokenBook

    def __call__(self) -> Pin:
        """The PIN."""
        return self.source()


class PinGuard:
    """Gives the PIN, but not one that the token has refused in this process.

    What is remembered of a refused one is a keyed hash under a key that only this process has.

    Args:
        source: gives the PIN, called at each login; raises `PinAwaitedError` while there is none.

    Attributes:
        typing: a person types it at the device, and may take their time.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._key = secrets.token_bytes(32)
        self._last: bytes | None = None
        self._refused: set[bytes] = set()
        self.typing = False

    def give(self) -> Pin:
        """The PIN.

        Raises:
            PinRefusedError: it is one that was refused.
            PinAwaitedError: there is none yet.
        """
        pin = self._source()
        self.typing = isinstance(pin, PinPad)
        self._last = None if isinstance(pin, PinPad) else self._mark(pin)
        if self._last in self._refused:
            message = "the PIN in place is still the one that the token refused"
            raise PinRefusedError(message)
        return pin

    def refuse(self) -> None:
        """The token has refused the one that was given last."""
        if self._last is not None:
            self._refused.add(self._last)

    def _mark(self, pin: str) -> bytes:
        return hashlib.blake2b(pin.encode(), key=self._key).digest()

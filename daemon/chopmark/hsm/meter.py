"""What is counted of the HSM: how long signatures take, what failed, how often a key was used."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from chopmark.core.errors import TryAgainError
from chopmark.hsm.book import TokenBook

BOUNDS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
    5.0,
)
"""Seconds: upper bounds of the histogram; a SoftHSM signs in 0.1 ms, a TPM in half a second."""
BLOCK: Final = 4096
"""Signatures that are noted as made before they are, at most: so many a crash may lose."""
WORN: Final = 0.9
"""Part of a key's signatures after which an operator is told."""


@dataclass(slots=True)
class Meter:
    """Counts, on the HSM's thread; its values may be read from anywhere.

    Attributes:
        buckets: signatures by their time; the last is beyond all bounds.
        seconds: that all of them took together.
        errors: by name of PKCS#11's error, or a word of ours.
        healed: times that a rung of the ladder has helped, by its name.
        last_good: when a signature of the log key last verified, by the monotonic clock.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    healed: Counter[str] = field(default_factory=Counter)
    last_good: float | None = None

    def signed(self, seconds: float) -> None:
        """A signature was made in so many seconds."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    @property
    def count(self) -> int:
        """Signatures made."""
        return sum(self.buckets)


@dataclass(slots=True)
class Usage:
    """Ends a key after so many signatures.

    They are noted in blocks, before they are made: after a crash more is counted than was made,
    never less. Without a limit nothing is counted or written.

    Attributes:
        limit: signatures that a key may make, or None.
        book: keeps how many.
    """

    limit: int | None
    book: TokenBook
    _reserved: dict[str, int] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)

    def take(self, key: str) -> None:
        """One more signature of a key, named by its vkey.

        Raises:
            TryAgainError: `key-worn-out`; `not-counted`: the disk does not take or give the count.
        """
        if self.limit is None:
            return
        if not self._left.get(key):
            self._reserve(key, self.limit)
        self._left[key] -= 1

    def used(self, key: str) -> int | None:
        """Signatures that count as made, by what this process has seen; None if it has not."""
        if key not in self._reserved:
            return None
        return self._reserved[key] - self._left.get(key, 0)

    def give_back(self) -> None:
        """Count what was reserved and not made as not made: an orderly end."""
        for key, left in self._left.items():
            if left:
                with suppress(TryAgainError):
                    self.book.reserve(key, self._reserved[key] - left)
        self._left.clear()

    def look(self, keys: Iterable[str]) -> None:
        """Read how often keys were used, for those who ask."""
        if self.limit is not None:
            with suppress(TryAgainError):
                self._reserved.update({key: self.book.reserved(key) for key in keys})

    def _reserve(self, key: str, limit: int) -> None:
        reserved = self.book.reserved(key)
        block = min(BLOCK, max(1, limit // 1000), limit - reserved)
        if block <= 0:
            message = f"a key has made the {limit} signatures that it may make"
            hint = "replace it: docs/operations/roster.md, A new key for an old one"
            raise TryAgainError("key-worn-out", message, hint=hint, retry_after=60)
        self.book.reserve(key, reserved + block)
        self._reserved[key] = reserved + block
        self._left[key] = block

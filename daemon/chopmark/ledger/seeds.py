"""What is kept of blinded runs, and for how long: their seeds, sealed; the salts follow from them.

A seed is written in the transaction that makes its entries durable, so that after any cut their
proofs can still be made. It is sealed under a key that is not on this disk (`service.salts`), and
is forgotten after a day; whoever has an old copy of the disk has nothing once that key is gone.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

KEPT: Final = 24 * 3_600_000
"""Ms for which seeds are kept: as long as idempotency records, in which proofs are asked for."""


class Sealed(NamedTuple):
    """A sealed seed of a run that is to be recorded.

    Attributes:
        key: which salt key has sealed it, by the time since when that is used (ms).
        box: the sealed seed.
        first: number of the salt of the run's first entry.
        until: ms since the Unix epoch, up to which it is kept.
    """

    key: int
    box: bytes
    first: int
    until: int


class KeptSeed(NamedTuple):
    """The entries [start, start + size) have the salts from number `sealed.first` on."""

    start: int
    size: int
    sealed: Sealed

    def number(self, index: int) -> int:
        """Number of an entry's salt."""
        return self.sealed.first + index - self.start


def write_seeds(db: sqlite3.Connection, seeds: Sequence[KeptSeed]) -> None:
    """Write the seeds of runs, within the caller's transaction."""
    rows = [(kept.start, kept.size, *kept.sealed) for kept in seeds]
    db.executemany("INSERT INTO seed VALUES (?, ?, ?, ?, ?, ?)", rows)


def find_seed(db: sqlite3.Connection, index: int) -> KeptSeed | None:
    """What is kept of the run that an entry belongs to."""
    query = (
        "SELECT start, count, key, box, first, until FROM seed"
        " WHERE start <= ? ORDER BY start DESC LIMIT 1"
    )
    row = db.execute(query, (index,)).fetchone()
    if row is None or index >= row[0] + row[1]:
        return None
    return KeptSeed(row[0], row[1], Sealed(*row[2:]))


def forget_seeds(db: sqlite3.Connection, now: int) -> None:
    """Forget those whose time is over; `now` is in ms since the Unix epoch."""
    db.execute("DELETE FROM seed WHERE until < ?", (now,))

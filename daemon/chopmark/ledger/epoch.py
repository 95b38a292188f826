"""The ledger's side of the head mark: epochs, and what keeps our log from being signed.

Rules (docs/formats/head-mark.md):
1. Before the first signature of a run `settle` makes final whichever epoch the token holds, writes
   a fresh next one, and takes back that the last run stopped in order. Then the token gets the next
   one, and then `finish` makes it final here.
2. After a crash between any two of these the token holds one of the two: start-up begins again.
3. A database without a row was made by `chopmark init`, or by software before this table.

Each function runs inside `Store.change`: one durable transaction.
"""

import sqlite3
from dataclasses import dataclass, replace

from chopmark.core.errors import InternalError

_WRITE = (
    "INSERT OR REPLACE INTO epoch (id, current, next, clean, seen_note, barred)"
    " VALUES (1, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Epochs:
    """The row.

    Attributes:
        current: the epoch of the token's mark, as far as this database knows; None before the
            first mark.
        next: the one that is being written into the token, if any.
        clean: the last run stopped in order.
        seen_note: a head of ours that the log does not cover, or contradicts.
        barred: why this origin must not go on, in words.
    """

    current: bytes | None = None
    next: bytes | None = None
    clean: bool = False
    seen_note: bytes | None = None
    barred: str | None = None

    def fits(self, epoch: bytes | None) -> bool:
        """Whether the epoch in the token, or None, is one that this database left there."""
        if epoch is None:
            return self.current is None
        return epoch in (self.current, self.next)


def read_epochs(db: sqlite3.Connection) -> Epochs:
    """The row, or what stands for none."""
    columns = "current, next, clean, seen_note, barred"
    row = db.execute(f"SELECT {columns} FROM epoch").fetchone()  # noqa: S608 - our own column names
    return Epochs(row[0], row[1], bool(row[2]), *row[3:]) if row else Epochs()


def write_epochs(db: sqlite3.Connection, epochs: Epochs) -> None:
    """Put the row."""
    row = (epochs.current, epochs.next, int(epochs.clean), epochs.seen_note, epochs.barred)
    db.execute(_WRITE, row)


def settle(db: sqlite3.Connection, held: bytes | None, fresh: bytes) -> None:
    """Step 1: the epoch that the token holds is final, and `fresh` is to be the next.

    Raises:
        InternalError: `foreign-epoch`: the token's is neither of ours.
    """
    epochs = read_epochs(db)
    if not epochs.fits(held):
        raise InternalError("foreign-epoch", "the token's epoch is not the ledger's")
    write_epochs(db, replace(epochs, current=held, next=fresh, clean=False))


def finish(db: sqlite3.Connection) -> None:
    """Step 3: the token holds the next epoch, which so becomes the current one."""
    db.execute("UPDATE epoch SET current = next, next = NULL")


def stop_clean(db: sqlite3.Connection) -> None:
    """The run stops in order: nothing is signed any more."""
    db.execute("UPDATE epoch SET clean = 1")


def forget_seen(db: sqlite3.Connection, note: bytes) -> None:
    """Forget that head: the roster has ended the key that signed it, below it."""
    db.execute("UPDATE epoch SET seen_note = NULL WHERE seen_note = ?", (note,))


def keep_seen(db: sqlite3.Connection, note: bytes) -> None:
    """Keep a head of ours that the log does not cover, so that a restart does not forget it."""
    write_epochs(db, replace(read_epochs(db), seen_note=note))

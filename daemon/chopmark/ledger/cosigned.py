"""What each cosigner key of ours has cosigned last, log by log: one row that never goes back.

A row is read, a newer one is made and signed, and it takes the place of the one that was read, or
of none: checking and storing are one step, so that a slower request cannot roll a log back
(C2SP tlog-witness). Only what is stored is ever handed out.
"""

import sqlite3
from dataclasses import dataclass

from chopmark.core.merkle import EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The newest checkpoint of a log that a key has cosigned.

    Attributes:
        time: seconds since the Unix epoch.
        note: with the log's signature and the cosignature; empty if there is none.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    time: int = 0
    note: bytes = b""


def read_cosigned(db: sqlite3.Connection, origin: str, vkey: str) -> Cosigned | None:
    """The row of a log and a key; None before the first."""
    query = "SELECT size, root, time, note FROM cosigner WHERE origin = ? AND vkey = ?"
    row = db.execute(query, (origin, vkey)).fetchone()
    return Cosigned(*row) if row else None


def move_cosigned(
    db: sqlite3.Connection, origin: str, vkey: str, before: Cosigned | None, after: Cosigned
) -> bool:
    """Put a row in the place of the one that was read; false if that is not there any more.

    Raises:
        ValueError: if the size or the time would go back, or the root of a size change.
    """
    if before is None:
        done = db.execute(
            "INSERT INTO cosigner (origin, vkey, size, root, time, note)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (origin, vkey, after.size, after.root, after.time, after.note),
        )
        return done.rowcount == 1
    same = after.size > before.size or (after.size, after.root) == (before.size, before.root)
    if not same or after.time < before.time:
        raise ValueError("a cosigner's row never goes back")
    done = db.execute(
        "UPDATE cosigner SET size = ?, root = ?, time = ?, note = ?"
        " WHERE origin = ? AND vkey = ? AND size = ? AND root = ? AND time = ?",
        (
            *(after.size, after.root, after.time, after.note),
            *(origin, vkey, before.size, before.root, before.time),
        ),
    )
    return done.rowcount == 1

"""What became of requests with an idempotency key: kept for 24 hours, in the entries' transaction.

Rows are in the order in which they came, so that the oldest are found and removed without an index
of their own, and their number is known without counting.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from chopmark.core.idempotency import KEPT

MAX_KEPT: Final = 2_000_000
"""Records (some 200 MB): 23 a second, all day long. Batches leave a tenth of it to single requests,
and revocations are not counted against it."""
STEP: Final = 5000
"""Records removed in one transaction (some 30 ms), so that nobody waits long behind it."""


class Record(NamedTuple):
    """What became of one request.

    Attributes:
        id: of client and key.
        fingerprint: of what was asked for.
        entry: its index in our log.
        made_at: when that entry was made, ms since the Unix epoch.
        kept_at: when this was recorded, ms.
        duplicate: whether the entry was there before.
    """

    id: bytes
    fingerprint: bytes
    entry: int
    made_at: int
    kept_at: int
    duplicate: bool = False


def write_records(db: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Write records within the caller's transaction; one that is over gives way."""
    query = (
        "INSERT OR REPLACE INTO idempotency"
        " (id, fingerprint, entry, made_at, kept_at, duplicate) VALUES (?, ?, ?, ?, ?, ?)"
    )
    db.executemany(query, records)


def find_record(db: sqlite3.Connection, wanted: bytes, now: int) -> Record | None:
    """The record of an id, unless it is over; `now` is in ms since the Unix epoch."""
    query = (
        "SELECT id, fingerprint, entry, made_at, kept_at, duplicate FROM idempotency"
        " WHERE id = ? AND kept_at > ?"
    )
    row = db.execute(query, (wanted, now - KEPT)).fetchone()
    return None if row is None else Record._make(row)


def count_records(db: sqlite3.Connection) -> int:
    """How many there are at most."""
    query = "SELECT max(number), (SELECT min(number) FROM idempotency) FROM idempotency"
    last, first = db.execute(query).fetchone()
    return 0 if last is None else int(last - first + 1)


def has_old(db: sqlite3.Connection, now: int) -> bool:
    """Whether some records are over."""
    row = db.execute("SELECT kept_at FROM idempotency ORDER BY number LIMIT 1").fetchone()
    return row is not None and row[0] <= now - KEPT


def forget_some(db: sqlite3.Connection, now: int) -> None:
    """Remove some records that are over, the oldest."""
    query = (
        "DELETE FROM idempotency WHERE kept_at <= ?1 AND number IN"
        " (SELECT number FROM idempotency ORDER BY number LIMIT ?2)"
    )
    db.execute(query, (now - KEPT, STEP))

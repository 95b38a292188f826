"""Audit records that another program of the box hands over: each counts once.

That program numbers its records. Up to which number they were taken is written in the transaction
that writes the records, so that what is handed over again, after a cut, is no second record.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from chopmark.core.audit import Record
from chopmark.ledger import audit as table

NOTHING: Final = -1
MOST: Final = 16
"""Sources that are remembered; beyond, the one is forgotten that has handed over longest ago."""


class Handed(NamedTuple):
    """A record that is handed over: its number there, what it says, and the salt for its leaf."""

    number: int
    record: Record
    salt: bytes


def take(db: sqlite3.Connection, source: str, records: Sequence[Handed]) -> int:
    """Write what was not taken before; gives up to which number all is here.

    Args:
        db: within a transaction.
        source: who numbers them.
        records: in the order of their numbers.

    Raises:
        MalformedError: `malformed-record`.
    """
    last = read_taken(db, source)
    fresh = [one for one in records if one.number > last]
    if not fresh:
        return last
    tip = table.append(db, [(one.record, one.salt) for one in fresh])
    last = fresh[-1].number
    db.execute("INSERT OR REPLACE INTO audit_taken VALUES (?, ?, ?)", (source, last, tip.number))
    others = "SELECT source FROM audit_taken ORDER BY at DESC LIMIT -1 OFFSET ?"
    db.execute(f"DELETE FROM audit_taken WHERE source IN ({others})", (MOST,))  # noqa: S608 - no input
    return last


def read_taken(db: sqlite3.Connection, source: str) -> int:
    """Up to which number records of a source were taken; -1 if none were."""
    found = db.execute("SELECT number FROM audit_taken WHERE source = ?", (source,)).fetchone()
    return NOTHING if found is None else int(found[0])

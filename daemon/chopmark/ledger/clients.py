"""Which client had which attestations made, so that duplicates are found within one client only.

Kept for whole stretches of the log: a row is written where another client than before begins.
Entries of before there was such a row are nobody's.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

NOBODY: Final = 0
_AT: Final = "SELECT client FROM attested_by WHERE start <= ? ORDER BY start DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Clients:
    """All clients that there were.

    Attributes:
        numbers: by name.
        last: the one whose attestations come last.
    """

    numbers: Mapping[str, int] = field(default_factory=lambda: {"": NOBODY})
    last: int = NOBODY


def load_clients(db: sqlite3.Connection) -> Clients:
    """The clients that are stored."""
    numbers = {"": NOBODY, **dict(db.execute("SELECT name, id FROM client").fetchall())}
    row = db.execute("SELECT client FROM attested_by ORDER BY start DESC LIMIT 1").fetchone()
    return Clients(numbers, row[0] if row else NOBODY)


def write_stretches(
    db: sqlite3.Connection, known: Clients, stretches: Sequence[tuple[int, str]]
) -> Clients:
    """Write whose attestations begin where, within the caller's transaction.

    Args:
        db: the database.
        known: what it holds.
        stretches: index of the first attestation, and the client.

    Returns:
        What it holds once that is committed.
    """
    numbers, last = known.numbers, known.last
    for start, name in stretches:
        number = numbers.get(name)
        if number is None:
            number = db.execute("INSERT INTO client (name) VALUES (?)", (name,)).lastrowid or NOBODY
            numbers = {**numbers, name: number}
        if number != last:
            db.execute("INSERT INTO attested_by VALUES (?, ?)", (start, number))
            last = number
    return Clients(numbers, last)


def client_name_at(db: sqlite3.Connection, index: int) -> str | None:
    """The name of the client that had an attestation made; None if it is not known."""
    row = db.execute("SELECT name FROM client WHERE id = ?", (client_at(db, index),)).fetchone()
    return None if row is None else str(row[0])


def client_at(db: sqlite3.Connection, index: int) -> int:
    """The number of the client that had an attestation made."""
    row = db.execute(_AT, (index,)).fetchone()
    return row[0] if row else NOBODY

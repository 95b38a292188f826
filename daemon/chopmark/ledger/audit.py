"""The audit log in our own `log.db` (docs/formats/audit.md).

Rules:
1. A record is numbered and chained to the last one within the transaction that writes it, so that
   a local command may write one beside the daemon.
2. A day is over once a record of another date comes, or somebody says that the date has changed.
   Its tree is made in that transaction, and never again.
3. A day is logged by an entry of our ledger; only then, and only by a command, its records go.

The functions here run inside `Store.change`, or on a reader's connection.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from chopmark.core.audit import (
    START,
    Day,
    Record,
    date_of,
    encode_record,
    link,
    make_day,
    parse_record,
    salted_leaf,
)
from chopmark.core.errors import MissingError
from chopmark.core.merkle import fold_perfect, inclusion_proof

_DAYS = "SELECT number, date, first, count, root, chain, entry, pruned_at FROM audit_day"
_ROWS = "SELECT number, date, salt, record, chain FROM audit_record"


class Row(NamedTuple):
    """A record as it is stored; `record` is its bytes."""

    number: int
    date: str
    salt: bytes
    record: bytes
    chain: bytes

    def leaf(self) -> bytes:
        """Its leaf in the tree of its day."""
        return salted_leaf(self.salt, self.record)


@dataclass(frozen=True, slots=True)
class Logged:
    """A day that is over.

    Attributes:
        entry: index of its entry in our log, once that is there.
        pruned_at: when its records were taken out, ms since the Unix epoch.
    """

    day: Day
    entry: int | None
    pruned_at: int | None


class Tip(NamedTuple):
    """Where the audit log ends: number and chain for the next record; the date of today's ones."""

    number: int
    chain: bytes
    date: str | None


def append(db: sqlite3.Connection, records: Sequence[tuple[Record, bytes]]) -> Tip:
    """Write records, each with its salt; days that end with them are closed.

    Raises:
        MalformedError: `malformed-record`.
    """
    number, chain, open_date = read_tip(db)
    for record, salt in records:
        date, data = date_of(record.time), encode_record(record)
        if open_date not in (None, date):
            close_day(db)
        chain, open_date = link(chain, salted_leaf(salt, data)), date
        row = Row(number, date, salt, data, chain)
        db.execute("INSERT INTO audit_record VALUES (?, ?, ?, ?, ?)", row)
        number += 1
    return Tip(number, chain, open_date)


def read_tip(db: sqlite3.Connection) -> Tip:
    """Where the audit log ends."""
    number, chain = _end_of_days(db)
    query = "SELECT number, chain, date FROM audit_record ORDER BY number DESC LIMIT 1"
    last = db.execute(query).fetchone()
    if last is None or last[0] < number:
        return Tip(number, chain, None)
    return Tip(last[0] + 1, last[1], last[2])


def close_day(db: sqlite3.Connection, today: str | None = None) -> None:
    """End the day of the records that belong to none, if there are any, unless that is `today`."""
    first, before = _end_of_days(db)
    query = "SELECT date FROM audit_record WHERE number >= ? ORDER BY number LIMIT 1"
    found = db.execute(query, (first,)).fetchone()
    if found is None or found[0] == today:
        return
    rows = read_today(db)
    number = db.execute("SELECT count(*) FROM audit_day").fetchone()[0]
    day = make_day(number, rows[0].date, first, before, [row.leaf() for row in rows])
    values = (day.number, day.date, day.first, day.count, day.root, day.chain)
    db.execute("INSERT INTO audit_day VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", values)


def read_today(db: sqlite3.Connection) -> list[Row]:
    """The records of the day that is not over."""
    first, _ = _end_of_days(db)
    return [Row(*row) for row in db.execute(f"{_ROWS} WHERE number >= ? ORDER BY number", (first,))]


def read_days(db: sqlite3.Connection, date: str | None = None) -> list[Logged]:
    """The days that are over, or those of one date."""
    where, values = ("", ()) if date is None else (" WHERE date = ?", (date,))
    rows = db.execute(f"{_DAYS}{where} ORDER BY number", values)
    return [Logged(Day(*row[:6]), *row[6:]) for row in rows]


def read_unlogged(db: sqlite3.Connection) -> list[Day]:
    """The days that are over and have no entry in our log that we know of, oldest first."""
    rows = db.execute(f"{_DAYS} WHERE entry IS NULL ORDER BY number")
    return [Day(*row[:6]) for row in rows]


def mark_logged(db: sqlite3.Connection, number: int, entry: int) -> None:
    """Keep the index of a day's entry."""
    db.execute("UPDATE audit_day SET entry = ? WHERE number = ?", (entry, number))


def read_records(
    db: sqlite3.Connection, date: str | None, after: int, limit: int
) -> tuple[list[Row], Tip]:
    """Records with a number above `after`, of one date or of all; and where the log ends."""
    where, values = ("", ()) if date is None else (" AND date = ?", (date,))
    query = f"{_ROWS} WHERE number > ?{where} ORDER BY number LIMIT ?"
    return [Row(*row) for row in db.execute(query, (after, *values, limit))], read_tip(db)


def read_day(db: sqlite3.Connection, day: Day) -> list[Row]:
    """The records of a day that are there."""
    query = f"{_ROWS} WHERE number >= ? AND number < ? ORDER BY number"
    return [Row(*row) for row in db.execute(query, (day.first, day.first + day.count))]


def walk_back(db: sqlite3.Connection) -> Iterator[Record]:
    """All records, newest first, read as they are asked for."""
    for (data,) in db.execute("SELECT record FROM audit_record ORDER BY number DESC"):
        yield parse_record(data)


def prove(db: sqlite3.Connection, number: int) -> tuple[Row, Logged, tuple[bytes, ...]]:
    """A record, its day, and the path from its leaf to the day's root.

    Raises:
        MissingError: `no-such-record`; `record-pruned`; `day-not-logged` while its day has no
            entry in our log.
    """
    query = f"{_DAYS} WHERE first <= ? AND first + count > ?"
    found = db.execute(query, (number, number)).fetchone()
    if found is None or found[6] is None:
        if not 0 <= number < read_tip(db).number:
            raise MissingError("no-such-record", f"there is no audit record {number}")
        message = f"the day of audit record {number} is not in the ledger yet"
        hint = "a day's entry is made when the day is over (UTC)"
        raise MissingError("day-not-logged", message, hint=hint)
    logged = Logged(Day(*found[:6]), *found[6:])
    if logged.pruned_at is not None:
        message = f"the records of {logged.day.date} were taken out"
        raise MissingError("record-pruned", message, hint="they are in the file made then")
    rows = read_day(db, logged.day)
    leaves = [row.leaf() for row in rows]
    at = number - logged.day.first
    return rows[at], logged, inclusion_proof(at, len(leaves), partial(_fold, leaves))


def find_prunable(db: sqlite3.Connection, before: str, signed: int) -> list[Logged]:
    """The days before a date whose records may go: their entries lie below the signed size."""
    found: list[Logged] = []
    for one in read_days(db):
        if one.pruned_at is not None:
            continue
        if one.day.date >= before or one.entry is None or one.entry >= signed:
            break
        found.append(one)
    return found


def prune(db: sqlite3.Connection, day: Day, now: int) -> None:
    """Take out the records of a day; what they came to stays."""
    last = day.first + day.count
    db.execute("DELETE FROM audit_record WHERE number >= ? AND number < ?", (day.first, last))
    db.execute("UPDATE audit_day SET pruned_at = ? WHERE number = ?", (now, day.number))


def _end_of_days(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Number of the first record of the day that is not over, and the chain before it."""
    query = "SELECT first + count, chain FROM audit_day ORDER BY number DESC LIMIT 1"
    found: tuple[int, bytes] | None = db.execute(query).fetchone()
    return found or (0, START)


def _fold(leaves: Sequence[bytes], level: int, index: int) -> bytes:
    """The root of a perfect subtree over a day's leaves."""
    return fold_perfect(leaves[index << level : index + 1 << level])

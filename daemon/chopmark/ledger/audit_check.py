"""The check of the audit log from the bytes on disk (`chopmark fsck`, `chopmark audit check`).

1. Each record is chained to the one before, and lies in the day whose date it has.
2. The records of each day, as far as they are still there, lead to its root and its chain.
3. The entry of each day in the ledger holds the day's value.
4. Each entry of type 5 since the first day is that of one day.

It reads only, and may run beside a gateway.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.core.audit import AUDIT, START, Day, date_of, link, make_day, parse_record
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.tiles import WIDTH, parse_bundle
from chopmark.ledger.audit import Logged, Row, read_day, read_days, read_today
from chopmark.ledger.fsck import MAX_FINDINGS, Finding
from chopmark.ledger.schema import connect

_PREFIX: Final = b"\xa4\x00\x01\x01\x05"
"""How an entry of type 5 that we made begins: it spares reading the others."""


@dataclass(slots=True)
class AuditReport:
    """What a check has seen.

    Attributes:
        records: that are there and were checked.
        days: that are over.
        logged: days whose entry is in the ledger.
        pruned: days whose records were taken out.
        earlier: entries in the ledger of days before this audit log began, whose records are not
            here: it was lost, with a ledger that was recovered from the peers.
        chain: its newest value.
        findings: what is wrong.
    """

    records: int = 0
    days: int = 0
    logged: int = 0
    pruned: int = 0
    earlier: int = 0
    chain: bytes = START
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: str, message: str) -> None:
        """Add a finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, message))


def check_audit(path: Path) -> AuditReport:
    """Check the audit log of a gateway's own ledger.

    Args:
        path: the ledger's database.
    """
    report = AuditReport()
    try:
        with closing(connect(path, read_only=True)) as db:
            db.execute("BEGIN")  # one snapshot
            if _has_tables(db):
                _check_all(db, report)
    except (ChopmarkError, sqlite3.Error) as error:
        report.find("unreadable", f"{path}: {error}")
    return report


def _has_tables(db: sqlite3.Connection) -> bool:
    """Whether the ledger has an audit log: software before it wrote none."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = 'audit_day'"
    return db.execute(query).fetchone() is not None


def _check_all(db: sqlite3.Connection, report: AuditReport) -> None:
    days = read_days(db)
    for number, logged in enumerate(days):
        _check_day(db, report, number, logged)
    due = sum(one.day.count for one in days)
    today = read_today(db)
    _check_rows(report, today, due, report.chain)
    if len({row.date for row in today}) > 1:
        report.find("audit-day", "the records of today are of more than one date")
    stray = db.execute("SELECT count(*) FROM audit_record").fetchone()[0] - report.records
    if stray:
        report.find("audit-day", f"{stray} records belong to no day, or to one that was taken out")
    _check_entries(db, report, days)


def _check_day(db: sqlite3.Connection, report: AuditReport, number: int, logged: Logged) -> None:
    day, before = logged.day, report.chain
    report.days += 1
    if day.number != number:
        report.find("audit-day", f"day {number} is missing before day {day.number} ({day.date})")
    if logged.pruned_at is None:
        rows = read_day(db, day)
        _check_rows(report, rows, day.first, before)
        leaves = [row.leaf() for row in rows]
        alike = {row.date for row in rows} == {day.date}
        if not alike or make_day(day.number, day.date, day.first, before, leaves) != day:
            message = f"the records of day {day.number} ({day.date}) are not those of its root"
            report.find("audit-day", message)
    else:
        report.pruned += 1
    report.chain = day.chain


def _check_rows(report: AuditReport, rows: list[Row], first: int, chain: bytes) -> None:
    """Numbers without gaps, each record chained to the one before and of the date it has."""
    for number, row in enumerate(rows, first):
        if row.number != number:
            report.find("audit-chain", f"record {number} is missing")
            break
        if row.chain != link(chain, row.leaf()):
            report.find("audit-chain", f"record {number} is not what was chained to the one before")
        if not _is_of(row):
            report.find("audit-day", f"record {number} cannot be read, or is not of {row.date}")
        chain = row.chain
    report.records += len(rows)
    report.chain = chain


def _is_of(row: Row) -> bool:
    try:
        return date_of(parse_record(row.record).time) == row.date
    except MalformedError:
        return False


def _check_entries(db: sqlite3.Connection, report: AuditReport, days: list[Logged]) -> None:
    named = {one.entry: one.day for one in days if one.entry is not None}
    report.logged = len(named)
    # An entry may be in the ledger though a crash kept us from noting where.
    due = {one.day.value() for one in days if one.entry is None}
    begins = min(named, default=None)
    found: set[int] = set()
    for index, value in _roots(db):
        found.add(index)
        day = named.get(index)
        if day is not None:
            _compare(report, day, index, value)
        elif value in due:
            due.remove(value)
        elif begins is None or index < begins:
            report.earlier += 1
        else:
            message = f"entry {index} of the ledger is of a day that the audit log does not have"
            report.find("audit-root", message)
    for index in sorted(named.keys() - found):
        message = f"the ledger does not hold the root of {named[index].date} as its entry {index}"
        report.find("audit-root", message)


def _compare(report: AuditReport, day: Day, index: int, value: bytes) -> None:
    if value != day.value():
        message = f"entry {index} of the ledger does not hold the root of {day.date}, its day"
        report.find("audit-root", message)


def _roots(db: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """The entries of type 5 in the ledger: index and value."""
    for number, bundle in db.execute("SELECT n, entries FROM bundle ORDER BY n"):
        if _PREFIX not in bundle:
            continue
        for index, data in enumerate(parse_bundle(bundle), number * WIDTH):
            entry = _read(data) if data.startswith(_PREFIX) else None
            if entry is not None:
                yield index, entry.value


def _read(data: bytes) -> Commitment | None:
    try:
        entry = parse_entry(data)
    except MalformedError:
        return None
    return entry if isinstance(entry, Commitment) and entry.type == AUDIT else None

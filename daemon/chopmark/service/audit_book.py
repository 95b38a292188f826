"""The audit log to be read: pages of it, and proofs of its records."""

import sqlite3
from functools import partial

from chopmark.api.audit import AuditOut, DayOut, RecordOut
from chopmark.core.audit import parse_record
from chopmark.core.audit_proof import AuditProof
from chopmark.core.errors import MissingError
from chopmark.core.ports import AuditSink
from chopmark.core.wording import format_time
from chopmark.ledger import audit as table
from chopmark.ledger.audit import Logged, Row
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState
from chopmark.service.auditing import noted


class Book:
    """Implements `api.audit.AuditBook` on our own log.

    Args:
        log: our own.
        audit: takes note of each proof that leaves.
    """

    def __init__(self, log: Log, audit: AuditSink) -> None:
        self._log = log
        self._audit = audit

    async def page(self, date: str | None, after: int, limit: int) -> AuditOut:
        """Records with a number above `after`, of one date or of all, at most `limit`."""
        call = partial(_read_page, date=date, after=after, limit=limit)
        page: AuditOut = await self._log.read(lambda reader, _: reader.look(call))
        return page

    async def proof(self, number: int) -> bytes:
        """The proof of a record; see `AuditBook`."""
        work = self._log.read(partial(_prove, number=number))
        return await noted(self._audit, "audit.proved", work, record=number)


def _read_page(db: sqlite3.Connection, date: str | None, after: int, limit: int) -> AuditOut:
    rows, tip = table.read_records(db, date, after, limit)
    days = table.read_days(db, date)
    if date is None:
        numbers = [row.number for row in rows] or [tip.number]
        first, last = numbers[0], numbers[-1]
        days = [d for d in days if d.day.first <= last and first < d.day.first + d.day.count]
    records = [_describe_record(row) for row in rows]
    return AuditOut(records, [_describe_day(one) for one in days], tip.number, tip.chain.hex())


def _describe_record(row: Row) -> RecordOut:
    record = parse_record(row.record)
    said = (record.actor, record.action, record.outcome, dict(record.about))
    return RecordOut(row.number, format_time(record.time), *said, row.chain.hex())


def _describe_day(logged: Logged) -> DayOut:
    day = logged.day
    hashes = (day.root.hex(), day.chain.hex(), day.value().hex())
    pruned = logged.pruned_at is not None
    return DayOut(day.number, day.date, day.first, day.count, *hashes, logged.entry, pruned)


def _prove(reader: Reader, state: LogState, number: int) -> bytes:
    row, logged, path = reader.look(partial(table.prove, number=number))
    if logged.entry is None:
        raise MissingError("day-not-logged", f"the day of record {number} has no entry yet")
    entry = reader.proof(logged.entry, state)
    return AuditProof(row.record, row.salt, number, path, logged.day, entry).encode()

"""The audit log in the ledger's database: chained, closed by days, checked, taken out."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

import audits
import trees
from chopmark.core.audit import START, Record, date_of, encode_record, follow
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.errors import MissingError
from chopmark.core.merkle import root_from_inclusion
from chopmark.ledger import audit as table
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.fsck import check_store
from chopmark.ledger.store import Store
from ledgers import KEYS, NOW, append, attestations, make_store, sign

DAY = 86_400_000
T = TypeVar("T")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(make_store(tmp_path / "log.db", attestations(3))) as made:
        yield made


def note(store: Store, *times: int) -> table.Tip:
    """One record for each time."""
    start = read(store, table.read_tip).number
    made = [
        (Record(time, "gateway", "hsm.changed", about={"number": number}), audits.salt(number))
        for number, time in enumerate(times, start)
    ]
    return store.change(partial(table.append, records=made))


def read(store: Store, call: Callable[[sqlite3.Connection], T]) -> T:
    return store.change(call)


def log_day(store: Store, number: int = 0) -> int:
    """Enter a day's value into the ledger, and mark it."""
    day = read(store, table.read_days)[number].day
    entry = store.size
    append(store, [encode_entry(Commitment(NOW, 5, day.value()))])
    store.change(lambda db: table.mark_logged(db, number, entry))
    return entry


def codes(store: Store) -> list[str]:
    return [finding.code for finding in check_audit(store.path).findings]


def test_records_are_numbered_chained_and_read_back(store: Store) -> None:
    note(store, audits.NOW, audits.NOW + 5)
    tip = note(store, audits.NOW + 9)
    rows, end = read(store, lambda db: table.read_records(db, None, -1, 10))
    assert [row.number for row in rows] == [0, 1, 2]
    assert tip == end == table.Tip(3, follow(START, [row.leaf() for row in rows]), audits.DATE)
    assert rows[2].record == encode_record(
        Record(audits.NOW + 9, "gateway", "hsm.changed", about={"number": 2})
    )
    later, _ = read(store, lambda db: table.read_records(db, audits.DATE, 0, 1))
    assert [row.number for row in later] == [1]
    assert read(store, lambda db: table.read_records(db, "2026-11-23", -1, 9))[0] == []
    assert codes(store) == []


def test_another_date_closes_the_day_whichever_way_the_clock_went(store: Store) -> None:
    times = (0, 1, DAY, -3 * DAY, 0)
    tip = note(store, *(audits.NOW + time for time in times))
    days = [one.day for one in read(store, table.read_days)]
    assert [(day.number, day.date, day.first, day.count) for day in days] == [
        (0, "2026-11-22", 0, 2),
        (1, "2026-11-23", 2, 1),
        (2, "2026-11-19", 3, 1),
    ]
    assert tip.date == "2026-11-22"
    rows, _ = read(store, lambda db: table.read_records(db, None, -1, 10))
    assert days[0].root == trees.root([row.leaf() for row in rows[:2]])
    assert days[2].chain == rows[3].chain
    assert codes(store) == []


def test_day_is_closed_once_and_not_while_it_lasts_nor_empty(store: Store) -> None:
    read(store, table.close_day)
    assert read(store, table.read_days) == []
    note(store, audits.NOW)
    read(store, partial(table.close_day, today=audits.DATE))
    assert read(store, table.read_days) == []
    for _ in range(2):
        read(store, partial(table.close_day, today="2026-11-23"))
    assert len(read(store, table.read_days)) == 1
    assert len(read(store, table.read_unlogged)) == 1
    assert note(store, audits.NOW).number == 2
    assert len(read(store, partial(table.read_days, date=audits.DATE))) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
def test_each_record_of_a_logged_day_has_a_path_to_its_root(store: Store, count: int) -> None:
    note(store, audits.NOW - DAY, *[audits.NOW] * count)
    read(store, table.close_day)
    for number in (0, 1):
        log_day(store, number)
    for number in range(1, count + 1):
        row, logged, path = read(store, partial(table.prove, number=number))
        assert row.number == number
        root = root_from_inclusion(row.leaf(), number - 1, count, path)
        assert root == logged.day.root
        assert logged.entry == 4


def test_record_without_a_logged_day_is_not_proven(store: Store) -> None:
    note(store, audits.NOW)
    for number, code in ((0, "day-not-logged"), (1, "no-such-record"), (-1, "no-such-record")):
        with pytest.raises(MissingError) as caught:
            read(store, partial(table.prove, number=number))
        assert caught.value.code == code
    read(store, table.close_day)
    with pytest.raises(MissingError, match="not in the ledger"):
        read(store, partial(table.prove, number=0))


def test_only_days_with_a_signed_entry_are_taken_out_and_the_chain_stays(store: Store) -> None:
    note(store, *(audits.NOW + number * DAY for number in range(4)))
    log_day(store, 0)
    log_day(store, 1)
    dates = partial(table.find_prunable, before="2026-11-24", signed=store.size - 1)
    found = read(store, dates)
    assert [one.day.date for one in found] == ["2026-11-22"]
    sign(store)
    for one in found:
        store.change(lambda db, day=one.day: table.prune(db, day, 7))
    assert [one.pruned_at for one in read(store, table.read_days)] == [7, None, None]
    report = check_audit(store.path)
    assert (report.findings, report.records, report.pruned, report.days) == ([], 3, 1, 3)
    with pytest.raises(MissingError, match="taken out"):
        read(store, partial(table.prove, number=0))
    assert read(store, partial(table.find_prunable, before="2027", signed=99))[0].day.number == 1
    assert read(store, partial(table.find_prunable, before="2026-11-23", signed=99)) == []


def test_walk_back_gives_the_newest_first(store: Store) -> None:
    note(store, audits.NOW, audits.NOW + DAY)
    assert [record.time for record in read(store, lambda db: list(table.walk_back(db)))] == [
        audits.NOW + DAY,
        audits.NOW,
    ]


DAMAGE = {
    "record changed": (
        "UPDATE audit_record SET record = cast(replace(record, 'h', 'k') AS BLOB)",
        {"audit-chain", "audit-day"},
    ),
    "salt changed": (
        "UPDATE audit_record SET salt = zeroblob(32) WHERE number = 1",
        {"audit-chain", "audit-day"},
    ),
    "salt cut": ("UPDATE audit_record SET salt = zeroblob(3) WHERE number = 1", {"unreadable"}),
    "record of a day removed": (
        "DELETE FROM audit_record WHERE number = 1",
        {"audit-chain", "audit-day"},
    ),
    "last record of a day removed": (
        "DELETE FROM audit_record WHERE number = 2",
        {"audit-day"},
    ),
    "record of today removed": ("DELETE FROM audit_record WHERE number = 5", {"audit-chain"}),
    "two swapped": (
        """UPDATE audit_record SET number = number - 3 WHERE number IN (1, 2);
        UPDATE audit_record SET number = -number WHERE number < 0""",
        {"audit-chain", "audit-day"},
    ),
    "record unreadable and chained anew": (
        "UPDATE audit_record SET record = x'00' WHERE number = 4",
        {"audit-chain", "audit-day"},
    ),
    "date changed": (
        "UPDATE audit_record SET date = '2026-11-01' WHERE number = 5",
        {"audit-day"},
    ),
    "day removed": ("DELETE FROM audit_day WHERE number = 0", {"audit-day", "audit-chain"}),
    "last day removed": (
        "DELETE FROM audit_day WHERE number = 1",
        {"audit-day", "audit-root"},
    ),
    "root changed": (
        "UPDATE audit_day SET root = zeroblob(32) WHERE number = 0",
        {"audit-day", "audit-root"},
    ),
    "records of a day gone": (
        "DELETE FROM audit_record WHERE number < 3",
        {"audit-day"},
    ),
    "taken out, and still there": (
        "UPDATE audit_day SET pruned_at = 1 WHERE number = 0",
        {"audit-day"},
    ),
    "entry is another one": (
        "UPDATE audit_day SET entry = 0 WHERE number = 0",
        {"audit-root"},
    ),
    "entries swapped": (
        "UPDATE audit_day SET entry = 7 - entry",
        {"audit-root"},
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(store: Store, name: str) -> None:
    note(store, *[audits.NOW] * 3, audits.NOW + DAY, *[audits.NOW + 2 * DAY] * 3)
    log_day(store, 0)
    log_day(store, 1)
    assert codes(store) == []
    sql, found = DAMAGE[name]
    with closing(sqlite3.connect(store.path)) as db:
        db.executescript(sql)
    assert set(codes(store)) == found


def test_day_whose_entry_was_made_and_not_marked_is_sound(store: Store) -> None:
    note(store, audits.NOW, audits.NOW + DAY)
    log_day(store)
    read(store, lambda db: db.execute("UPDATE audit_day SET entry = NULL").rowcount)
    assert codes(store) == []


def test_second_entry_of_a_day_is_found(store: Store) -> None:
    note(store, audits.NOW, audits.NOW + DAY)
    log_day(store)
    append(store, [encode_entry(Commitment(audits.NOW, 5, bytes(32))), b"\xa4\x00\x01\x01\x05"])
    assert codes(store) == ["audit-root"]


def test_entries_of_an_audit_log_that_was_lost_are_counted_and_no_finding(store: Store) -> None:
    append(store, [encode_entry(Commitment(audits.NOW, 5, bytes(32)))])
    assert check_audit(store.path).earlier == 1
    note(store, audits.NOW, audits.NOW + DAY)
    log_day(store)
    report = check_audit(store.path)
    assert (report.findings, report.earlier, report.logged) == ([], 1, 1)


def test_ledger_of_earlier_software_has_no_audit_log(store: Store) -> None:
    with closing(sqlite3.connect(store.path)) as db:
        db.executescript("DROP TABLE audit_day; DROP TABLE audit_record")
    assert check_audit(store.path).findings == []


def test_missing_ledger_is_a_finding(tmp_path: Path) -> None:
    assert [one.code for one in check_audit(tmp_path / "none.db").findings] == ["unreadable"]


def test_ledger_with_an_audit_log_is_sound(store: Store) -> None:
    note(store, audits.NOW, audits.NOW + DAY)
    log_day(store)
    sign(store)
    assert check_store(store.path, None, *KEYS) == []


def test_nothing_is_half_written_if_a_record_cannot_be(store: Store) -> None:
    bad = (Record(audits.NOW, "", "x"), audits.salt(1))
    good = (Record(audits.NOW, "gateway", "x"), audits.salt(0))
    with pytest.raises(Exception, match="no actor"):
        store.change(partial(table.append, records=[good, bad]))
    assert read(store, table.read_tip) == table.Tip(0, START, None)


def test_dates_are_those_of_records(store: Store) -> None:
    note(store, 0)
    assert read(store, table.read_tip).date == date_of(0)

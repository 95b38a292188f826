import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copy, copytree, rmtree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.ledger.fsck import MAX_FINDINGS, check_store
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.packed import SPAN, Keys, read_batch
from chopmark.ledger.run import Run, run_name, write_run
from chopmark.ledger.store import Store, create_store
from chopmark.ledger.summary import summarise
from chopmark.ledger.tail_check import check_tail
from ledgers import (
    COSIGNER,
    KEYS,
    LOG,
    NOW,
    ORIGIN,
    Source,
    append,
    attestation,
    attestations,
    make_store,
    revocation,
    sign,
)
from mutations import flipped
from softkeys import cosigner, log_key

ENTRIES = [*attestations(600), revocation(7, 4), attestation(1000, supersedes=9), b"not an entry"]
SIGNED = len(ENTRIES)
TAIL = attestations(3, start=2000)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that has everything: tail, heartbeat, references and index."""
    folder = tmp_path_factory.mktemp("sound")
    store = make_store(folder / "log.db", ENTRIES)
    sign(store)
    store.move_seen(1_800_000_000, Source(ENTRIES).note(time=1_800_000_000))
    append(store, TAIL)
    store.close()
    with closing(DigestIndex(folder / "index")) as index:
        index.put_many(0, [summarise(entry).sha256 for entry in [*ENTRIES, *TAIL]])
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    copy(sound / "log.db", tmp_path / "log.db")
    copytree(sound / "index", tmp_path / "index")
    return tmp_path


def codes(folder: Path) -> set[str]:
    findings = check_store(folder / "log.db", folder / "index", *KEYS)
    assert all(finding.message for finding in findings)
    return {finding.code for finding in findings}


def damage(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "log.db", isolation_level=None)) as db:
        done = db.execute(statement, values)
        assert done.rowcount, "the damage found nothing to damage"


def blob(folder: Path, query: str) -> bytes:
    with closing(sqlite3.connect(folder / "log.db")) as db:
        value = db.execute(query).fetchone()[0]
    assert isinstance(value, bytes)
    return value


def test_sound_ledger_has_no_findings(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    path, index = folder / "log.db", folder / "index"
    assert check_store(path, index, *KEYS, lambda done, size: seen.append((done, size))) == []
    size = SIGNED + len(TAIL)
    assert seen == [(256, size), (512, size), (size, size)]


def test_empty_ledger_has_no_findings(tmp_path: Path) -> None:
    create_store(tmp_path / "log.db", *KEYS)
    assert codes(tmp_path) == set()


def test_missing_index_is_no_damage(folder: Path) -> None:
    rmtree(folder / "index")
    assert codes(folder) == set()
    assert not (folder / "index").exists()


def test_missing_ledger_is_a_finding(tmp_path: Path) -> None:
    assert codes(tmp_path) == {"unreadable"}


def test_file_that_is_no_database_is_a_finding(folder: Path) -> None:
    (folder / "log.db").write_bytes(b"gone " * 1000)
    assert codes(folder) == {"unreadable"}


@pytest.mark.parametrize("size", [*range(1, 4), 254, 255, 256, 257, 258, 511, 512, 513, 600])
def test_every_size_is_sound(tmp_path: Path, size: int) -> None:
    with closing(make_store(tmp_path / "log.db", attestations(size))) as store:
        sign(store)
    assert codes(tmp_path) == set()


def test_other_keys_are_a_finding(folder: Path) -> None:
    path = folder / "log.db"
    found = check_store(path, None, LOG.vkey, cosigner(COSIGNER.name, 9).vkey)
    assert "other-keys" in {finding.code for finding in found}
    found = check_store(path, None, log_key(ORIGIN, 9).vkey, COSIGNER.vkey)
    assert {"other-keys", "bad-note"} <= {finding.code for finding in found}


@pytest.mark.parametrize("column", ["log_vkey", "cosigner_vkey", "origin"])
def test_changed_name_or_key_is_found(folder: Path, column: str) -> None:
    damage(folder, f"UPDATE log SET {column} = {column} || 'x'")  # noqa: S608 - names of our columns
    assert "other-keys" in codes(folder)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_flipped_bit_in_a_bundle_is_found(folder: Path, n: int) -> None:
    data = blob(folder, f"SELECT entries FROM bundle WHERE n = {n}")  # noqa: S608 - a number
    for bit in (3, 8 * 40, 8 * len(data) - 1):
        damage(folder, "UPDATE bundle SET entries = ? WHERE n = ?", flipped(data, bit), n)
        assert codes(folder) & {"bad-bundle", "bad-tile"}


def test_unsigned_entry_that_changed_is_found(folder: Path) -> None:
    data = blob(folder, "SELECT entries FROM bundle WHERE n = 2")
    damage(folder, "UPDATE bundle SET entries = ? WHERE n = 2", flipped(data, 8 * len(data) - 1))
    assert "bad-tile" in codes(folder)


@pytest.mark.parametrize("row", range(4))
def test_flipped_bit_in_a_tile_is_found(folder: Path, row: int) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as db:
        rows = db.execute("SELECT id, hashes FROM tile ORDER BY id").fetchall()
    assert len(rows) == 4
    number, hashes = rows[row]
    damage(folder, "UPDATE tile SET hashes = ? WHERE id = ?", flipped(hashes, 77), number)
    assert codes(folder) == {"bad-tile"}


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM bundle WHERE n = 1", "bad-bundle"),
        ("INSERT INTO bundle VALUES (3, x'', 0, 0, '')", "bad-bundle"),
        ("INSERT INTO bundle VALUES (-1, x'', 0, 0, '')", "bad-bundle"),
        ("UPDATE bundle SET made_first = made_first + 1 WHERE n = 0", "bad-range"),
        ("UPDATE bundle SET made_last = made_last - 1 WHERE n = 2", "bad-range"),
        ("UPDATE bundle SET kinds = kinds || 'x' WHERE n = 1", "bad-range"),
        ("UPDATE log SET made_last = made_last + 1", "bad-range"),
        ("DELETE FROM place WHERE kind = 'kyc-report' AND bundle = 1", "bad-place"),
        ("DELETE FROM place WHERE kind = '' AND bundle = 2", "bad-place"),
        ("UPDATE place SET made_first = made_first + 1 WHERE bundle = 0", "bad-place"),
        ("INSERT INTO place VALUES ('diploma', 1, 0)", "bad-place"),
        ("DELETE FROM tile WHERE id = 0", "bad-tile"),
        ("INSERT INTO tile VALUES (3, zeroblob(32))", "bad-tile"),
        ("UPDATE log SET size = size + 1", "bad-bundle"),
        ("UPDATE log SET size = size - 1", "bad-bundle"),
        ("UPDATE log SET size = 512", "wrong-root"),
        ("UPDATE log SET size = -1", "wrong-root"),
        ("UPDATE log SET size = 1 << 60", "bad-bundle"),
        ("UPDATE log SET head_size = head_size - 1", "wrong-root"),
        ("UPDATE log SET head_root = zeroblob(32)", "wrong-root"),
        ("UPDATE log SET head_note = NULL", "no-note"),
        ("UPDATE log SET head_note = CAST(seen_note || '\n' AS BLOB)", "bad-note"),
        ("UPDATE log SET seen_time = seen_time + 1", "bad-note"),
        ("UPDATE log SET seen_note = head_note", "bad-note"),
        ("UPDATE log SET seen_note = NULL", "bad-note"),
        ("UPDATE log SET seen_time = 0, seen_note = NULL, fork_note = x'00'", "bad-note"),
        ("DELETE FROM log", "unreadable"),
        ("DELETE FROM reference WHERE target = 7", "bad-reference"),
        ("INSERT INTO reference VALUES (1, 2, 2, 0, 0)", "bad-reference"),
        ("UPDATE reference SET reason = 0 WHERE target = 7", "bad-reference"),
        ("UPDATE reference SET type = 7 WHERE target = 7", "bad-reference"),
        ("UPDATE reference SET target = 8 WHERE target = 7", "bad-reference"),
        ("UPDATE reference SET source = 5 WHERE target = 7", "bad-reference"),
        ("UPDATE reference SET made_at = 0 WHERE target = 7", "bad-reference"),
        ("INSERT INTO grave VALUES (7, 300, 5)", "bad-reference"),
        ("INSERT INTO request VALUES (x'00', 1, 0, 1, 0)", "bad-request"),
        ("INSERT INTO request VALUES (x'00', 0, 0, 0, 0)", "bad-request"),
        ("INSERT INTO request VALUES (x'00', 0, -1, 2, 0)", "bad-request"),
        ("INSERT INTO request VALUES (x'00', 0, 1, 999999, 0)", "bad-request"),
    ],
)
def test_damage_to_a_row_is_found(folder: Path, statement: str, code: str) -> None:
    damage(folder, statement)
    assert code in codes(folder)


def index_file(folder: Path) -> Path:
    (path,) = (folder / "index").iterdir()
    return path


def rewrite(folder: Path, change: Callable[[Keys], Keys], *, end: int | None = None) -> None:
    """Put other keys into the index, in a file that is sound in itself."""
    run = Run(index_file(folder))
    run.path.unlink()
    keys = change(np.concatenate(list(run.all_keys())))
    write_run(folder / "index", 0, run.end if end is None else end, [np.sort(keys)])


def one_more(keys: Keys) -> Keys:
    words, _ = read_batch(0, [b"never attested".ljust(32)])
    return np.append(keys, words + np.uint64(300))


INDEX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing key": lambda folder: rewrite(folder, lambda keys: np.delete(keys, 77)),
    "other entry": lambda folder: rewrite(folder, lambda keys: keys + np.uint64(keys == keys[9])),
    "other digest": lambda folder: rewrite(
        folder, lambda keys: keys + np.uint64(SPAN) * (keys == keys[9]).astype(np.uint64)
    ),
    "one key more": lambda folder: rewrite(folder, one_more),
    "no keys": lambda folder: rewrite(folder, lambda keys: keys[:0]),
    "ahead": lambda folder: rewrite(folder, lambda keys: keys, end=10_000),
    "garbled": lambda folder: index_file(folder).write_bytes(b"gone " * 1000),
    "garbled key": lambda folder: index_file(folder).write_bytes(
        flipped(index_file(folder).read_bytes(), 999)
    ),
    "gap": lambda folder: index_file(folder).rename(folder / "index" / run_name(5, 700)),
    "no folder": lambda folder: (rmtree(folder / "index"), (folder / "index").touch()),
}


@pytest.mark.parametrize("fault", INDEX_DAMAGE)
def test_damage_to_the_index_is_found(folder: Path, fault: str) -> None:
    INDEX_DAMAGE[fault](folder)
    before = {path: path.read_bytes() for path in (folder / "index").glob("*")}
    assert codes(folder) == {"bad-index"}
    assert before == {path: path.read_bytes() for path in (folder / "index").glob("*")}


def test_index_that_is_not_in_order_is_found(folder: Path) -> None:
    run = Run(index_file(folder))
    keys = np.concatenate(list(run.all_keys()))
    keys[[3, 4]] = keys[[4, 3]]
    write_run(folder / "index", 0, run.end, [keys])
    assert codes(folder) == {"bad-index"}


def test_index_that_lags_is_no_damage(folder: Path) -> None:
    keys = np.concatenate(list(Run(index_file(folder)).all_keys()))
    index_file(folder).unlink()
    write_run(folder / "index", 0, 100, [keys[keys % np.uint64(SPAN) < np.uint64(100)]])
    assert codes(folder) == set()


def test_index_of_several_files_is_checked_file_by_file(folder: Path) -> None:
    keys = np.concatenate(list(Run(index_file(folder)).all_keys()))
    size = SIGNED + len(TAIL)
    index_file(folder).unlink()
    for start, end in ((0, 1), (1, 300), (300, 303), (303, size)):
        places = keys % np.uint64(SPAN)
        part = keys[(places >= np.uint64(start)) & (places < np.uint64(end))] - np.uint64(start)
        write_run(folder / "index", start, end, [part if start != 300 else part[:2]])
    findings = check_store(folder / "log.db", folder / "index", *KEYS)
    message = "the digest index of the entries 300 to 302 does not say what they do"
    assert [finding.message for finding in findings] == [message]


def test_places_that_are_lost_are_made_anew_by_the_next_start(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as db:
        before = db.execute("SELECT * FROM place").fetchall()
    damage(folder, "DELETE FROM place")
    assert codes(folder) == {"bad-place"}
    Store(folder / "log.db").close()
    assert codes(folder) == set()
    with closing(sqlite3.connect(folder / "log.db")) as db:
        assert db.execute("SELECT * FROM place").fetchall() == before


def test_ledger_of_software_that_kept_no_places_is_sound(folder: Path) -> None:
    damage(folder, "DROP TABLE place")
    assert codes(folder) == set()


def test_damaged_index_does_not_hide_other_damage(folder: Path) -> None:
    index_file(folder).write_bytes(b"gone " * 1000)
    damage(folder, "UPDATE bundle SET kinds = '' WHERE n = 1")
    assert codes(folder) == {"bad-index", "bad-range", "bad-place"}


def test_evidence_of_a_fork_is_reported(folder: Path) -> None:
    damage(folder, "UPDATE log SET fork_note = ?", Source(attestations(5)).note())
    assert codes(folder) == {"fork"}


def test_rolled_back_head_with_a_newer_heartbeat_is_sound(folder: Path) -> None:
    """The heartbeat is of a head of this log: that it is newer than the stored one is no damage."""
    source = Source(ENTRIES)
    with closing(sqlite3.connect(folder / "log.db", isolation_level=None)) as db:
        head = source.head(500)
        values = (500, head.root, source.note(500))
        db.execute("UPDATE log SET head_size = ?, head_root = ?, head_note = ?", values)
    assert codes(folder) == set()


def test_time_that_goes_back_is_found_and_whole_minutes_are_none(tmp_path: Path) -> None:
    minute = NOW - NOW % 60_000
    good = [
        attestation(0, minute + 30_000),
        attestation(1, minute, blinded=True),
        attestation(2, minute + 30_000),
        attestation(3, minute + 59_999),
        attestation(4, minute, blinded=True),
        attestation(5, minute + 60_000, blinded=True),
    ]
    store = make_store(tmp_path / "log.db", good)
    sign(store)
    assert codes(tmp_path) == set()
    append(store, [attestation(6, minute + 59_999), attestation(7, minute + 59_998)])
    sign(store)
    store.close()
    assert codes(tmp_path) == {"time-goes-back"}


def test_findings_are_bounded(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "log.db", isolation_level=None)) as db:
        rows = [(target, 601, 2, 0, 0) for target in range(10, 10 + 2 * MAX_FINDINGS)]
        db.executemany("INSERT INTO reference VALUES (?, ?, ?, ?, ?)", rows)
    found = check_store(folder / "log.db", folder / "index", *KEYS)
    assert len(found) == MAX_FINDINGS


def test_check_may_run_beside_a_writer(folder: Path) -> None:
    store = Store(folder / "log.db")
    append(store, attestations(300, start=5000))
    assert codes(folder) == set()
    store.close()


BLOBS = {
    "entries": ("bundle", "SELECT n, entries FROM bundle"),
    "hashes": ("tile", "SELECT id, hashes FROM tile"),
    "head_root": ("log", "SELECT id, head_root FROM log"),
    "head_note": ("log", "SELECT id, head_note FROM log"),
    "seen_note": ("log", "SELECT id, seen_note FROM log"),
}


@pytest.fixture(scope="module")
def scratch(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch")
    copy(sound / "log.db", folder / "log.db")
    copytree(sound / "index", folder / "index")
    return folder


@given(data=st.data())
def test_any_changed_byte_in_any_blob_is_found(scratch: Path, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(sorted(BLOBS)))
    table, query = BLOBS[column]
    with closing(sqlite3.connect(scratch / "log.db", isolation_level=None)) as db:
        key, whole = data.draw(st.sampled_from(db.execute(query).fetchall()))
        at = data.draw(st.integers(0, len(whole) - 1))
        changed = bytearray(whole)
        changed[at] ^= data.draw(st.integers(1, 255))
        name = "n" if table == "bundle" else "id"
        update = f"UPDATE {table} SET {column} = ? WHERE {name} = ?"  # noqa: S608 - our own names
        db.execute(update, (bytes(changed), key))
        try:
            assert codes(scratch), f"byte {at} of {column} {key} may change unseen"
        finally:
            db.execute(update, (whole, key))


def test_the_harness_finds_nothing_where_nothing_was_changed(scratch: Path) -> None:
    assert codes(scratch) == set()


def test_note_is_of_this_very_head(folder: Path) -> None:
    damage(folder, "UPDATE log SET head_note = ?", Source(ENTRIES).note(512))
    assert "bad-note" in codes(folder)


def test_two_notes_of_one_size_must_agree(folder: Path) -> None:
    other = Source([*ENTRIES[:-1], b"another"])
    damage(folder, "UPDATE log SET seen_note = ?", other.note(time=1_800_000_000))
    assert "bad-note" in codes(folder)


def test_dates_of_entries_that_do_not_parse_are_zero(tmp_path: Path) -> None:
    make_store(tmp_path / "log.db", [b"x", attestation(1, NOW), b"y"]).close()
    damage(tmp_path, "UPDATE bundle SET made_first = 0")
    assert codes(tmp_path) == {"bad-range", "bad-place"}


def tail_codes(folder: Path, count: int = 300) -> set[str]:
    return {found.code for found in check_tail(folder / "log.db", KEYS, (), count)}


def test_tail_of_a_sound_ledger_has_no_findings(folder: Path, tmp_path: Path) -> None:
    assert tail_codes(folder) == set()
    assert tail_codes(folder, 1) == set()
    make_store(tmp_path / "empty.db").close()
    assert check_tail(tmp_path / "empty.db", KEYS, (), 300) == []


def test_tail_that_changed_is_found_and_what_is_old_is_left_to_fsck(folder: Path) -> None:
    data = blob(folder, "SELECT entries FROM bundle WHERE n = 1")
    damage(folder, "UPDATE bundle SET entries = ? WHERE n = 1", flipped(data, 8 * len(data) - 1))
    assert tail_codes(folder) <= {"bad-leaf", "bad-bundle"}
    assert tail_codes(folder) != set()
    assert tail_codes(folder, 1) == set()


def test_tail_check_finds_another_head_and_a_lost_ledger(folder: Path) -> None:
    damage(folder, "UPDATE log SET head_root = ?", bytes(32))
    assert tail_codes(folder) >= {"bad-note", "bad-root"}
    (folder / "log.db").unlink()
    assert tail_codes(folder) == {"unreadable"}

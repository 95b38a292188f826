"""The check of our cosigners' rows, with damage of each kind."""

import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copy

import pytest

import ledgers
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.ledger.cosigned_check import check_cosigned
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.fsck import Finding
from chopmark.ledger.replace import put_epochs
from chopmark.ledger.store import create_store
from chopmark.service.backup import check_backup
from chopmark.service.config import parse_config
from chopmark.service.fsck import plan_checks
from configs import BASE, peer_block
from softkeys import SoftKey, cosigner, log_key, sign_head

OWN = log_key("bank-hk.example/hk-1", 7)
COSIGNER = cosigner(f"{OWN.name}/cosigner", 8)
WITNESS = cosigner(f"{OWN.name}/witness", 9)
OUTSIDE = log_key("log.example/outside", 11)
PEER = ledgers.ORIGIN
KEYS = {OWN.name: (OWN.vkey,), PEER: (ledgers.LOG.vkey,), OUTSIDE.name: (OUTSIDE.vkey,)}
TIME = 1_800_000_000
ROOT = bytes(range(32))


def row(db: sqlite3.Connection, head: Checkpoint, log: SoftKey, key: SoftKey) -> None:
    note = sign_head(head, log, {key: TIME})
    values = (head.origin, key.vkey.encode(), head.size, head.root, TIME, note)
    db.execute("INSERT INTO cosigner VALUES (?, ?, ?, ?, ?, ?)", values)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own ledger, with a row of each sort, and beside it the replica of a peer's log."""
    tmp_path = tmp_path_factory.mktemp("sound")
    source = ledgers.Source(ledgers.attestations(300))
    store = ledgers.make_store(tmp_path / "replica.db", source.entries)
    ledgers.sign(store)
    store.close()
    create_store(tmp_path / "log.db", OWN.vkey, COSIGNER.vkey)
    with closing(sqlite3.connect(tmp_path / "log.db")) as db, db:
        row(db, Checkpoint(OWN.name, 0, EMPTY_ROOT), OWN, COSIGNER)
        row(db, source.head(280), ledgers.LOG, COSIGNER)
        row(db, Checkpoint(OUTSIDE.name, 20, ROOT), OUTSIDE, WITNESS)
    return tmp_path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    for name in ("log.db", "replica.db"):
        copy(sound / name, tmp_path / name)
    return tmp_path / "log.db"


def check(path: Path) -> list[Finding]:
    found = check_cosigned(path, KEYS, {PEER: path.with_name("replica.db")})
    assert all(one.hint for one in found), "each finding says what to do"
    return found


def codes(path: Path) -> list[str]:
    return [finding.code for finding in check(path)]


def damage(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(statement, values).rowcount == 1


def swap(path: Path, head: Checkpoint, log: SoftKey, key: SoftKey) -> None:
    """Put another row in the place of a log's, as sound in itself as the keys are."""
    damage(path, "DELETE FROM cosigner WHERE origin = ?", head.origin)
    with closing(sqlite3.connect(path)) as db, db:
        row(db, head, log, key)


def test_sound_rows_have_no_findings(path: Path) -> None:
    assert check(path) == []


@pytest.mark.parametrize("origin", [OWN.name, PEER, OUTSIDE.name])
@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("vkey", "no key", "cosigner-key"),
        ("vkey", cosigner("bank-mo.example/mo-1/cosigner", 8).vkey.encode(), "cosigner-key"),
        ("vkey", cosigner(COSIGNER.name, 99).vkey.encode(), "cosigner-note"),
        ("size", 19, "cosigner-head"),
        ("root", b"another root of thirty-two bytes", "cosigner-head"),
        ("time", TIME - 1, "cosigner-head"),
        ("note", b"", "cosigner-note"),
    ],
)
def test_damaged_column_is_found(
    path: Path, origin: str, column: str, value: object, code: str
) -> None:
    damage(path, f"UPDATE cosigner SET {column} = ? WHERE origin = ?", value, origin)  # noqa: S608 - test names
    assert code in codes(path)


@pytest.mark.parametrize("origin", [OWN.name, PEER, OUTSIDE.name])
def test_flipped_bytes_of_a_note_is_found(path: Path, origin: str) -> None:
    query = "SELECT note FROM cosigner WHERE origin = ?"
    with closing(sqlite3.connect(path)) as db:
        note = bytes(db.execute(query, (origin,)).fetchone()[0])
        db.execute("PRAGMA synchronous=OFF")
        for at in range(0, len(note), 19):
            wrong = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
            db.execute("UPDATE cosigner SET note = ? WHERE origin = ?", (wrong, origin))
            db.commit()
            assert codes(path), at


def test_head_that_the_log_has_not_signed_is_found(path: Path) -> None:
    swap(path, Checkpoint(OUTSIDE.name, 20, ROOT), log_key(OUTSIDE.name, 99), WITNESS)
    assert codes(path) == ["cosigner-note"]
    assert check_cosigned(path, {}) == [], "whose key is not known is left aside"


def test_other_root_than_the_replicas_is_found(path: Path) -> None:
    swap(path, Checkpoint(PEER, 280, ROOT), ledgers.LOG, COSIGNER)
    assert codes(path) == ["cosigner-contradicts"]


def test_replica_that_is_behind_or_gone_is_no_finding(path: Path) -> None:
    swap(path, Checkpoint(PEER, 301, ROOT), ledgers.LOG, COSIGNER)
    assert check(path) == []
    path.with_name("replica.db").unlink()
    assert check(path) == []


def test_own_log_behind_its_cosigner_is_found_unless_that_is_known(path: Path) -> None:
    swap(path, Checkpoint(OWN.name, 5, ROOT), OWN, COSIGNER)
    assert codes(path) == ["cosigner-beyond"]
    put_epochs(path, Epochs(barred="its disk was put back"))
    assert check(path) == []


def test_backup_is_checked_by_itself(path: Path) -> None:
    assert check_backup(path) == (OWN.name, [])
    damage(path, "UPDATE cosigner SET size = 19 WHERE origin = ?", OUTSIDE.name)
    assert [one.code for one in check_backup(path)[1]] == ["cosigner-head"]


def test_gateway_checks_rows_with_its_own_ledger(path: Path) -> None:
    state = path.parent
    text = BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{state}"')
    text += f'\n[[witness.log]]\norigin = "{OUTSIDE.name}"\nvkey = "{OUTSIDE.vkey.encode()}"\n'
    peer = peer_block(log_vkey=f'"{ledgers.LOG.vkey.encode()}"')
    (own, *_) = plan_checks(parse_config((text + peer).encode()))
    assert own.run() == []
    swap(path, Checkpoint(OUTSIDE.name, 20, ROOT), log_key(OUTSIDE.name, 99), WITNESS)
    assert [one.code for one in own.run()] == ["cosigner-note"]

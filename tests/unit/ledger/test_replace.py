"""Putting a recovered ledger in its place."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import InternalError
from chopmark.core.mark import HeadMark
from chopmark.ledger.clients import client_at
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.replace import Cosigned, load_epochs, put_epochs, raise_floors, replace_ledger
from chopmark.ledger.store import Store
from chopmark.service.config import Config, parse_config
from chopmark.service.recovery import Watch, _Recovery
from chopmark.service.recovery_keys import Chosen
from chopmark.service.recovery_rule import Fate, Judgement
from chopmark.service.token import hsm_config
from configs import BASE
from ledgers import attestations, make_store, member, sign

EPOCHS = Epochs(current=b"e" * 16, clean=True)


def make(path: Path, count: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    store = make_store(path, attestations(count))
    sign(store)
    store.close()
    return path


def size(path: Path) -> int:
    store = Store(path)
    store.close()
    return store.size


def note_roster(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO roster_signed VALUES (3, x'01')")


def rosters(path: Path) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.execute("SELECT * FROM roster_signed"))


def test_old_ledger_is_kept_and_what_lies_beside_it_is_taken_over(tmp_path: Path) -> None:
    old, new = make(tmp_path / "log.db", 3), make(tmp_path / "recovery" / "log.db", 9)
    note_roster(old)
    (tmp_path / "index").mkdir()
    kept = replace_ledger(old, new, EPOCHS, tmp_path / "index")
    assert kept == tmp_path / "log.db.replaced-1"
    assert (size(kept), size(old)) == (3, 9)
    assert rosters(old) == [(3, b"\1")]
    assert load_epochs(old) == EPOCHS
    assert not (tmp_path / "index").exists()
    assert not new.exists()


def test_what_was_said_of_entries_that_are_lost_is_not_taken_over(tmp_path: Path) -> None:
    old, new = make(tmp_path / "log.db", 9), make(tmp_path / "recovery" / "log.db", 6)
    with closing(sqlite3.connect(old)) as db, db:
        for entry in (5, 6, 8):
            row = (b"%d" % entry, b"f", entry, 1, 1, 0)
            db.execute(
                "INSERT INTO idempotency (id, fingerprint, entry, made_at, kept_at, duplicate)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
        db.execute("INSERT INTO client (name) VALUES ('uid 1')")
        db.executemany("INSERT INTO attested_by VALUES (?, 1)", [(0,), (6,), (7,)])
        db.executemany(
            "INSERT INTO seed VALUES (?, ?, 1, x'00', 0, 1)", [(0, 3), (3, 3), (5, 3), (6, 1)]
        )
    replace_ledger(old, new, EPOCHS, tmp_path / "index")
    with closing(sqlite3.connect(old)) as db:
        assert list(db.execute("SELECT entry FROM idempotency")) == [(5,)]
        assert list(db.execute("SELECT start FROM attested_by")) == [(0,)]
        assert list(db.execute("SELECT name FROM client")) == [("uid 1",)]
        assert list(db.execute("SELECT start, count FROM seed")) == [(0, 3), (3, 3), (5, 1)]


def test_what_peers_give_back_is_no_client_s(tmp_path: Path) -> None:
    old, new = make(tmp_path / "log.db", 3), make(tmp_path / "recovery" / "log.db", 6)
    with closing(sqlite3.connect(old)) as db, db:
        db.execute("INSERT INTO client (name) VALUES ('uid 1')")
        db.execute("INSERT INTO attested_by VALUES (0, 1)")
    replace_ledger(old, new, EPOCHS, tmp_path / "index")
    with closing(sqlite3.connect(old)) as db:
        assert [client_at(db, index) for index in range(6)] == [1, 1, 1, 0, 0, 0]


def test_ledger_that_is_gone_or_damaged_is_no_hindrance(tmp_path: Path) -> None:
    old, new = tmp_path / "log.db", make(tmp_path / "recovery" / "log.db", 4)
    assert replace_ledger(old, new, EPOCHS, tmp_path / "index") is None
    old.write_bytes(b"no database at all, but some bytes of one" * 100)
    make(new, 6)
    kept = replace_ledger(old, new, EPOCHS, tmp_path / "index")
    assert kept is not None
    assert size(old) == 6
    make(new, 7)
    assert replace_ledger(old, new, EPOCHS, tmp_path / "index") == tmp_path / "log.db.replaced-2"


def test_kill_before_the_last_step_is_made_good_by_calling_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make(tmp_path / "log.db", 3), make(tmp_path / "recovery" / "log.db", 9)
    with monkeypatch.context() as patch:
        patch.setattr("chopmark.ledger.replace.shutil.rmtree", refuse)
        with pytest.raises(InternalError) as caught:
            replace_ledger(old, new, EPOCHS, tmp_path / "index")
        assert caught.value.code == "not-replaced"
    assert not old.exists()
    assert replace_ledger(old, new, EPOCHS, tmp_path / "index") is None
    assert size(old) == 9


def refuse(*_: object, **__: object) -> None:
    raise OSError("refused")


def test_what_we_cosigned_is_never_forgotten_by_a_smaller_head(tmp_path: Path) -> None:
    path = make(tmp_path / "log.db", 1)
    head = Checkpoint("bank-hk.example/hk-1", 7, b"\1" * 32)
    for size, time in ((7, 50), (5, 90), (9, 20)):
        floor = Cosigned(replace(head, size=size), "key", time, b"note %d" % size)
        put_epochs(path, Epochs(), [floor])
    with closing(sqlite3.connect(path)) as db:
        rows = list(db.execute("SELECT size, time, note FROM cosigner"))
    assert rows == [(9, 50, b"note 9")]


def test_row_is_put_and_read(tmp_path: Path) -> None:
    path = make(tmp_path / "log.db", 1)
    assert load_epochs(path) == Epochs()
    put_epochs(path, Epochs(barred="it was recovered"))
    assert load_epochs(path) == Epochs(barred="it was recovered")
    assert load_epochs(tmp_path / "none.db") is None


def test_floors_are_raised_and_the_epochs_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "log.db", 1)
    put_epochs(path, EPOCHS)
    head = Checkpoint("bank-hk.example/hk-1", 7, b"\1" * 32)
    for size in (7, 5):
        raise_floors(path, [Cosigned(replace(head, size=size), "key", 50, b"note %d" % size)])
    with closing(sqlite3.connect(path)) as db:
        assert list(db.execute("SELECT size, note FROM cosigner")) == [(7, b"note 7")]
    assert load_epochs(path) == EPOCHS


@pytest.fixture
def recovery() -> Iterator[_Recovery]:
    config, own = parse_config(BASE.encode()), member()
    mark = HeadMark(Checkpoint(own.origin, 1, bytes(32)), 1, b"e" * 16, clean=False)
    made = _Recovery(config, own, Chosen(hsm_config(config)), (), mark, 1.0, Watch())
    yield made
    made.reading.close()


def test_recovery_raises_the_rows_of_a_ledger_that_is_whole(
    tmp_path: Path, recovery: _Recovery
) -> None:
    """An older copy of the same run is whole too."""
    path = make(tmp_path / "log.db", 1)
    put_epochs(path, EPOCHS)
    floor = Cosigned(Checkpoint("bank-hk.example/hk-1", 7, b"\1" * 32), "key", 50, b"note")
    assert recovery._put(path, None, Judgement(Fate.WHOLE, (), ()), [floor]) is None
    with closing(sqlite3.connect(path)) as db:
        assert list(db.execute("SELECT size FROM cosigner")) == [(7,)]
    assert load_epochs(path) == EPOCHS
    assert not signed_lost(path)


@pytest.mark.parametrize(("epoch", "lost"), [(b"e", 0), (b"f", 1)])
def test_recovery_notes_that_rosters_may_have_been_signed_beyond_an_older_database(
    tmp_path: Path, recovery: _Recovery, epoch: bytes, lost: int
) -> None:
    path = make(tmp_path / "log.db", 1)
    put_epochs(path, Epochs(current=epoch * 16))
    recovery._put(path, None, Judgement(Fate.GOES_ON, (), ()), [])
    assert signed_lost(path) == lost


def test_recovery_without_the_database_notes_it_too(tmp_path: Path, recovery: _Recovery) -> None:
    old, new = make(tmp_path / "log.db", 3), make(tmp_path / "recovery" / "log.db", 9)
    put_epochs(old, EPOCHS)
    note_roster(old)
    recovery.config = replace_state(recovery.config, tmp_path)
    recovery._put(old, new, Judgement(Fate.GOES_ON, (), ()), [])
    assert signed_lost(old)
    assert rosters(old) == [(3, b"\1")]


def signed_lost(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as db:
        return bool(db.execute("SELECT 1 FROM roster_lost").fetchall())


def replace_state(config: Config, state: Path) -> Config:
    return msgspec.structs.replace(
        config, gateway=msgspec.structs.replace(config.gateway, state=state)
    )

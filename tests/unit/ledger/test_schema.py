import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chopmark.core.errors import ConfigurationError, ExistsError, InternalError, MissingError
from chopmark.ledger import schema
from chopmark.ledger.schema import connect, creating
from chopmark.ledger.store import Store, create_store, read_keys
from ledgers import KEYS, attestations, make_store


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_created_store_is_empty_and_holds_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    assert sorted(tmp_path.iterdir()) == [path]
    assert read_keys(path) == KEYS
    store = Store(path)
    assert (store.size, store.state.note) == (0, None)
    store.close()


def test_create_refuses_what_exists(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_store(path, attestations(3)).close()
    with pytest.raises(ExistsError) as caught:
        create_store(path, *KEYS)
    assert caught.value.code == "ledger-exists"
    store = Store(path)
    assert store.size == 3
    store.close()


def test_creating_overwrites_nothing_that_appeared_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with pytest.raises(ExistsError), creating(path):
        path.write_bytes(b"another's")
    assert path.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [path]


def test_create_that_was_broken_off_leaves_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    def create_and_fail() -> None:
        with creating(path) as db:
            db.execute("INSERT INTO tile VALUES (1, x'00')")
            raise KeyError("power cut")

    with pytest.raises(KeyError):
        create_and_fail()
    assert not path.exists()
    create_store(path, *KEYS)
    assert read_keys(path) == KEYS


def test_path_may_have_characters_of_a_url(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?.db"
    make_store(path, attestations(2)).close()
    assert tmp_path / "50% of #1?.db" in list(tmp_path.iterdir())
    assert read_keys(path) == KEYS


def test_writer_waits_for_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    with closing(connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    with closing(connect(path, read_only=True)) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("UPDATE log SET size = 7")


def test_migration_goes_from_each_version_to_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    scripts = (*schema._MIGRATIONS, "CREATE TABLE newer (id INTEGER) STRICT;")
    monkeypatch.setattr(schema, "_MIGRATIONS", scripts)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    before = version(path)
    connect(path, read_only=True).close()
    assert version(path) == before
    connect(path).close()
    assert version(path) == before + 1
    assert "newer" in tables(path)


def test_ledger_of_the_first_version_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.db"
    with monkeypatch.context() as old:
        old.setattr(schema, "_MIGRATIONS", schema._MIGRATIONS[:1])
        old.setattr(schema, "VERSION", 1)
        create_store(path, *KEYS)
    assert "request" not in tables(path)
    store = Store(path)
    assert store.request_end(bytes(16)) == 0
    store.close()
    assert version(path) == schema.VERSION


def test_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    before = version(path), tables(path)
    scripts = (
        *schema._MIGRATIONS,
        "CREATE TABLE newer (id INTEGER); CREATE TABLE log (x INTEGER);",
    )
    monkeypatch.setattr(schema, "_MIGRATIONS", scripts)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(InternalError) as caught:
        connect(path)
    assert caught.value.code == "damaged-ledger"
    assert (version(path), tables(path)) == before


@pytest.mark.parametrize("read_only", [False, True])
def test_newer_schema_is_refused(tmp_path: Path, *, read_only: bool) -> None:
    path = tmp_path / "log.db"
    create_store(path, *KEYS)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    with pytest.raises(ConfigurationError) as caught:
        connect(path, read_only=read_only)
    assert caught.value.code == "newer-schema"
    assert caught.value.hint


def test_missing_ledger_is_not_made(tmp_path: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(MissingError) as caught:
            connect(tmp_path / "log.db", read_only=read_only)
        assert caught.value.code == "no-ledger"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be one" * 30])
@pytest.mark.parametrize("read_only", [False, True])
def test_file_that_is_no_ledger_is_refused(
    tmp_path: Path, content: bytes, *, read_only: bool
) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(InternalError) as caught:
        connect(path, read_only=read_only)
    assert caught.value.code == "damaged-ledger"
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["DELETE FROM log", "DROP TABLE log", "DROP TABLE tile"])
def test_ledger_without_its_tables_is_damaged(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "log.db"
    make_store(path, attestations(3)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement)
    with pytest.raises(InternalError) as caught:
        Store(path)
    assert caught.value.code == "damaged-ledger"


def test_ledger_whose_name_cannot_be_made_durable_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "no more")

    monkeypatch.setattr("chopmark.ledger.schema.os.fsync", refuse)
    with pytest.raises(InternalError) as caught:
        create_store(tmp_path / "log.db", *KEYS)
    assert caught.value.code == "not-created"
    assert not list(tmp_path.iterdir())

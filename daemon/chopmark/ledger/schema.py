"""The database of one log, ours or a replica: tables, migration, and how it reaches the disk.

Durability is SQLite's: WAL with `synchronous=FULL`, so that a COMMIT is: write the WAL frames,
fsync the WAL, return. A checkpoint copies pages to the database file and fsyncs that before the
WAL is used again. Nothing else in this program writes what must last.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from chopmark.core.errors import ConfigurationError, ExistsError, InternalError, MissingError
from chopmark.ledger import tables

VERSION: Final = 6
PAGE: Final = 8192
"""Bytes of a database page: a bundle and its tile are 30 kB, so that SQLite's usual 4,096 cost a
third more processor time; larger pages would make single attestations write more."""
BUSY_MS: Final = 5000
"""How long a reader of another process (fsck) may hold us up."""

_TABLES: Final = """
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  log_vkey TEXT NOT NULL,
  cosigner_vkey TEXT NOT NULL,
  size INTEGER NOT NULL,
  head_size INTEGER NOT NULL,
  head_root BLOB NOT NULL,
  head_note BLOB,
  seen_time INTEGER NOT NULL,
  seen_note BLOB,
  made_last INTEGER NOT NULL,
  fork_note BLOB
) STRICT;
CREATE TABLE bundle (
  n INTEGER PRIMARY KEY,
  entries BLOB NOT NULL,
  made_first INTEGER NOT NULL,
  made_last INTEGER NOT NULL,
  kinds TEXT NOT NULL
) STRICT;
CREATE TABLE tile (
  id INTEGER PRIMARY KEY,
  hashes BLOB NOT NULL
) STRICT;
CREATE TABLE reference (
  target INTEGER NOT NULL,
  source INTEGER NOT NULL,
  type INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (target, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE grave (
  target INTEGER NOT NULL,
  source INTEGER NOT NULL,
  prefix INTEGER NOT NULL,
  PRIMARY KEY (target, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX grave_by_prefix ON grave (prefix, source);
CREATE INDEX reference_by_type ON reference (target, type, source);
"""
_REQUESTS: Final = """
CREATE TABLE request (
  id BLOB NOT NULL,
  first INTEGER NOT NULL,
  start INTEGER NOT NULL,
  count INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (id, first)
) STRICT, WITHOUT ROWID;
"""
_TRUST: Final = "".join(
    (
        *(tables.WITNESS, tables.EVIDENCE, tables.EPOCH),
        *(tables.ROSTER, tables.RETENTION, tables.AUDIT),
    )
)
_SENDING: Final = tables.SEED + tables.IDEMPOTENCY + tables.AUDIT_SENT
_MIGRATIONS: Final = (_TABLES, _REQUESTS, _TRUST, _SENDING, tables.PLACE, tables.AUDIT_TAKEN)
"""Script i takes a database from version i to i + 1."""


def tile_id(level: int, index: int) -> int:
    """Row id of a tile: its level above 56 bits of index, so that a level lies together."""
    return level << 56 | index


def connect(path: Path, *, create: bool = False, read_only: bool = False) -> sqlite3.Connection:
    """Open a log's database; a writer also migrates it.

    Raises:
        MissingError: `no-ledger` if there is none.
        ConfigurationError: `newer-schema` if newer software wrote it.
        InternalError: `damaged-ledger` if it is no database of ours.
    """
    if not create and not path.exists():
        hint = "create one with `chopmark init`"
        raise MissingError("no-ledger", f"there is no ledger at {path}", hint=hint)
    mode = "ro" if read_only else "rwc" if create else "rw"
    with damage_named(path), ExitStack() as undo:
        # Each connection is used on one thread; fsck opens and closes on different ones.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            timeout=BUSY_MS / 1000,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        undo.callback(connection.close)
        version = _check_version(connection, path, create=create)
        if not read_only:
            _prepare(connection, version)
        undo.pop_all()
    return connection


@contextmanager
def creating(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a database: it appears under its name with all that was written, or not at all.

    Raises:
        ExistsError: `ledger-exists`; nothing is ever overwritten.
        InternalError: `not-created` if the disk refused.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        _remove(fresh)
        with closing(connect(fresh, create=True)) as connection:
            yield connection
            # Closing does this too, but says nothing when the disk refuses, and leaves the WAL.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.hardlink_to(fresh)
        _sync_name(path)
    except FileExistsError as error:
        raise ExistsError("ledger-exists", f"there is a ledger at {path} already") from error
    except (sqlite3.Error, OSError) as error:
        message = f"{path} could not be made: {error}"
        raise InternalError("not-created", message, hint="is the disk full, or failing?") from error
    finally:
        with suppress(OSError):  # the next attempt begins with it
            _remove(fresh)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot read into our own error.

    Raises:
        InternalError: `damaged-ledger`.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise InternalError("damaged-ledger", f"{path} cannot be read: {error}") from error


def _sync_name(path: Path) -> None:
    """Make a new name durable, or take it back."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        path.unlink()
        raise


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _check_version(connection: sqlite3.Connection, path: Path, *, create: bool) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        message = f"{path} has schema {version}, this software knows {VERSION}"
        raise ConfigurationError("newer-schema", message, hint="install the newer software again")
    if version == 0 and not create:
        raise InternalError("damaged-ledger", f"{path} is no ledger")
    return version


def _prepare(connection: sqlite3.Connection, version: int) -> None:
    connection.execute(f"PRAGMA page_size={PAGE}")  # of a new database; others keep theirs
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    if version < VERSION:
        scripts = "".join(_MIGRATIONS[version:])
        connection.executescript(f"BEGIN;{scripts}PRAGMA user_version={VERSION};COMMIT;")

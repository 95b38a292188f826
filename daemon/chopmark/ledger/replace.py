"""Puts a recovered ledger in the place of the one that was lost, or put back.

1. What lies beside the entries in the old database (witnesses' state, evidence, rosters) is copied.
2. The new one says whether its origin may go on, and is written back whole.
3. The old files get other names; nothing is deleted.
4. The new file gets the name. If that breaks off after 3, the same call does 4.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.ledger.epoch import Epochs, read_epochs, write_epochs
from chopmark.ledger.floors import lose
from chopmark.ledger.rosters import lose_signed
from chopmark.ledger.schema import connect, damage_named

_OF_THE_LOG: Final = (
    *("log", "bundle", "place", "tile", "reference", "grave", "request"),
    *("witnessed", "notarised", "epoch"),
)
"""Tables that the entries fill, or the token: the old ones say nothing about the new log."""
_RAISE: Final = (
    "INSERT INTO cosigner (origin, vkey, size, root, time, note) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (origin, vkey) DO UPDATE SET size = excluded.size, root = excluded.root,"
    " time = max(time, excluded.time), note = excluded.note WHERE excluded.size > size"
)
_BEYOND: Final = (
    "DELETE FROM idempotency WHERE entry >= (SELECT size FROM log)",
    "DELETE FROM attested_by WHERE start >= (SELECT size FROM log)",
    "DELETE FROM seed WHERE start >= (SELECT size FROM log)",
    """UPDATE seed SET count = (SELECT size FROM log) - start
    WHERE start + count > (SELECT size FROM log)""",
    # A day whose entry the new log does not have is logged again.
    "UPDATE audit_day SET entry = NULL WHERE entry >= (SELECT size FROM log)",
)
"""Takes away what was said of entries that the new log does not have: others get their places."""
_NOBODYS: Final = (
    "INSERT OR IGNORE INTO main.attested_by SELECT size, 0 FROM old.log"
    " WHERE size < (SELECT size FROM main.log)"
)
"""What peers give back beyond the old ledger is not its last client's."""
_SUFFIXES: Final = ("", "-wal", "-shm")


def load_epochs(path: Path) -> Epochs | None:
    """The row of a database that no gateway has open; None if it cannot be read."""
    try:
        with closing(connect(path, read_only=True)) as db:
            return read_epochs(db)
    except (sqlite3.Error, ChopmarkError):
        return None


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A head of a peer's log that our cosigner key has cosigned, at a time in seconds."""

    head: Checkpoint
    vkey: str
    time: int
    note: bytes


def put_epochs(
    path: Path, epochs: Epochs, floors: Sequence[Cosigned] = (), lost: str | None = None
) -> None:
    """Write the rows of a database that no gateway has open; see `replace_ledger`."""
    with closing(connect(path)) as db, damage_named(path):
        _write(db, epochs, floors, lost)


def raise_floors(path: Path, floors: Sequence[Cosigned]) -> None:
    """Raise the cosigner's rows of a database that no gateway has open, and nothing else."""
    with closing(connect(path)) as db, damage_named(path):
        db.execute("BEGIN IMMEDIATE")
        _raise(db, floors)
        db.execute("COMMIT")


def note_signed_lost(path: Path) -> None:
    """Note in a database that no gateway has open that rosters may have been signed beyond it."""
    with closing(connect(path)) as db, damage_named(path):
        lose_signed(db, int(time.time()))


def replace_ledger(
    old: Path,
    new: Path,
    epochs: Epochs,
    index: Path,
    floors: Sequence[Cosigned] = (),
    lost: str | None = None,
) -> Path | None:
    """Put `new` in the place of `old`; gives the name under which that was kept, if it was there.

    Args:
        old: the ledger's database; it may be missing or damaged.
        new: the recovered one, which nobody has open.
        epochs: the row that it gets.
        index: the digest index of the old one, which is derived and goes.
        floors: heads that we have cosigned: nothing smaller is cosigned from now on.
        lost: the key whose rows nobody can give back; see `ledger.floors`.

    Raises:
        InternalError: `not-replaced`: the disk refused; try again.
    """
    try:
        with closing(connect(new)) as db, damage_named(new):
            if old.exists():
                _copy_rest(db, old)
            _write(db, epochs, floors, lost)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = _put_away(old) if old.exists() else None
        shutil.rmtree(index, ignore_errors=True)
        new.rename(old)
        _sync(old.parent)
    except (OSError, sqlite3.Error) as error:
        message = f"{new} did not get its place: {error}"
        raise InternalError("not-replaced", message, hint="run it again") from error
    return kept


def _write(
    db: sqlite3.Connection, epochs: Epochs, floors: Sequence[Cosigned], lost: str | None
) -> None:
    db.execute("BEGIN IMMEDIATE")
    write_epochs(db, epochs)
    if lost is not None:
        lose(db, lost, int(time.time()))
    _raise(db, floors)
    db.execute("COMMIT")


def _raise(db: sqlite3.Connection, floors: Sequence[Cosigned]) -> None:
    for one in floors:
        head = one.head
        db.execute(_RAISE, (head.origin, one.vkey, head.size, head.root, one.time, one.note))


def _copy_rest(db: sqlite3.Connection, old: Path) -> None:
    """Copy the tables that both have; of a damaged database as much as can be read."""
    try:
        with closing(connect(old)):
            pass  # brings its tables up to date
        db.execute("ATTACH ? AS old", (str(old),))
    except (sqlite3.Error, ChopmarkError):
        return
    names = [row[0] for row in db.execute("SELECT name FROM main.sqlite_master WHERE type='table'")]
    for name in set(names) - set(_OF_THE_LOG):
        try:
            db.execute(f"INSERT OR IGNORE INTO main.{name} SELECT * FROM old.{name}")  # noqa: S608 - our own table names
        except sqlite3.Error:
            continue
    with suppress(sqlite3.Error):  # the old one is damaged
        db.execute(_NOBODYS)
    for change in _BEYOND:
        db.execute(change)
    db.execute("DETACH old")


def _put_away(old: Path) -> Path:
    number = 1
    while (kept := old.with_name(f"{old.name}.replaced-{number}")).exists():
        number += 1
    for suffix in _SUFFIXES:
        path = old.with_name(old.name + suffix)
        if path.exists():
            path.rename(kept.with_name(kept.name + suffix))
    return kept


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

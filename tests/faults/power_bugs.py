"""Bugs to plant into the program, each of which the power cuts must find.

They reach in where Python meets SQLite and the kernel, so that they stay what they are however
the program's own code changes.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from chopmark.ledger import index
from chopmark.ledger.packed import Keys
from chopmark.ledger.run import Run

LOG_PAGES: Final = 8

_CONNECT = sqlite3.connect
_FSYNC = os.fsync


class _Connection(sqlite3.Connection):
    """Writes its log back early, so that a short run comes round it several times."""

    def __init__(self, database: str | Path, *arguments: Any, **options: Any) -> None:
        super().__init__(database, *arguments, **options)
        parts = str(database).partition("?")[0].split("/")
        self.is_own_log = parts[-1] == "log.db"

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        done = super().execute(sql, *values)
        if sql.startswith("PRAGMA journal_mode"):
            super().execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        return done


class _NoSync(_Connection):
    """`synchronous=OFF`: SQLite never waits for the disk."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA synchronous"):
            sql = "PRAGMA synchronous=OFF"
        return super().execute(sql, *values)


class _LateCommit(_Connection):
    """A COMMIT to our own log says that it is done, and is when the next transaction begins."""

    _late = False

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.is_own_log:
            self._late = True
            return super().execute("SELECT 1")
        if self._late and sql.startswith("BEGIN"):
            self._catch_up()
        return super().execute(sql, *values)

    def close(self) -> None:
        self._catch_up()
        super().close()

    def _catch_up(self) -> None:
        if self._late:
            self._late = False
            super().execute("COMMIT")


def checkpoint_often() -> None:
    """No bug: let every write-ahead log be written back after a few pages."""
    _use(_Connection)


def no_sync() -> None:
    """The database does not wait for the disk."""
    _use(_NoSync)


def late_commit() -> None:
    """What is answered is committed later."""
    _use(_LateCommit)


def no_folder_sync() -> None:
    """New files are made durable, their names are not."""

    def fsync(file: Any) -> None:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            _FSYNC(file)

    os.fsync = fsync


def index_ahead() -> None:
    """The digest index says of a file that it goes further than what is in it."""
    write = index.write_run

    def ahead(folder: Path, start: int, end: int, parts: Iterable[Keys]) -> Run:
        return write(folder, start, end, [keys[: len(keys) // 2] for keys in parts])

    index.write_run = ahead


def _use(factory: type[sqlite3.Connection]) -> None:
    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return _CONNECT(*arguments, **{"factory": factory, **options})

    sqlite3.connect = connect  # type: ignore[assignment]


BUGS: dict[str, Callable[[], None]] = {
    "no-sync": no_sync,
    "late-commit": late_commit,
    "no-folder-sync": no_folder_sync,
    "index-ahead": index_ahead,
}

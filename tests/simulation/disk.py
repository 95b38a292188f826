"""The disk under real SQLite: what a power cut leaves, and commits that fail.

Simulated: only when bytes are safe. A WAL is safe up to its length at the last COMMIT of a
connection with `synchronous=FULL`; of what was written since, a cut keeps some prefix. Databases
are too small here for SQLite to write the WAL back before its last connection is closed.
"""

import shutil
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

from simulation.loop import OWNER, Crash

FAULTS = ("crash-before", "crash-after", "full", "io-lost", "io-done")
_connect = sqlite3.connect


class Disk:
    """What one life of a gateway writes, below `folder`."""

    def __init__(self, folder: Path, random: Random, trace: Any) -> None:
        self.folder = folder
        self.random = random
        self.trace = trace
        self.full = False
        self.faults: deque[tuple[int, str]] = deque()
        self.unknown = 0  # COMMITs of which the gateway could not know
        self.connections: list[SimConnection] = []
        self.safe = {path: path.stat().st_size for path in folder.rglob("*.db-wal")}

    def open(self, database: str, *args: Any, **options: Any) -> "SimConnection":
        """As `sqlite3.connect`."""
        connection = _connect(database, *args, **options, factory=SimConnection)
        path = Path(unquote(urlsplit(database).path))
        connection.attach(self, path.with_name(path.name + "-wal"))
        self.connections.append(connection)
        return connection

    def next_fault(self) -> str:
        """What happens to the COMMIT that is being made."""
        if self.faults:
            countdown, kind = self.faults.popleft()
            if countdown <= 0:
                return kind
            self.faults.appendleft((countdown - 1, kind))
        return "full" if self.full else ""

    def cut(self, target: Path) -> None:
        """Copy to `target` what the disk would hold if power failed now."""
        for path in sorted(self.folder.rglob("*.db")):
            copy = target / path.relative_to(self.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            wal = path.with_name(path.name + "-wal")
            if wal.exists():
                data = wal.read_bytes()
                safe = min(self.safe.get(wal, 0), len(data))
                kept = data[: self.random.randint(safe, len(data))]
                copy.with_name(copy.name + "-wal").write_bytes(kept)

    def close(self) -> None:
        """Let go of a dead gateway's files; what it cut off lies elsewhere by now."""
        for connection in self.connections:
            connection.close()


class SimConnection(sqlite3.Connection):
    """A real connection whose COMMIT may fail, or be the last thing that its process does."""

    disk: Disk

    def attach(self, disk: Disk, wal: Path) -> None:
        self.disk, self.wal = disk, wal
        self.level = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            return self._commit()
        if self.disk.full and sql.startswith("UPDATE") and self.disk.random.random() < 0.3:
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        return super().execute(sql, *args)

    def _commit(self) -> sqlite3.Cursor:
        kind = self.disk.next_fault()
        if kind == "crash-before":
            raise Crash
        if kind == "full":
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        if kind == "io-lost":
            super().execute("ROLLBACK")
            self._fail()
        result = super().execute("COMMIT")
        self.disk.trace(b"commit", self.wal.name.encode())
        self._note_safe()
        if kind == "crash-after":
            raise Crash
        if kind == "io-done":
            self._fail()
        return result

    def _fail(self) -> None:
        self.disk.unknown += 1
        raise _error("disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)

    def _note_safe(self) -> None:
        if not self.level:
            self.level = super().execute("PRAGMA synchronous").fetchone()[0]
        if self.level >= 2:
            self.disk.safe[self.wal] = self.wal.stat().st_size


@contextmanager
def simulated_disks() -> Iterator[None]:
    """While it lasts, a gateway's connections are those of its disk; others are left alone."""

    def connect(database: str, *args: Any, **options: Any) -> sqlite3.Connection:
        owner = OWNER.get()
        if owner is None:
            return _connect(database, *args, **options)
        return owner.disk.open(database, *args, **options)

    sqlite3.connect = connect
    try:
        yield
    finally:
        sqlite3.connect = _connect


def _error(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error

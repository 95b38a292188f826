"""The digest index: from a SHA-256 digest to the entries that name it.

Derived data: it may lag, be lost and be rebuilt from the entries. Its own small database commits
without waiting for the disk; look-ups also cover what is not written yet.
"""

import logging
import sqlite3
import struct
import threading
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Protocol

from chopmark.core.errors import InternalError
from chopmark.core.text import MAX_INT
from chopmark.ledger.summary import digest_prefix

MAX_FOUND: Final = 256
"""Entries of one digest that one look-up gives."""
MAX_TAIL: Final = 262_144
"""Digests held in memory (some 40 MB) before an append waits for the index."""
BATCH: Final = 65_536
"""Digests that are written without waiting for more."""
PATIENCE: Final = 2.0
"""Seconds that fewer wait in memory, where look-ups find them just as well."""
STALLED: Final = 60.0
"""Seconds that an append waits for the index before the process gives up."""
RETRY: Final = 1.0
"""Seconds between attempts to write the index."""
_VERSION: Final = 1
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""Results that only a damaged file gives: SQLITE_ERROR is a table that is not there."""
_ROWS: Final = 4096
"""Rows of one INSERT: while SQLite works on them, other threads have the interpreter."""
_INSERT_ONE: Final = "INSERT OR IGNORE INTO digest VALUES (?,?)"
_INSERT: Final = _INSERT_ONE + ",(?,?)" * (_ROWS - 1)
_FIND: Final = "SELECT entry FROM digest WHERE prefix = ? AND entry < ? ORDER BY entry DESC LIMIT ?"
_CREATE: Final = """
BEGIN; DROP TABLE IF EXISTS digest; DROP TABLE IF EXISTS state;
CREATE TABLE digest (
  prefix INTEGER, entry INTEGER, PRIMARY KEY (prefix, entry)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (position INTEGER NOT NULL) STRICT; INSERT INTO state VALUES (0);
PRAGMA user_version=1; COMMIT;
"""
LOG: Final = logging.getLogger("chopmark.ledger")


class DigestIndex(Protocol):
    """Where a digest occurs. `put_many` has one caller at a time; `find` may run beside it."""

    @property
    def position(self) -> int:
        """Entries [0, position) are in the index, durable or not."""
        ...

    def put_many(self, start: int, digests: Sequence[bytes | None]) -> None:
        """Add the digests of the entries from `start` on; None for entries without one."""
        ...

    def find(self, digest: bytes, below: int = MAX_INT, limit: int = MAX_FOUND) -> list[int]:
        """Entries that may name this digest, ascending; the caller compares the whole digest.

        Args:
            digest: 32 bytes.
            below: only entries with a smaller index.
            limit: at most so many, the newest: whoever attests one digest a million times must
                not make looking for it slow.
        """
        ...

    def close(self) -> None:
        """Write what is in memory, and close."""
        ...


class _Tail:
    """Digests in memory. One thread adds, others may look meanwhile."""

    def __init__(self) -> None:
        self.count = 0
        self._first: dict[int, int] = {}
        self._more: dict[int, list[int]] = {}

    def add(self, known: Sequence[tuple[bytes, int]]) -> None:
        """Add (digest, entry) in ascending order of entries."""
        prefixes = struct.unpack(f">{len(known)}q", b"".join([digest[:8] for digest, _ in known]))
        fresh = dict(zip(prefixes, [entry for _, entry in known], strict=True))
        self.count += len(known)
        # Digests are nearly always new: then all are added in one step.
        if len(fresh) == len(known) and self._first.keys().isdisjoint(fresh):
            self._first.update(fresh)
            return
        for prefix, (_, entry) in zip(prefixes, known, strict=True):
            if self._first.setdefault(prefix, entry) != entry:
                self._more.setdefault(prefix, []).append(entry)

    def find(self, prefix: int, below: int, limit: int) -> list[int]:
        """The newest entries below an index."""
        first, more = self._first.get(prefix), self._more.get(prefix, [])
        end = bisect_left(more, below)
        found = more[max(0, end - limit) : end]
        return found if first is None or first >= below else [first, *found]

    def rows(self) -> list[int]:
        """All as prefix, entry, prefix, entry…, in order of prefixes: neighbours share a page."""
        prefixes = sorted(self._first)
        values = [0] * (2 * len(prefixes))
        values[::2] = prefixes
        values[1::2] = map(self._first.__getitem__, prefixes)
        for prefix, entries in self._more.items():
            values += [value for entry in entries for value in (prefix, entry)]
        return values


class SqliteIndex:
    """A B-tree of 8-byte prefixes, filled by a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with ExitStack() as undo:
            self._write, self.position = _open(path)
            undo.callback(self._write.close)
            self._read = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            undo.pop_all()
        self._tail = _Tail()
        self._flushing = _Tail()
        self._count = 0
        self._flushed = self.position
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._flush_all, name="index", daemon=True)
        self._thread.start()

    def put_many(self, start: int, digests: Sequence[bytes | None]) -> None:
        """See `DigestIndex`; waits while too much is in memory.

        Raises:
            InternalError: `index-stalled` if the index cannot be written for a minute.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count < MAX_TAIL, STALLED):
                raise InternalError("index-stalled", f"{self._path} cannot be written")
            known = [(digest, i) for i, digest in enumerate(digests, start) if digest is not None]
            self._tail.add(known)
            self._count += len(known)
            self.position = start + len(digests)
            self._changed.notify_all()

    def find(self, digest: bytes, below: int = MAX_INT, limit: int = MAX_FOUND) -> list[int]:
        """See `DigestIndex`."""
        prefix = digest_prefix(digest)
        # In the direction in which entries move, so that none slips through between two looks.
        found = set(self._tail.find(prefix, below, limit))
        found.update(self._flushing.find(prefix, below, limit))
        try:
            found.update(row[0] for row in self._read.execute(_FIND, (prefix, below, limit)))
            return sorted(found)[-limit:]
        except sqlite3.Error as error:
            message = f"the digest index {self._path} cannot be read: {error}"
            hint = "remove the file and start again: it is rebuilt from the entries"
            raise InternalError("damaged-index", message, hint=hint) from error

    def close(self) -> None:
        """See `DigestIndex`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._write.close()
        self._read.close()

    def _flush_all(self) -> None:
        while self._next_batch():
            while not self._try_flush():
                with self._changed:  # the disk may be full: what is in memory stays there
                    if self._changed.wait_for(lambda: self._closing, RETRY):
                        return
            with self._changed:
                self._count -= self._flushing.count
                self._flushing = _Tail()
                self._changed.notify_all()

    def _next_batch(self) -> bool:
        """Take what has come; false once all is written and the index is being closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.position > self._flushed or self._closing)
            # A page that many new digests share is written once for all of them.
            self._changed.wait_for(lambda: self._count >= BATCH or self._closing, PATIENCE)
            if self.position == self._flushed:
                return False
            # `find` looks at the tail first: what leaves it must be in `_flushing` already.
            self._flushing, self._tail = self._tail, _Tail()
            self._flushed = self.position
            return True

    def _try_flush(self) -> bool:
        try:
            self._flush(self._flushed)
        except sqlite3.Error as error:
            LOG.warning("the digest index %s cannot be written: %s", self._path, error)
            if self._write.in_transaction:
                with suppress(sqlite3.Error):
                    self._write.execute("ROLLBACK")
            if _is_damage(error):
                _remove(self._path)  # the next start builds it anew
            return False
        return True

    def _flush(self, position: int) -> None:
        values = self._flushing.rows()
        whole = len(values) // (2 * _ROWS) * 2 * _ROWS
        self._write.execute("BEGIN IMMEDIATE")
        for start in range(0, whole, 2 * _ROWS):
            self._write.execute(_INSERT, values[start : start + 2 * _ROWS])
        rest = values[whole:]
        self._write.executemany(_INSERT_ONE, zip(rest[::2], rest[1::2], strict=True))
        self._write.execute("UPDATE state SET position = ?", (position,))
        self._write.execute("COMMIT")


def _open(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open an index, and tell how far it has come; one that is damaged begins anew."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            message = f"the digest index {path} cannot be opened: {error}"
            raise InternalError("damaged-index", message) from error
        LOG.warning("the digest index %s is damaged, and is built anew: %s", path, error)
        _remove(path)
        return _connect(path)


def _connect(path: Path) -> tuple[sqlite3.Connection, int]:
    with ExitStack() as undo:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        undo.callback(db.close)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            db.executescript(_CREATE)
        position: int = db.execute("SELECT coalesce(max(position), 0) FROM state").fetchone()[0]
        undo.pop_all()
    return db, position


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

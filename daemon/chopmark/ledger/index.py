"""The digest index: from a SHA-256 digest to the entries that name it.

Derived data: it may lag, be lost and be rebuilt from the entries. Its own small database commits
without waiting for the disk; look-ups also cover what is not written yet.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from chopmark.core.errors import InternalError

MAX_TAIL: Final = 262_144
"""Digests held in memory (some 40 MB) before an append waits for the index."""
STALLED: Final = 60.0
"""Seconds that an append waits for the index before the process gives up."""
RETRY: Final = 1.0
_VERSION: Final = 1
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

    def find(self, digest: bytes) -> list[int]:
        """Indices that may name this digest, ascending; the caller compares the whole digest."""
        ...

    def close(self) -> None:
        """Write what is in memory, and close."""
        ...


class SqliteIndex:
    """A B-tree of 8-byte prefixes, filled by a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write = _open(path)
        self._read = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.position: int = self._write.execute("SELECT position FROM state").fetchone()[0]
        self._tail: dict[int, list[int]] = {}
        self._flushing: dict[int, list[int]] = {}
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
            for index, digest in enumerate(digests, start):
                if digest is not None:
                    self._tail.setdefault(_prefix(digest), []).append(index)
            self._count += len(digests)
            self.position = start + len(digests)
            self._changed.notify_all()

    def find(self, digest: bytes) -> list[int]:
        """See `DigestIndex`."""
        prefix = _prefix(digest)
        # In the direction in which entries move, so that none slips through between two looks.
        found = {*self._tail.get(prefix, ()), *self._flushing.get(prefix, ())}
        rows = self._read.execute("SELECT entry FROM digest WHERE prefix = ?", (prefix,))
        return sorted(found.union(row[0] for row in rows))

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
                self._flushing = {}
                self._count = sum(map(len, self._tail.values()))
                self._changed.notify_all()

    def _next_batch(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._tail or self._closing)
            # `find` looks at the tail first: what leaves it must be in `_flushing` already.
            self._flushing, self._tail = self._tail, {}
            self._flushed = self.position
            return bool(self._flushing)

    def _try_flush(self) -> bool:
        try:
            self._flush(self._flushed)
        except sqlite3.Error as error:
            LOG.warning("the digest index cannot be written: %s", error)
            if self._write.in_transaction:
                self._write.execute("ROLLBACK")
            return False
        return True

    def _flush(self, position: int) -> None:
        rows = ((prefix, entry) for prefix in sorted(self._flushing) for entry in self._of(prefix))
        self._write.execute("BEGIN IMMEDIATE")
        self._write.executemany("INSERT OR IGNORE INTO digest VALUES (?, ?)", rows)
        self._write.execute("UPDATE state SET position = ?", (position,))
        self._write.execute("COMMIT")

    def _of(self, prefix: int) -> Iterable[int]:
        return self._flushing[prefix]


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        db.executescript(
            "BEGIN; DROP TABLE IF EXISTS digest; DROP TABLE IF EXISTS state;"
            "CREATE TABLE digest (prefix INTEGER, entry INTEGER, PRIMARY KEY (prefix, entry))"
            " STRICT, WITHOUT ROWID;"
            "CREATE TABLE state (position INTEGER NOT NULL) STRICT; INSERT INTO state VALUES (0);"
            "PRAGMA user_version=1; COMMIT;"
        )
    return db


def _prefix(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True)

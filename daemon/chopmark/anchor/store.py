"""What is known of a chain, in a database of its own: `anchor/CHAIN-CONTRACT.db`.

All of it could be read from the chain again, so that it may be lost; nothing in it is trusted for
anything but what we have sent ourselves. Rules:
1. Anchors and the block up to which all were read are stored in one transaction: after a crash
   reading goes on where the last one ended, and what comes twice is known by its number.
2. A transaction is stored before it is sent. Until it is known what became of it, no other one is
   made but by the same nonce, of which a chain takes one only.
"""

import asyncio
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from chopmark.anchor.chain import Place
from chopmark.anchor.contract import Event, Key
from chopmark.anchor.ports import Finding, Word
from chopmark.core.errors import TryAgainError
from chopmark.core.text import MAX_INT

T = TypeVar("T")
BUSY_MS: Final = 5000
KEPT_NOTES: Final = 4096
"""Notes of a log's anchors that do not count: whoever has its account can write ever so many."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  first_hash TEXT,
  cursor INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seen (
  account TEXT NOT NULL,
  origin_hash BLOB NOT NULL,
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  block INTEGER NOT NULL,
  PRIMARY KEY (account, origin_hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS anchor (
  account TEXT NOT NULL,
  origin_hash BLOB NOT NULL,
  number INTEGER NOT NULL,
  origin TEXT NOT NULL,
  size INTEGER NOT NULL,
  block INTEGER NOT NULL,
  tx TEXT NOT NULL,
  word TEXT NOT NULL,
  reason TEXT,
  note BLOB,
  found_at INTEGER NOT NULL,
  PRIMARY KEY (account, origin_hash, number)
) STRICT;
CREATE INDEX IF NOT EXISTS anchor_by_size ON anchor (origin, size, word);
CREATE INDEX IF NOT EXISTS anchor_open ON anchor (origin, size) WHERE word = 'ahead';
CREATE TABLE IF NOT EXISTS mark (
  block INTEGER PRIMARY KEY,
  hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS pending (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  nonce INTEGER NOT NULL,
  size INTEGER NOT NULL,
  raw BLOB NOT NULL,
  hash TEXT NOT NULL,
  made_at INTEGER NOT NULL
) STRICT;
"""
_DROP: Final = "DELETE FROM anchor WHERE account = ? AND origin_hash = ? AND number > ?"
_ONE: Final = "SELECT * FROM anchor WHERE account = ? AND origin_hash = ? AND number = ?"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest anchor of a log that was read."""

    number: int = 0
    size: int = 0
    block: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One anchor, with what it was found to be.

    Attributes:
        note: kept of what is not good only: the heads of the others are those that are held.
        found_at: ms.
    """

    account: str
    origin_hash: bytes
    number: int
    origin: str
    size: int
    block: int
    transaction: str
    word: Word
    reason: str | None
    note: bytes | None
    found_at: int

    @property
    def key(self) -> Key:
        """What the contract counts it by."""
        return self.account, self.origin_hash


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction of ours of which it is not known yet what became of it.

    Attributes:
        size: of the head that it anchors.
        hash: by which nodes know it.
        made_at: ms.
    """

    nonce: int
    size: int
    raw: bytes
    hash: str
    made_at: int


def make_row(event: Event, origin: str, finding: Finding, now: int) -> Row:
    """What is stored of an event."""
    note = None if finding.word == "good" else event.note
    return Row(
        *(event.account, event.origin_hash, event.number, origin, clip(event.size), event.block),
        *(event.transaction, finding.word, finding.reason, note, now),
    )


def clip(size: int) -> int:
    """A size as it is stored: the contract takes larger ones than a log can have."""
    return min(size, MAX_INT)


class Store:
    """The database. Its coroutines run on one thread of its own; `covering` on any.

    Attributes:
        first_hash: by which the chain is known.
        cursor: block up to which all anchors were read.
        marks: hashes of some blocks up to there, in the order of the blocks.
        seen: the newest anchor of each log.
        counts: by origin and word, how many anchors there are.
        bad: the newest in contradiction to what they should be.
    """

    def __init__(self, path: Path, place: Place) -> None:
        """Open it, or make it.

        Raises:
            sqlite3.Error, OSError: the disk refuses.
        """
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="anchor")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = _connect(path)
        self._reading, self._turn = _connect(path), threading.Lock()
        self._db.executescript(_TABLES)
        with self._db:
            begin = (max(0, place.first_block) - 1,)
            self._db.execute("INSERT OR IGNORE INTO state VALUES (1, NULL, ?)", begin)
        row = self._db.execute("SELECT first_hash, cursor FROM state").fetchone()
        self.first_hash: str | None = row[0]
        self.cursor: int = row[1]
        asked = "SELECT block, hash FROM mark ORDER BY block"
        self.marks: list[tuple[int, str]] = list(self._db.execute(asked))
        self.seen = {
            (account, origin): Seen(*rest)
            for account, origin, *rest in self._db.execute("SELECT * FROM seen")
        }
        self.counts = _count(self._db)
        asked = (
            "SELECT * FROM anchor WHERE word = 'bad' ORDER BY found_at DESC, number DESC LIMIT 64"
        )
        self.bad = deque(reversed([Row(*row) for row in self._db.execute(asked)]), 64)

    async def know_chain(self, first_hash: str) -> None:
        """Keep by what the chain is known."""
        if first_hash != self.first_hash:
            await self._change(
                lambda db: db.execute("UPDATE state SET first_hash = ?", (first_hash,))
            )
            self.first_hash = first_hash

    async def take(self, rows: Sequence[Row], cursor: int) -> None:
        """Store anchors that were read, and that all up to this block were.

        Raises:
            TryAgainError: `anchor-storage`: nothing was stored.
        """
        newest = {row.key: Seen(row.number, row.size, row.block) for row in rows}
        rows = [self._lighten(row) for row in rows]

        def change(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO anchor VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_values, rows)
            )
            db.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
                [(*key, one.number, one.size, one.block) for key, one in newest.items()],
            )
            db.execute("UPDATE state SET cursor = ?", (cursor,))

        await self._change(change)
        self.seen |= newest
        self.cursor = cursor
        self.counts.update((row.origin, row.word) for row in rows)
        self.bad.extend(row for row in rows if row.word == "bad")

    async def ahead(self, sizes: Mapping[str, int], limit: int) -> list[Row]:
        """Anchors that lay ahead of what was held, the smallest of each log first.

        Args:
            sizes: by origin, up to which size they are asked for.
            limit: so many of each log at most.
        """
        asked = "SELECT * FROM anchor WHERE word = 'ahead' AND origin = ? AND size <= ?"
        asked += " ORDER BY size LIMIT ?"

        def look(db: sqlite3.Connection) -> list[Row]:
            found = [db.execute(asked, (*one, limit)).fetchall() for one in sizes.items()]
            return [Row(*row) for rows in found for row in rows]

        return await self._run(look)

    async def uncounted(self, after: int, limit: int) -> list[tuple[int, Row]]:
        """Anchors that were ignored or bad and whose notes were kept, each with its place here.

        Args:
            after: place after which.
            limit: so many at most.
        """
        asked = "SELECT rowid, * FROM anchor WHERE word IN ('ignored', 'bad') AND note NOT NULL"
        asked += " AND rowid > ? ORDER BY rowid LIMIT ?"
        values = (after, limit)
        return await self._run(
            lambda db: [(place, Row(*row)) for place, *row in db.execute(asked, values)]
        )

    async def set_marks(self, marks: Sequence[tuple[int, str]]) -> None:
        """Keep these hashes of blocks, and no others."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM mark")
            db.executemany("INSERT INTO mark VALUES (?, ?)", marks)

        await self._change(change)
        self.marks = list(marks)

    async def row(self, key: Key, number: int) -> Row | None:
        """One anchor, by its number."""

        def look(db: sqlite3.Connection) -> Row | None:
            row = db.execute(_ONE, (*key, number)).fetchone()
            return None if row is None else Row(*row)

        return await self._run(look)

    async def rewind(self, key: Key, number: int, cursor: int) -> None:
        """Forget a log's anchors above this number: the chain has others, or none.

        Args:
            key: whose.
            number: the last one that stays.
            cursor: blocks above this one are read again.
        """
        cursor = min(cursor, self.cursor)

        def change(db: sqlite3.Connection) -> Seen | None:
            with db:
                db.execute(_DROP, (*key, number))
                db.execute("DELETE FROM seen WHERE account = ? AND origin_hash = ?", key)
                last = db.execute(_ONE, (*key, number)).fetchone()
                seen = None if last is None else Seen(number, Row(*last).size, Row(*last).block)
                if seen is not None:
                    values = (*key, seen.number, seen.size, seen.block)
                    db.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", values)
                db.execute("UPDATE state SET cursor = ?", (cursor,))
                return seen

        seen = await self._run(change)
        self.seen.pop(key, None)
        if seen is not None:
            self.seen[key] = seen
        self.cursor = cursor
        self.counts = await self._run(_count)
        kept = [one for one in self.bad if one.key != key or one.number <= number]
        self.bad = deque(kept, 64)

    async def settle(self, found: Sequence[tuple[Row, Finding]]) -> None:
        """Store what anchors were found to be that had lain ahead, or had not counted."""
        changes = [
            (one.word, one.reason, None if one.word == "good" else row.note, *row.key, row.number)
            for row, one in found
        ]
        update = "UPDATE anchor SET word = ?, reason = ?, note = ?"
        update += " WHERE account = ? AND origin_hash = ? AND number = ?"
        await self._change(lambda db: db.executemany(update, changes))
        for row, one in found:
            self.counts[row.origin, row.word] -= 1
            self.counts[row.origin, one.word] += 1
        changed = {(row.key, row.number) for row, _ in found}
        kept = [one for one in self.bad if (one.key, one.number) not in changed]
        more = [
            replace(row, word="bad", reason=one.reason) for row, one in found if one.word == "bad"
        ]
        self.bad = deque([*kept, *more], 64)

    async def pending(self) -> Pending | None:
        """The transaction that is under way."""

        def look(db: sqlite3.Connection) -> Pending | None:
            row = db.execute("SELECT nonce, size, raw, hash, made_at FROM pending").fetchone()
            return None if row is None else Pending(*row)

        return await self._run(look)

    async def set_pending(self, pending: Pending | None) -> None:
        """Keep the transaction that is to be sent; None: it is known what became of it."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM pending")
            if pending is not None:
                one = pending
                values = (one.nonce, one.size, one.raw, one.hash, one.made_at)
                db.execute("INSERT INTO pending VALUES (1, ?, ?, ?, ?, ?)", values)

        await self._change(change)

    def covering(self, origin: str, index: int) -> tuple[int, int, str] | None:
        """The first anchor over an entry: size of its head, block, and transaction."""
        asked = "SELECT size, block, tx FROM anchor WHERE word = 'good' AND origin = ?"
        asked += " AND size > ? ORDER BY size LIMIT 1"
        with self._turn, closing(self._reading.execute(asked, (origin, index))) as rows:
            found: tuple[int, int, str] | None = rows.fetchone()
        return found

    async def page(self, origin: str, after: int, limit: int) -> list[Row]:
        """Anchors of a log whose heads are larger than this, the smallest first."""
        asked = "SELECT * FROM anchor WHERE origin = ? AND size > ? ORDER BY size, number LIMIT ?"
        values = (origin, after, limit)
        return await self._run(lambda db: [Row(*row) for row in db.execute(asked, values)])

    def close(self) -> None:
        """Finish what was begun, and close the files."""
        self._pool.submit(self._db.close).result()
        self._pool.shutdown()
        self._reading.close()

    def _lighten(self, row: Row) -> Row:
        """Without its note, where more of these were kept of its log than are of use."""
        kept = self.counts[row.origin, "ignored"] + self.counts[row.origin, "bad"]
        full = row.word in ("ignored", "bad") and kept >= KEPT_NOTES
        return replace(row, note=None) if full else row

    async def _change(self, change: Callable[[sqlite3.Connection], object]) -> None:
        def run(db: sqlite3.Connection) -> None:
            with db:  # one transaction
                change(db)

        await self._run(run)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, call, self._db)
        except sqlite3.Error as error:
            message = f"what was read of the chain was not stored: {error}"
            hint = "is the disk full? it is read again"
            raise TryAgainError("anchor-storage", message, hint=hint, retry_after=5) from error


def store_path(state: Path, place: Place) -> Path:
    """Where it is: another contract, or another chain, has another one."""
    return state / "anchor" / f"{place.chain_id}-{place.contract}.db"


def _count(db: sqlite3.Connection) -> Counter[tuple[str, Word]]:
    asked = "SELECT origin, word, count(*) FROM anchor GROUP BY origin, word"
    return Counter({(one, word): count for one, word, count in db.execute(asked)})


def _values(row: Row) -> tuple[object, ...]:
    return (
        *(row.account, row.origin_hash, row.number, row.origin, row.size, row.block),
        *(row.transaction, row.word, row.reason, row.note, row.found_at),
    )


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return db

"""The one writer of a log's database: appends entries with their tree, and moves the head.

Rules:
1. An append is one transaction: bundles, tiles, references and the size, or nothing.
2. The size and the head only grow, each by compare-and-swap on what this writer knows.
3. A head is stored only if its root is the tree's root at its size.
4. If a COMMIT fails, nobody knows what the disk holds: `InternalError` ends the process, and
   start-up reads what is there. An error before the COMMIT is rolled back and changes nothing.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import Columns
from chopmark.core.errors import ExistsError, InternalError, MalformedError, TryAgainError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.merkle import EMPTY_ROOT, HASH
from chopmark.core.tiles import WIDTH, Frontier, parse_bundle
from chopmark.ledger.beside import NOTHING, Beside, write_beside
from chopmark.ledger.browse import fill_places, write_places
from chopmark.ledger.bundles import Bundle, Filling, fill, load_bundle
from chopmark.ledger.clients import load_clients
from chopmark.ledger.idempotency import Record, count_records, find_record
from chopmark.ledger.pruning import read_prefixes
from chopmark.ledger.requests import find_end, forget_old
from chopmark.ledger.schema import connect, creating, damage_named, tile_id
from chopmark.ledger.summary import Reference, Summary, digest_prefix, summarise

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogState:
    """What a log's database says about itself.

    Attributes:
        size: durable entries.
        head: newest checkpoint whose note is stored; entries below its size are signed.
        note: the head's note; None before the first signature.
        seen_time: seconds since the epoch at which the origin's cosigner last vouched for a head
            that lies in this log; 0 for never.
        seen_note: the note that says so.
        made_last: time of the newest entry, ms since the epoch.
        fork_note: a signed head of this log that contradicts it, once one was seen.
        witnessed_size: of the newest head that a quorum has cosigned (`witnessed`).
        witnessed_note: its note, with the quorum's cosignatures.
        notarised: by kind of document, size and note of the newest such head that the notaries of
            the kind have cosigned too, where it demands some.
    """

    size: int
    head: Checkpoint
    note: bytes | None
    seen_time: int
    seen_note: bytes | None
    made_last: int
    fork_note: bytes | None = None
    witnessed_size: int = 0
    witnessed_note: bytes | None = None
    notarised: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)

    def covering(self, index: int, kind: str) -> tuple[int, bytes | None]:
        """Size and note of the head that says most of an entry of this kind.

        The notaries' if it covers the entry, or else the quorum's, or else the newest signed one.
        """
        notarised = self.notarised.get(kind)
        if notarised is not None and index < notarised[0]:
            return notarised
        if self.witnessed_note is not None and index < self.witnessed_size:
            return self.witnessed_size, self.witnessed_note
        return self.head.size, self.note


class Appended(NamedTuple):
    """What an append came to.

    Attributes:
        reached: the checkpoint (unsigned) of the log after it.
        digests: of each entry the digest under which it is found, if any.
    """

    reached: Checkpoint
    digests: Sequence[bytes | None]


def create_store(path: Path, log_key: VerifierKey, cosigner_key: VerifierKey) -> None:
    """Create the empty database of a log.

    Raises:
        ExistsError: `ledger-exists`; nothing is ever overwritten.
    """
    if path.exists():  # `creating` has the last word; this spares it the work
        raise ExistsError("ledger-exists", f"there is a ledger at {path} already")
    row = (log_key.name, log_key.encode(), cosigner_key.encode(), EMPTY_ROOT)
    with creating(path) as db:
        db.execute(
            "INSERT INTO log (id, origin, log_vkey, cosigner_vkey, head_root, size, head_size,"
            " seen_time, made_last) VALUES (1, ?, ?, ?, ?, 0, 0, 0, 0)",
            row,
        )


def read_keys(path: Path) -> tuple[VerifierKey, VerifierKey]:
    """The log key and cosigner key that a database was created for.

    Raises:
        InternalError: `damaged-ledger`; and what `connect` raises.
    """
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        return keys_of(db)


def keys_of(db: sqlite3.Connection) -> tuple[VerifierKey, VerifierKey]:
    """The same, of a database that is open.

    Raises:
        InternalError: `damaged-ledger`.
    """
    log_key, cosigner_key = read_row(db, "log_vkey, cosigner_vkey")
    return parse_vkey(log_key), parse_vkey(cosigner_key)


def read_state(db: sqlite3.Connection) -> LogState:
    """The state row.

    Raises:
        InternalError: `damaged-ledger` if there is none.
    """
    row = read_row(
        db,
        "size, origin, head_size, head_root, head_note, seen_time, seen_note, made_last, fork_note,"
        " witnessed_size, witnessed_note",
    )
    rows = db.execute("SELECT kind, size, note FROM notarised")
    notarised = {kind: (size, note) for kind, size, note in rows}
    state = LogState(row[0], Checkpoint(*row[1:4]), *row[4:])
    return replace(state, notarised=notarised)


def read_row(db: sqlite3.Connection, columns: str) -> tuple[Any, ...]:
    """Columns of the one row that says what a log is and how far it has come.

    Raises:
        InternalError: `damaged-ledger` if there is none.
    """
    row: tuple[Any, ...] | None = db.execute(f"SELECT {columns} FROM log").fetchone()  # noqa: S608 - our own column names
    if row is None:
        raise InternalError("damaged-ledger", "the database of a log does not say which")
    return row


class Store:
    """Writes one log. Use it on one thread only; readers have connections of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path)
        with ExitStack() as undo, damage_named(path):
            undo.callback(self._db.close)
            self.state = read_state(self._db)
            self._frontier = _load_frontier(self._db, self.state.size)
            self._tail = _load_tail(self._db, self.state.size)
            self._check_start()
            self.clients = load_clients(self._db)
            forget_old(self._db, self.state.made_last)
            fill_places(self._db)
            undo.pop_all()

    @property
    def size(self) -> int:
        """Durable entries."""
        return self.state.size

    def root(self) -> bytes:
        """Root of the tree over all durable entries."""
        return self._frontier.root()

    def compact_hashes(self) -> tuple[bytes, ...]:
        """Compact range of all durable entries."""
        return self._frontier.compact().hashes

    def append(
        self,
        runs: Sequence[Columns],
        leaves: Sequence[bytes] | None = None,
        head: tuple[Checkpoint, bytes] | None = None,
        beside: Beside = NOTHING,
    ) -> Appended:
        """Append entries in one durable transaction, and move the head with them if one is given.

        Args:
            runs: the entries, in order.
            leaves: their leaf hashes where they are known.
            head: a verified checkpoint of exactly the size after this append, with its note.
            beside: who asked for them, and how.

        Raises:
            TryAgainError: `not-recorded`, `storage-full`; nothing was changed.
            InternalError: `commit-unknown` or `wrong-root`; the process must end.
        """
        if leaves is None:
            leaves = [leaf for columns in runs for leaf in columns.leaves()]
        frontier = self._frontier.copy()
        tiles = frontier.append(leaves)
        reached = Checkpoint(self.state.head.origin, frontier.size, frontier.root())
        if head is not None and head[0] != reached:
            raise InternalError("wrong-root", "a head does not fit the entries that lead to it")
        filling = fill(self._tail, runs)
        state = self._state_after(reached, filling.summaries, head)
        with self._transaction():
            self._write_bundles(filling)
            self._write_tiles(tiles)
            self._write_references(filling.summaries)
            clients = write_beside(self._db, beside, self.clients)
            self._swap_state(state)
        self._frontier, self.state, self.clients = frontier, state, clients
        self._tail = filling.bundles[-1]
        return Appended(reached, [d for summary in filling.summaries for d in summary.digests])

    def request_end(self, request: bytes) -> int:
        """How many digests of a request are recorded: always its first ones."""
        return find_end(self._db, request)

    def find_record(self, key: bytes, now: int) -> Record | None:
        """What became of the request with this idempotency key, unless that is over."""
        return find_record(self._db, key, now)

    def count_records(self) -> int:
        """How many idempotency keys are kept, at most."""
        return count_records(self._db)

    def move_head(self, head: Checkpoint, note: bytes) -> None:
        """Store a signed head that an append has reached; compare-and-swap on the one before it.

        Raises:
            TryAgainError: `not-recorded`, `storage-full`; nothing was changed.
            InternalError: `wrong-root` if it is not a newer head of this tree; `commit-unknown`.
        """
        newer = self.state.head.size <= head.size <= self.size
        if not newer or _load_frontier(self._db, head.size).root() != head.root:
            raise InternalError("wrong-root", "a signed head is not the root of the stored tree")
        self._move(replace(self.state, head=head, note=note))

    def move_seen(self, time: int, note: bytes) -> None:
        """Store the newest time at which the origin's cosigner vouched for a head of this log."""
        if time > self.state.seen_time:
            self._move(replace(self.state, seen_time=time, seen_note=note))

    def mark_fork(self, note: bytes) -> None:
        """Keep a signed head that contradicts this log; the first one stays."""
        if self.state.fork_note is None:
            self._move(replace(self.state, fork_note=note))

    def forget_fork(self) -> None:
        """Forget that head, as officers or the roster say that it does not count."""
        if self.state.fork_note is not None:
            self._move(replace(self.state, fork_note=None))

    def change(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Run a call in one durable transaction: what lies beside the entries.

        Raises:
            TryAgainError: `not-recorded`, `storage-full`; nothing was changed.
            InternalError: `commit-unknown`; the process must end.
        """
        with self._transaction():
            return call(self._db)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _move(self, state: LogState) -> None:
        with self._transaction():
            self._swap_state(state)
        self.state = state

    def _state_after(
        self,
        reached: Checkpoint,
        summaries: Sequence[Summary],
        head: tuple[Checkpoint, bytes] | None,
    ) -> LogState:
        times = {self.state.made_last}.union(*(summary.times for summary in summaries))
        state = replace(self.state, size=reached.size, made_last=max(times))
        return state if head is None else replace(state, head=head[0], note=head[1])

    def _write_bundles(self, filling: Filling) -> None:
        rows = filling.rows()
        self._db.executemany("INSERT OR REPLACE INTO bundle VALUES (?, ?, ?, ?, ?)", rows)
        write_places(self._db, rows)

    def _write_tiles(self, tiles: Sequence[tuple[int, int, bytes]]) -> None:
        rows = [(tile_id(level, index), hashes) for level, index, hashes in tiles]
        self._db.executemany("INSERT OR REPLACE INTO tile VALUES (?, ?)", rows)

    def _write_references(self, summaries: Sequence[Summary]) -> None:
        found = [row for row in _references(summaries, self.size) if row[1].target < row[0]]
        rows = [(to.target, source, to.type, to.reason, made) for source, to, made in found]
        self._db.executemany("INSERT INTO reference VALUES (?, ?, ?, ?, ?)", rows)
        graves = [(to.target, source) for source, to, _ in found if to.is_grave]
        self._db.executemany("INSERT INTO grave VALUES (?, ?, ?)", self._find_digests(graves))

    def _find_digests(self, graves: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
        """What was revoked gravely stands under its digest: it must be found whatever else is."""
        for target, source in graves:
            digest = self._read_digest(target)
            if digest is not None:
                yield target, source, digest_prefix(digest)

    def _read_digest(self, index: int) -> bytes | None:
        """Of an entry that is stored, or has just been written; a prefix if its body was pruned."""
        query = "SELECT entries FROM bundle WHERE n = ?"
        row = self._db.execute(query, (index // WIDTH,)).fetchone()
        prefixes = None if row[0] else read_prefixes(self._db, index // WIDTH)
        if prefixes is not None:
            return prefixes[index % WIDTH]
        return summarise(parse_bundle(row[0])[index % WIDTH]).sha256

    def _swap_state(self, state: LogState) -> None:
        old, new = self.state, state
        done = self._db.execute(
            "UPDATE log SET size = ?, head_size = ?, head_root = ?, head_note = ?, seen_time = ?,"
            " seen_note = ?, made_last = ?, fork_note = ?"
            " WHERE size = ? AND head_size = ? AND head_root = ?",
            (
                *(new.size, new.head.size, new.head.root, new.note, new.seen_time),
                *(new.seen_note, new.made_last, new.fork_note),
                *(old.size, old.head.size, old.head.root),
            ),
        )
        if done.rowcount != 1:
            message = f"another process has written {self.path}"
            raise InternalError("head-moved", message, hint="run one gateway per ledger")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
        except sqlite3.Error as error:
            self._roll_back()
            raise _refused(error) from error
        except BaseException:
            self._roll_back()
            raise
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._is_undone(error):
                raise _refused(error) from error
            message = f"a commit to {self.path} failed: {error}"
            raise InternalError(
                "commit-unknown", message, hint="start the gateway again"
            ) from error

    def _is_undone(self, error: sqlite3.Error) -> bool:
        """Whether a failed COMMIT is known not to have happened: the disk was full.

        The frame that makes it a commit is written last, and SQLite has rolled back; that fsync
        failed would be another error. What is stored must say so too.
        """
        if not _is_full(error):
            return False
        self._roll_back()
        return read_state(self._db) == self.state

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _check_start(self) -> None:
        """The stored tree must lead to the stored head; the rest is for `chopmark fsck`."""
        frontier = _load_frontier(self._db, self.state.head.size)
        if frontier.root() != self.state.head.root:
            message = f"the tree in {self.path} does not lead to its signed head"
            hint = "run `chopmark fsck`; restore the ledger before starting the gateway"
            raise InternalError("damaged-ledger", message, hint=hint)


def _references(summaries: Sequence[Summary], start: int) -> Iterator[tuple[int, Reference, int]]:
    """What refers to earlier entries, as (index of the entry, reference, made at)."""
    for summary in summaries:
        for offset, reference, made_at in summary.references:
            yield start + offset, reference, made_at
        start += len(summary.digests)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _refused(error: sqlite3.Error) -> TryAgainError:
    message = f"nothing was recorded: {error}"
    if _is_full(error):
        hint = "free space on the gateway's disk, or enlarge it"
        return TryAgainError("storage-full", message, hint=hint, retry_after=30)
    return TryAgainError("not-recorded", message, retry_after=5)


def _load_frontier(db: sqlite3.Connection, size: int) -> Frontier:
    rows: list[list[bytes]] = []
    level = 0
    while size >> (8 * level):
        width = (size >> (8 * level)) % WIDTH
        wanted = tile_id(level, size >> (8 * level + 8))
        found = db.execute("SELECT hashes FROM tile WHERE id = ?", (wanted,)).fetchone()
        hashes = found[0] if found else b""
        if len(hashes) < width * HASH:
            raise InternalError("damaged-ledger", f"tile {level} of the tree is too short")
        rows.append([hashes[i * HASH : (i + 1) * HASH] for i in range(width)])
        level += 1
    return Frontier(size, rows)


def _load_tail(db: sqlite3.Connection, size: int) -> Bundle:
    number = size // WIDTH
    found = db.execute("SELECT entries FROM bundle WHERE n = ?", (number,)).fetchone()
    try:
        tail = load_bundle(number, found[0]) if found else Bundle(number)
    except MalformedError:
        tail = Bundle(number)
    if tail.count != size % WIDTH:
        raise InternalError("damaged-ledger", "the last bundle does not have the entries it should")
    return tail

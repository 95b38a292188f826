"""Reads one log's database: entries, proofs, packages, references.

Every call sees committed data only. Use a reader on one thread.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from chopmark.core.blinding import salt_at
from chopmark.core.columns import Columns, parse_columns
from chopmark.core.entry import Adoption, Attestation, parse_entry
from chopmark.core.errors import InternalError, MalformedError, MissingError
from chopmark.core.merkle import HASH, fold_range, inclusion_proof, leaf_hash, read_range
from chopmark.core.package import MAX_BUNDLE, Package, cut_runs
from chopmark.core.proof import Extra, Proof
from chopmark.core.text import MAX_INT
from chopmark.core.tiles import WIDTH, TileName, encode_bundle, read_tile_node, tile_width
from chopmark.ledger.pruning import PrunedError, pad, read_prefixes
from chopmark.ledger.requests import Part
from chopmark.ledger.schema import connect, tile_id
from chopmark.ledger.seeds import KeptSeed, Sealed, find_seed
from chopmark.ledger.store import LogState
from chopmark.ledger.summary import (
    ADOPTION,
    NO_ENTRY,
    REVOCATION,
    SUPERSESSION,
    digest_prefix,
    is_blinded,
    summarise_columns,
)
from chopmark.ledger.witnessed import EXISTED_BY

P = ParamSpec("P")
T = TypeVar("T")

NODES: Final = 4096
"""Subtree hashes kept in memory (some 600 kB): neighbours' proofs share most of theirs."""

_ENTRY: Final = (
    "SELECT b.entries, t.hashes FROM bundle b LEFT JOIN tile t ON t.id = b.n WHERE b.n = ?"
)
"""A bundle and its leaves: at level 0 tiles have the numbers of bundles."""
_BUNDLE: Final = "SELECT entries FROM bundle WHERE n = ?"
_BUNDLES: Final = "SELECT n, entries FROM bundle WHERE n BETWEEN ? AND ? ORDER BY n"
_PRUNED: Final = "SELECT n FROM pruned WHERE n BETWEEN ? AND ? ORDER BY n LIMIT 1"
_SOME: Final = "SELECT 1 FROM reference WHERE target >= 0 LIMIT 1"
_ADOPTED: Final = (
    "SELECT source FROM reference WHERE target = ? AND type = ? AND source < ?"
    " ORDER BY source DESC LIMIT 1"
)
_GRAVE: Final = (
    "SELECT r.source, r.reason, r.made_at FROM grave g JOIN reference r USING (target, source)"
    " WHERE g.target = ? AND g.source < ? ORDER BY g.source LIMIT 1"
)
_FIRST: Final = (
    "SELECT source, reason, made_at FROM reference"
    " WHERE target = ? AND type = ? AND source < ? ORDER BY source LIMIT 1"
)
_NEWEST: Final = (
    "SELECT source FROM reference"
    " WHERE target = ? AND type = ? AND source < ? ORDER BY source DESC LIMIT 1"
)
_GRAVES: Final = (
    "SELECT target FROM grave WHERE prefix = ? AND source < ? ORDER BY source DESC LIMIT ?"
)
_COSIGNED: Final = "SELECT origin, size, root, time, note FROM cosigner WHERE vkey = ?"

_WITNESSED: Final = "SELECT max(size) FROM witnessed WHERE size < ? AND time <= ?"
_EVIDENCE: Final = "SELECT id, origin, found_at, text FROM evidence ORDER BY found_at, id"
_PARTS: Final = (
    "SELECT first, start, count, made_at FROM request"
    " WHERE id = ? AND first + count > ? ORDER BY first"
)


class Reader:
    """Reads one log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path, read_only=True)
        self._cached_node = lru_cache(maxsize=NODES)(self._read_node)
        self._plain_below = 0
        self.open_seed: Callable[[Sealed], bytes] | None = None
        self._kept_seed: KeptSeed | None = None
        self._kept: dict[tuple[str, tuple[object, ...]], list[tuple[Any, ...]]] | None = None

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries [start, end).

        Raises:
            MissingError: `no-such-entry` if the log does not hold them all; `pruned`.
        """
        try:
            return _cut([list(columns) for columns in self._bundles(start, end)], start, end)
        except MissingError:
            self._check_there(start, end)
            raise

    def search(self, needle: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Entries of [start, end) in which some bytes occur, the newest first.

        Those whose bodies were pruned are not among them.
        """
        rows = self._query(_BUNDLES, (start // WIDTH, (end - 1) // WIDTH))
        for number, entries in reversed(rows):
            if needle not in entries:
                continue
            for place, entry in reversed(list(enumerate(self._parse(entries), number * WIDTH))):
                if start <= place < end and needle in entry:
                    yield place, entry

    def digests(self, start: int, end: int) -> list[bytes | None]:
        """Of the entries [start, end) what the digest index is made of.

        Raises:
            MissingError: `no-such-entry` if the log does not hold them all.
        """
        rows = self._query(_BUNDLES, (start // WIDTH, (end - 1) // WIDTH))
        return _cut([self._digests_of(*row) for row in rows], start, end)

    def entry(self, index: int) -> bytes:
        """One entry, compared with its leaf in the tree: no verdict rests on a damaged one.

        Raises:
            MissingError: `no-such-entry`, `pruned`.
            InternalError: `damaged-ledger`.
        """
        number, position = divmod(index, WIDTH)
        rows = self._query(_ENTRY, (number,))
        if not rows:
            raise MissingError("no-such-entry", f"the log does not hold the entry {index}")
        bundle, leaves = rows[0]
        if not bundle:
            self._check_there(index, index + 1)
        leaf = leaves[position * HASH : (position + 1) * HASH] if leaves else b""
        # Entries are mostly of one length. Wherever bytes with this hash are found, they are it.
        step = 2 + int.from_bytes(bundle[:2], "big")
        entry: bytes = bundle[position * step + 2 : (position + 1) * step]
        return entry if leaf_hash(entry) == leaf else self._search_entry(index, bundle, leaf)

    def _search_entry(self, index: int, bundle: bytes, leaf: bytes) -> bytes:
        entries = list(self._parse(bundle))
        if index % WIDTH >= len(entries):
            raise MissingError("no-such-entry", f"the log does not hold the entry {index}")
        entry = entries[index % WIDTH]
        if leaf_hash(entry) != leaf:
            hint = "run `chopmark fsck`"
            message = f"entry {index} in {self._path} is damaged"
            raise InternalError("damaged-ledger", message, hint=hint)
        return entry

    def node(self, level: int, index: int) -> bytes:
        """Hash of the perfect subtree (level, index)."""
        return self._cached_node(level, index)

    def root_at(self, size: int) -> bytes:
        """Root of the tree over the first `size` entries; all must be there."""
        return fold_range(read_range(0, size, self.node))

    def left_hashes(self, size: int) -> tuple[bytes, ...]:
        """Compact range of [0, size)."""
        return read_range(0, size, self.node)

    def proof(self, index: int, state: LogState, *, bare: bool = False) -> Proof:
        """Proof of an entry under the newest head that notaries or a quorum have cosigned.

        If none covers it, it is under the newest signed head, and provisional where a quorum is
        demanded; see `LogState.covering`.

        Args:
            index: of the entry.
            state: of the log.
            bare: leave the salt of a blinded entry out: whoever has it can put it in.

        Raises:
            MissingError: `not-signed` if no head covers it; `salt-gone`.
        """
        kind = self.kind(index) if state.notarised and 0 <= index < state.head.size else ""
        size, note = state.covering(index, kind)
        if note is None or not 0 <= index < size:
            raise MissingError("not-signed", f"no signed head covers entry {index} yet")
        hashes = inclusion_proof(index, size, self._cached_node)
        entry = self.entry(index)
        salt = self.salt(index) if not bare and is_blinded(entry) else None
        return Proof(index, hashes, note, Extra(entry, salt).encode())

    def salt(self, index: int) -> bytes:
        """The salt of a blinded entry.

        Raises:
            MissingError: `salt-gone`.
            TryAgainError: what opens the seed is not there yet.
        """
        kept, seed = self.seed(index)
        return salt_at(seed, kept.number(index))

    def seed(self, index: int) -> tuple[KeptSeed, bytes]:
        """The seed of the run that a blinded entry of our log belongs to.

        Raises:
            MissingError: `salt-gone`.
            TryAgainError: what opens it is not there yet.
        """
        if self.open_seed is None:
            raise _salt_gone(index, "only its issuer had it, and whoever has its proof")
        kept = self._kept_seed
        if kept is None or not 0 <= index - kept.start < kept.size:
            kept = self._kept_seed = self.look(find_seed, index)
        if kept is None:
            raise _salt_gone(index, "it is kept for 24 hours")
        return kept, self.open_seed(kept.sealed)

    def kind(self, index: int) -> str:
        """The kind of an attestation; empty of other entries."""
        try:
            entry = parse_entry(self.entry(index))
        except MalformedError:  # it means nothing, and lies under heads all the same
            return ""
        return entry.kind if isinstance(entry, Attestation) else ""

    def proofs(self, indexes: Iterable[int], state: LogState) -> list[Proof]:
        """Proofs of entries; what they have in common is read once.

        Raises:
            MissingError: `not-signed` if the head does not cover all of them.
        """
        self._kept = {}
        try:
            return [self.proof(index, state) for index in indexes]
        finally:
            self._kept = None

    def package(self, start: int, state: LogState) -> tuple[Package, int]:
        """The package of signed entries from `start` on: one bundle's, or what fits; and how many.

        Raises:
            MissingError: `not-signed` if no signed entry is there.
        """
        if state.note is None or not 0 <= start < state.head.size:
            raise MissingError("not-signed", f"no signed head covers entry {start} yet")
        bundle, count = self._bundle(start, min((start // WIDTH + 1) * WIDTH, state.head.size))
        right = b"".join(read_range(start + count, state.head.size, self.node))
        left = b"".join(self.left_hashes(start))
        return Package(state.head.origin, start, bundle, left, right, state.note), count

    def tile(self, name: TileName, state: LogState) -> bytes:
        """A tile or an entry bundle (C2SP tlog-tiles), as far as the state's head covers it.

        Of a tile that has grown since, the narrower ones are still there: they are its beginning.

        Raises:
            MissingError: `no-such-tile`.
            InternalError: `damaged-ledger`.
        """
        if name.width > tile_width(name.level or 0, name.index, state.head.size):
            raise MissingError("no-such-tile", f"the signed head does not reach {name.encode()}")
        if name.level is None:
            start = name.index * WIDTH
            return self._columns(start, start + name.width).bundle()
        wanted = tile_id(name.level, name.index)
        rows = self._query("SELECT hashes FROM tile WHERE id = ?", (wanted,))
        hashes: bytes = rows[0][0][: name.width * HASH] if rows else b""
        if len(hashes) != name.width * HASH:
            raise InternalError("damaged-ledger", f"{self._path} lacks {name.encode()}")
        return hashes

    def references(self, target: int, size: int) -> tuple[tuple[int, int, int] | None, int]:
        """What the first `size` entries say about an attestation.

        Returns:
            The revocation that counts as (index, reason, made at), or None: the first for error,
            fraud or key compromise, otherwise the first; and the index of the newest attestation
            that supersedes it, or -1.
        """
        if self._is_plain(size):
            return None, -1
        # However often an entry was revoked, each question is one step in an index.
        revoked = self._query(_GRAVE, (target, size)) or self._query(
            _FIRST, (target, REVOCATION, size)
        )
        newest = self._query(_NEWEST, (target, SUPERSESSION, size))
        return tuple(revoked[0]) if revoked else None, newest[0][0] if newest else -1

    def graves(self, digest: bytes, size: int, limit: int) -> list[int]:
        """Entries below `size` that were gravely revoked and may name this digest, ascending."""
        if self._is_plain(size):
            return []
        rows = self._query(_GRAVES, (digest_prefix(digest), size, limit))
        return sorted({row[0] for row in rows})

    def witnessed_below(self, size: int, time: int | None) -> int:
        """Size of the largest head below `size` that a quorum had cosigned by a time (seconds)."""
        rows = self._query(_WITNESSED, (size, MAX_INT if time is None else time))
        found: int = rows[0][0] or 0
        return found

    def evidence(self) -> list[tuple[bytes, str, int, bytes]]:
        """The evidence of forks that is stored, the oldest first; see `forks.Kept`."""
        return [tuple(row) for row in self._query(_EVIDENCE, ())]

    def existed_by(self, index: int) -> int | None:
        """Seconds since the epoch by which a quorum had cosigned the entry; None if it has not."""
        rows = self._query(EXISTED_BY, (index,))
        return rows[0][0] if rows else None

    def cosigned(self, vkey: str) -> list[tuple[str, int, bytes, int, bytes]]:
        """Of each log what our cosigner of this key has cosigned; see `ledger.witness`."""
        return [tuple(row) for row in self._query(_COSIGNED, (vkey,))]

    def request_parts(self, request: bytes, first: int) -> list[Part]:
        """What is recorded of a request from its digest `first` on; gapless, ascending."""
        rows = self._query(_PARTS, (request, first))
        return [Part(*row) for row in rows]

    def _is_plain(self, size: int) -> bool:
        """Whether none of the first `size` entries, all durable, speaks about another.

        References come in the transaction of their entry and never go, so that it is enough to
        look again once there are more entries.
        """
        if size > self._plain_below and not self._query(_SOME, ()):
            self._plain_below = size
        return size <= self._plain_below

    def adopted(self, size: int) -> Adoption | None:
        """The newest adoption of a roster among the first `size` entries.

        Raises:
            InternalError: `damaged-ledger`.
        """
        rows = self._query(_ADOPTED, (NO_ENTRY, ADOPTION, size))
        entry = parse_entry(self.entry(rows[0][0])) if rows else None
        return entry if isinstance(entry, Adoption) else None

    def look(
        self,
        call: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Read what lies beside the entries, by a call that only selects.

        Raises:
            InternalError: `damaged-ledger`.
        """
        try:
            return call(self._db, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            message = f"{self._path} cannot be read: {error}"
            raise InternalError("damaged-ledger", message) from error

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _query(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        known = self._kept
        if known is not None and (sql, values) in known:
            return known[sql, values]
        try:
            rows = self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            message = f"{self._path} cannot be read: {error}"
            raise InternalError("damaged-ledger", message) from error
        if known is not None:
            known[sql, values] = rows
        return rows

    def _bundles(self, start: int, end: int) -> Iterator[Columns]:
        """The bundles in which the entries [start, end) lie."""
        rows = self._query(_BUNDLES, (start // WIDTH, (end - 1) // WIDTH))
        return (self._parse(entries) for _, entries in rows)

    def _digests_of(self, number: int, entries: bytes) -> Sequence[bytes | None]:
        prefixes = None if entries else read_prefixes(self._db, number)
        if prefixes is not None:
            return pad(prefixes)
        return summarise_columns(self._parse(entries)).digests

    def _check_there(self, start: int, end: int) -> None:
        """Refuse entries whose bodies were taken out.

        Raises:
            PrunedError: `pruned`.
        """
        first = start // WIDTH
        gone = self._query(_PRUNED, (first, (end - 1) // WIDTH))
        if gone:
            number = gone[0][0]
            index = max(start, number * WIDTH)
            prefixes = read_prefixes(self._db, number) or []
            raise PrunedError(index, next(iter(prefixes[index % WIDTH :]), None))

    def _bundle(self, start: int, end: int) -> tuple[bytes, int]:
        """Entries of one bundle from `start` on, at most to `end`, that fit a package."""
        rows = self._query(_BUNDLE, (start // WIDTH,))
        stored = rows[0][0] if rows else b""
        if end - start == WIDTH and 0 < len(stored) <= MAX_BUNDLE:
            return stored, WIDTH  # the log has it all: it travels as it lies
        wanted = self._columns(start, end)
        bundle = wanted.bundle()  # a join, as entries are mostly alike
        if len(bundle) <= MAX_BUNDLE:
            return bundle, len(wanted)
        _, entries = next(cut_runs(start, list(wanted)))
        return encode_bundle(entries), len(entries)

    def _columns(self, start: int, end: int) -> Columns:
        """The entries [start, end) of one bundle."""
        rows = self._query(_BUNDLE, (start // WIDTH,))
        first = start - start % WIDTH
        wanted = self._parse(rows[0][0] if rows else b"").cut(start - first, end - first)
        if len(wanted) != end - start:
            self._check_there(start, end)
            raise MissingError("no-such-entry", f"the log does not hold the entries {start}-{end}")
        return wanted

    def _parse(self, bundle: bytes) -> Columns:
        try:
            return parse_columns(bundle)
        except MalformedError as error:  # ours, not a caller's
            raise InternalError("damaged-ledger", f"{self._path}: {error.message}") from error

    def _read_node(self, level: int, index: int) -> bytes:
        wanted = tile_id(level // 8, index >> (8 - level % 8))
        rows = self._query("SELECT hashes FROM tile WHERE id = ?", (wanted,))
        try:
            return read_tile_node(rows[0][0] if rows else b"", level, index)
        except ValueError as error:
            raise InternalError("damaged-ledger", f"the tree lacks node {level}/{index}") from error


def _salt_gone(index: int, why: str) -> MissingError:
    hint = "use the proof that was given then; `chopmark proof ID INDEX --bare` (in the API: "
    hint += "?bare=true) gives one without it"
    return MissingError("salt-gone", f"the salt of the entry {index} is gone: {why}", hint=hint)


def _cut(bundles: Iterable[Sequence[T]], start: int, end: int) -> list[T]:
    """What is said of the entries [start, end) by the bundles in which they lie."""
    held = [one for bundle in bundles for one in bundle]
    wanted = held[start % WIDTH : start % WIDTH + end - start]
    if start >= end or len(wanted) != end - start:
        raise MissingError("no-such-entry", f"the log does not hold the entries {start}-{end}")
    return wanted

"""Taking the bodies of entries out of a replica once they are over, and putting them back.

Rules (docs/operations/retention.md); a range is 64 bundles, 16,384 entries, and goes as a whole:
1. All of it lies under the newest signed head.
2. Every attestation in it has ended by the given time: its validity is over, or an entry that was
   made by then revokes or supersedes it. One without an end, that nothing takes back, never ends.
3. None was revoked for error, fraud or key compromise: that warning outlives it.
4. There is nothing else in it but revocations, whose effect is kept as references, and what does
   not parse. Consents, uses, adoptions and formats that are newer than we stay.

Hashes, references and the index stay. Of each entry the first eight bytes of its digest stay, from
which the index can be made again, and by which a match is known for what it most likely is. What
is put back must have the leaf hashes that stayed.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from chopmark.core.columns import Columns, parse_columns
from chopmark.core.entry import GRAVE_REASONS, Attestation, Revocation, parse_entry
from chopmark.core.errors import MalformedError, MissingError, RefusedError
from chopmark.core.merkle import HASH
from chopmark.core.tiles import WIDTH
from chopmark.ledger.summary import REVOCATION, summarise_columns

RANGE: Final = 64
"""Bundles that go and come together, so that nobody learns which document is asked about."""
PREFIX: Final = 8
_NONE: Final = bytes(PREFIX)
_PADDING: Final = bytes(HASH - PREFIX)


class PrunedError(MissingError):
    """An entry is of this log, but its body was taken out of the replica.

    Attributes:
        prefix: the first eight bytes of the digest under which it is found, if any.
    """

    status = 410

    def __init__(self, index: int, prefix: bytes | None) -> None:
        hint = "the issuer's own gateway has it; a replica fetches it again when it is asked for"
        message = f"the body of entry {index} was removed here, as its validity is over"
        super().__init__("pruned", message, hint=hint)
        self.prefix = prefix


def read_prefixes(db: sqlite3.Connection, number: int) -> list[bytes | None] | None:
    """Of a bundle that was pruned, what stayed of each entry's digest; None if it was not."""
    row = db.execute("SELECT prefixes FROM pruned WHERE n = ?", (number,)).fetchone()
    if row is None:
        return None
    parts = (row[0][at : at + PREFIX] for at in range(0, len(row[0]), PREFIX))
    return [None if part == _NONE else part for part in parts]


def pad(prefixes: Iterable[bytes | None]) -> list[bytes | None]:
    """Prefixes in the place of digests: the index looks at no more."""
    return [None if prefix is None else prefix + _PADDING for prefix in prefixes]


def is_prunable(db: sqlite3.Connection, number: int, limit: int) -> bool:
    """Whether the range with this number may be pruned: rules 2 to 4.

    Args:
        db: the replica's database.
        number: of the range; all of it must lie under the signed head.
        limit: ms since the epoch by which everything must have ended.
    """
    first = number * RANGE
    rows = db.execute(
        "SELECT n, entries FROM bundle WHERE n >= ? AND n < ? ORDER BY n", (first, first + RANGE)
    ).fetchall()
    kept = [(n, entries) for n, entries in rows if entries]
    return bool(kept) and all(_is_over(db, n, entries, limit) for n, entries in kept)


def prune_range(db: sqlite3.Connection, number: int) -> int:
    """Take the bodies of a range out, within a transaction; gives the number of bundles."""
    first = number * RANGE
    query = "SELECT n, entries FROM bundle WHERE n >= ? AND n < ? AND length(entries) > 0"
    rows = db.execute(query, (first, first + RANGE)).fetchall()
    for n, entries in rows:
        digests = summarise_columns(parse_columns(entries)).digests
        prefixes = b"".join([digest[:PREFIX] if digest else _NONE for digest in digests])
        db.execute("INSERT OR REPLACE INTO pruned VALUES (?, ?)", (n, prefixes))
        db.execute("UPDATE bundle SET entries = x'' WHERE n = ?", (n,))
    return len(rows)


def restore_bundle(db: sqlite3.Connection, number: int, columns: Columns) -> bool:
    """Put the entries of a bundle back, within a transaction; false if they are here already.

    Raises:
        RefusedError: `other-entries` if they do not have the leaf hashes of this log.
    """
    if db.execute("SELECT 1 FROM pruned WHERE n = ?", (number,)).fetchone() is None:
        return False
    row = db.execute("SELECT hashes FROM tile WHERE id = ?", (number,)).fetchone()
    if row is None or len(columns) != WIDTH or b"".join(columns.leaves()) != row[0]:
        raise RefusedError("other-entries", f"these are not the entries of bundle {number}")
    db.execute("UPDATE bundle SET entries = ? WHERE n = ?", (columns.bundle(), number))
    db.execute("DELETE FROM pruned WHERE n = ?", (number,))
    return True


def count_pruned(db: sqlite3.Connection) -> int:
    """Bundles whose bodies are not here at present."""
    count: int = db.execute("SELECT count(*) FROM pruned").fetchone()[0]
    return count


def pruned_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Bundles as runs of entries [start, end)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        start, end = number * WIDTH, (number + 1) * WIDTH
        if runs and runs[-1][1] == start:
            start = runs.pop()[0]
        runs.append((start, end))
    return runs


def _is_over(db: sqlite3.Connection, number: int, entries: bytes, limit: int) -> bool:
    columns = parse_columns(entries)
    if len(columns) != WIDTH:
        return False
    start = number * WIDTH
    taken_back: set[int] = set()
    for target, kind, reason, made_at in db.execute(
        "SELECT target, type, reason, made_at FROM reference WHERE target >= ? AND target < ?",
        (start, start + WIDTH),
    ):
        if kind == REVOCATION and reason in GRAVE_REASONS:
            return False
        if made_at < limit:
            taken_back.add(target)
    # Of alike entries the first speaks for all, unless some are taken back one by one.
    chosen = columns.cut(0, 1) if columns.head and not taken_back else columns
    return all(
        _has_ended(entry, limit, taken_back=start + offset in taken_back)
        for offset, entry in enumerate(chosen)
    )


def _has_ended(data: bytes, limit: int, *, taken_back: bool) -> bool:
    try:
        entry = parse_entry(data)
    except MalformedError:
        return True  # it means nothing, and never will
    match entry:
        case Attestation():
            expired = entry.valid_until is not None and entry.valid_until < limit
            return taken_back or expired
        case Revocation():
            return True
        case _:
            return False

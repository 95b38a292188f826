"""The check of our cosigners' rows (`chopmark fsck`): what decides what is never cosigned again.

A row that is too low, or of another root, lets a key cosign two histories; one that is too high
stops a witness. So each must be what the note beside it says, the note must be signed by the row's
key and by the log, and what we hold of the log must not contradict it. What we hold may be less: a
replica that was lost fills itself again. It reads only, and may run beside a gateway.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.checkpoint import read_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.member import is_cosigner_name
from chopmark.core.note import parse_note, verify_note
from chopmark.ledger.epoch import read_epochs
from chopmark.ledger.fsck import MAX_FINDINGS, Finding
from chopmark.ledger.reader import Reader
from chopmark.ledger.schema import connect
from chopmark.ledger.store import read_row, read_state

_ROWS: Final = "SELECT origin, vkey, size, root, time, note FROM cosigner ORDER BY origin, vkey"
_DAMAGE: Final = (
    "the disk fails, or a hand was in the file: stop the gateway, move log.db away, keep it, and"
    " run `chopmark recover`"
)
_CONTRADICTS: Final = (
    "one of the two is damaged: check the other ledger alone (`chopmark fsck --member`); a damaged"
    " replica is moved away and fills itself again, otherwise this log was forked"
)
_RESTORED: Final = "an older copy of the disk was put back: stop the gateway, `chopmark recover`"


@dataclass(frozen=True, slots=True)
class _Row:
    """What a key of ours has cosigned last of a log."""

    origin: str
    vkey: str
    size: int
    root: bytes
    time: int
    note: bytes

    def say(self, code: str, what: str, hint: str = _DAMAGE) -> Finding:
        name = self.vkey.partition("+")[0]
        return Finding(code, f"{name} has cosigned {self.origin} at {self.size}: {what}", hint)


def check_cosigned(
    path: Path,
    keys: Mapping[str, Sequence[VerifierKey]],
    replicas: Mapping[str, Path] | None = None,
) -> list[Finding]:
    """Check the rows in our own log's database.

    Args:
        path: the database.
        keys: by origin, the keys of which one must have signed; where none are known the log's
            signature is left aside.
        replicas: by origin, the databases of the logs that we hold, besides our own.

    Returns:
        What is wrong; empty for sound rows. A database that cannot be read is reported by
        `check_store`.
    """
    try:
        with closing(connect(path, read_only=True)) as db:
            db.execute("BEGIN")  # one snapshot
            own, rows = str(read_row(db, "origin")[0]), _read(db)
            found = [
                finding
                for row in rows
                for finding in _check_row(row, own, tuple(keys.get(row.origin, ())))
            ]
            barred = read_epochs(db).barred is not None
    except (ChopmarkError, sqlite3.Error):
        return []
    # What we hold is looked at after the rows: it may have grown since, which is no harm.
    if not barred:
        found += _compare([row for row in rows if row.origin == own], path, _check_own)
    for origin, replica in (replicas or {}).items():
        found += _compare([row for row in rows if row.origin == origin], replica, _check_held)
    return found[:MAX_FINDINGS]


def _read(db: sqlite3.Connection) -> list[_Row]:
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'cosigner'").fetchone():
        return []  # earlier software wrote it, and cosigned nothing
    return [_Row(*row) for row in db.execute(_ROWS)]


def _check_row(row: _Row, own: str, log_keys: tuple[VerifierKey, ...]) -> list[Finding]:
    """The row by itself: its key, its note, and that both say the same."""
    try:
        key = parse_vkey(row.vkey)
    except ChopmarkError as error:
        return [row.say("cosigner-key", f"its key cannot be read: {error.message}")]
    if not (is_cosigner_name(key.name, own) or key.name == f"{own}/witness"):
        return [row.say("cosigner-key", f"this is no key of {own}")]
    return _check_note(row, key, log_keys)


def _check_note(row: _Row, key: VerifierKey, log_keys: tuple[VerifierKey, ...]) -> list[Finding]:
    try:
        note = parse_note(row.note)
        head = read_checkpoint(note.text)
        signed = {one.key: one.time for one in verify_note(note, (key, *log_keys))}
    except ChopmarkError as error:
        return [row.say("cosigner-note", f"its note is not good: {error.message}")]
    if key not in signed:
        return [row.say("cosigner-note", "this key has not signed its note")]
    if log_keys and signed.keys().isdisjoint(log_keys):
        return [row.say("cosigner-note", "the log has not signed its note")]
    if (head.origin, head.size, head.root) != (row.origin, row.size, row.root):
        return [row.say("cosigner-head", f"its note is of {head.origin} at {head.size}")]
    if signed[key] > row.time:
        return [row.say("cosigner-head", "its time is before that of its note")]
    return []


def _compare(
    rows: Sequence[_Row], path: Path, check: Callable[[_Row, int, Reader], list[Finding]]
) -> list[Finding]:
    """Compare rows with the log that we hold; damage in that is reported by its own check."""
    if not rows or not path.exists():
        return []
    try:
        with closing(Reader(path)) as reader:
            size = reader.look(read_state).size
            return [finding for row in rows for finding in check(row, size, reader)]
    except (ChopmarkError, sqlite3.Error):
        return []


def _check_held(row: _Row, size: int, reader: Reader) -> list[Finding]:
    if row.size > size or reader.root_at(row.size) == row.root:
        return []
    what = "what is held of this log has another root there"
    return [row.say("cosigner-contradicts", what, _CONTRADICTS)]


def _check_own(row: _Row, size: int, reader: Reader) -> list[Finding]:
    """Our own log is durable before it is cosigned, so that it cannot lie behind."""
    if row.size > size:
        return [row.say("cosigner-beyond", f"our own log holds {size} entries", _RESTORED)]
    return _check_held(row, size, reader)

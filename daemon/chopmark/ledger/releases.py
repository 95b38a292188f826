"""Releases of frozen replicas in our own `log.db`, and replicas that are set aside for them."""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.errors import InternalError
from chopmark.core.evidence import Branch, Evidence, Subject
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState

_COLUMNS: Final = "evidence, origin, officers, applied_at, refetch, text"
_SUFFIXES: Final = ("-wal", "-shm", "")
"""In this order: what SQLite finds beside a new database of this name it takes for its own."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A release as it is stored.

    Attributes:
        evidence: digest of the evidence.
        officers: names, for people.
        applied_at: when it took effect, ms since the Unix epoch.
        refetch: 1 while our replica, which held the other branch, is still to be set aside; else 0.
        text: the release with its signatures.
    """

    evidence: bytes
    origin: str
    officers: str
    applied_at: int
    refetch: int
    text: bytes


def add_release(db: sqlite3.Connection, one: Applied) -> None:
    """Store a release; the first one for a piece of evidence stays."""
    row = (one.evidence, one.origin, one.officers, one.applied_at, one.refetch, one.text)
    db.execute(f"INSERT OR IGNORE INTO release ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - our own column names


def read_releases(db: sqlite3.Connection) -> list[Applied]:
    """All that are stored, the oldest first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM release ORDER BY applied_at, evidence")  # noqa: S608 - the same
    return [Applied(*row) for row in rows]


def end_refetch(db: sqlite3.Connection, origin: str) -> None:
    """Note that the replica was set aside."""
    db.execute("UPDATE release SET refetch = 0 WHERE origin = ?", (origin,))


def contradicts(reader: Reader, state: LogState, evidence: Evidence, branch: Branch) -> bool:
    """Whether what is held is not the past of this branch, as far as both are known."""
    head, number = branch.head(), evidence.number
    if head.size <= state.size:
        return reader.root_at(head.size) != head.root
    if evidence.subject is Subject.SIZE:
        return number <= state.size and reader.root_at(number) != branch.value
    return number < state.size and reader.node(0, number) != branch.value


def set_aside(path: Path, index: Path) -> Path | None:
    """Give the database of a replica that nobody has open another name; gives that.

    Its digest index is derived, and goes. If this breaks off, the same call goes on.

    Raises:
        InternalError: `not-set-aside`.
    """
    number = 1
    while (kept := path.with_name(f"{path.name}.released-{number}")).exists():
        number += 1
    try:
        shutil.rmtree(index, ignore_errors=True)
        for suffix in _SUFFIXES:
            old = path.with_name(path.name + suffix)
            if old.exists():
                old.rename(kept.with_name(kept.name + suffix))
    except OSError as error:
        message = f"{path} could not be set aside: {error.strerror}"
        hint = f"move {path}* away and start again: the replica fills from the peers"
        raise InternalError("not-set-aside", message, hint=hint) from error
    return kept if kept.exists() else None

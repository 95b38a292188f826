"""Why a replica is not followed any more, and the evidence that is made of it.

A replica stops at once; the evidence is made and stored right after. Where none can be made (the
signed head under which the newest entries came is not known any more since a start) it stays
stopped all the same, with the head that contradicts it.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from chopmark.core.evidence import Evidence
from chopmark.core.member import Member
from chopmark.core.refute import Anchor, Shown
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState, Store

Refute = Callable[[Shown], Evidence | None]
"""Makes evidence against what a log was shown to be, if it can."""

_COLUMNS: Final = "id, origin, found_at, text"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a log is not followed any more.

    Attributes:
        reason: in words.
        below: the smaller of the sizes of the two heads that cannot both be true.
        found_at: when it was found, ms since the epoch; None if that is not known any more.
        evidence: what proves it; None if nothing does yet, or can.
    """

    reason: str
    below: int
    found_at: int | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Evidence as it is stored: its digest, the log, when it was found (ms), and its text."""

    digest: bytes
    origin: str
    found_at: int
    text: bytes


def find_evidence(
    reader: Reader, state: LogState, tail: Anchor | None, refute: Refute
) -> Evidence | None:
    """Evidence against the log that is held, if it can be made.

    Args:
        reader: of the log.
        state: of the log.
        tail: the head under which its newest entries came, if it is known.
        refute: what is shown against it.
    """
    for anchor in _anchors(state, tail):
        evidence = refute(Shown.by_log(anchor, reader.node))
        if evidence is not None:
            return evidence
    return None


def good_size(reader: Reader, state: LogState, stop: Stop, *, quorum: bool) -> int:
    """Entries of a forked log that stay good: they lie under a head below both that conflict.

    Args:
        reader: of the log.
        state: of the log.
        stop: why it is not followed any more.
        quorum: whether the head must have been cosigned by a quorum before the fork was found;
            otherwise that it was held here by then is enough, since a frozen log grows no more.
    """
    if quorum:
        found = None if stop.found_at is None else stop.found_at // 1000
        return reader.witnessed_below(stop.below, found)
    return max(0, min(state.head.size, stop.below - 1))


def vouched_size(reader: Reader, state: LogState, stop: Stop, member: Member) -> int:
    """Entries of a forked log that stay good because the roster vouches for them.

    Whoever finds an old HSM can sign small heads with its key, and forge a fork by them. Where such
    a key alone has signed one of the two heads, the part of the log stays good whose last head, by
    that key or another that has ended, a threshold of institutions has signed: if ours is that one.

    Args:
        reader: of the log.
        state: of the log.
        stop: why it is not followed any more.
        member: whose log it is.
    """
    evidence = stop.evidence
    if evidence is None or not any(member.only_ended_signed(b.note) for b in evidence.branches):
        return 0
    held = (one for one in member.past_log_keys if one.size <= state.head.size)
    return max((one.size for one in held if reader.root_at(one.size) == one.root), default=0)


def keep_stop(store: Store, note: bytes, kept: Kept | None) -> None:
    """Store in a replica that it is stopped, so that it stays so. Call it on the writer's thread.

    Raises:
        TryAgainError: `not-recorded`, `storage-full`; it may be tried again.
    """
    if kept is not None:
        store.change(lambda db: add_evidence(db, kept))
    store.mark_fork(note)


def add_evidence(db: sqlite3.Connection, kept: Kept) -> None:
    """Store evidence; what is there already stays."""
    row = (kept.digest, kept.origin, kept.found_at, kept.text)
    db.execute(f"INSERT OR IGNORE INTO evidence ({_COLUMNS}) VALUES (?, ?, ?, ?)", row)  # noqa: S608 - our own column names


def remove_evidence(db: sqlite3.Connection, digest: bytes) -> None:
    """Forget evidence in whose place other evidence says more."""
    db.execute("DELETE FROM evidence WHERE id = ?", (digest,))


def read_evidence(reader: Reader, _state: LogState | None = None) -> list[Kept]:
    """All evidence that is stored, the oldest first; for `Log.read`, as a full disk allows it."""
    return [Kept(*row) for row in reader.evidence()]


def _anchors(state: LogState, tail: Anchor | None) -> Iterator[Anchor]:
    if tail is not None:
        yield tail
    if state.note is not None:
        yield Anchor(state.head, state.note, state.head.size)

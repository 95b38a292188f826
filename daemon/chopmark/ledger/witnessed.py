"""How far a log is witnessed: its newest head that a quorum has cosigned, and since when.

Of each ten seconds one row says by which time a quorum had cosigned the log at a size. What lies
between two rows existed by the later one's time: at most ten seconds more than could be said.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chopmark.ledger.store import Store

STEP: Final = 10
"""Seconds of history for which one row is kept."""

_LAST_TWO: Final = "SELECT size, time FROM witnessed WHERE size < ? ORDER BY size DESC LIMIT 2"
EXISTED_BY: Final = "SELECT time FROM witnessed WHERE size > ? ORDER BY size LIMIT 1"
"""The time by which a quorum had cosigned a head over the entry of an index."""


def move_witnessed(
    store: Store, size: int, time: int, note: bytes, kinds: Sequence[str] = ()
) -> None:
    """Store a head that a quorum has cosigned; one that brings nothing new changes nothing.

    Args:
        store: of our log or a replica; it holds all entries below `size`. On its thread.
        size: of the head.
        time: seconds since the epoch by which the quorum had cosigned it.
        note: the head's note with the quorum's cosignatures.
        kinds: of documents whose notaries have cosigned it too.

    Raises:
        TryAgainError: `not-recorded`, `storage-full`; nothing was changed.
        InternalError: `commit-unknown`; the process must end.
    """
    state = store.state
    ahead = size >= state.witnessed_size and note != state.witnessed_note
    fresh = [kind for kind in kinds if state.notarised.get(kind, (0, b""))[0] < size]
    if not ahead and not fresh:
        return

    def move(db: sqlite3.Connection) -> None:
        if ahead:
            _move(db, size, time, note)
        for kind in fresh:
            db.execute("INSERT OR REPLACE INTO notarised VALUES (?, ?, ?)", (kind, size, note))

    store.change(move)
    notarised = {**state.notarised, **dict.fromkeys(fresh, (size, note))}
    store.state = replace(store.state, notarised=notarised)
    if ahead:
        store.state = replace(store.state, witnessed_size=size, witnessed_note=note)


def _move(db: sqlite3.Connection, size: int, time: int, note: bytes) -> None:
    db.execute("UPDATE log SET witnessed_size = ?, witnessed_note = ?", (size, note))
    rows = db.execute(_LAST_TWO, (size,)).fetchall()
    # The row before is spared only if leaving it out would date what it covers much later.
    if len(rows) == 2 and time - rows[1][1] < STEP:
        db.execute("DELETE FROM witnessed WHERE size = ?", (rows[0][0],))
    db.execute("INSERT OR IGNORE INTO witnessed VALUES (?, ?)", (size, time))

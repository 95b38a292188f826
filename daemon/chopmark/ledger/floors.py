"""Floors of logs of others, once the rows that said how far we had cosigned them may be lost.

No peer holds these rows. After a recovery from an older disk, or none, what is left of them says
too little, and the key would cosign another history below what it once cosigned. So:
1. The recovery notes the key as lost. From then on it cosigns no log of others.
2. For each log an operator says below which head nothing is to be cosigned; from then on that log
   is cosigned again, from there. A floor never lowers what the rows say.
3. Another recovery takes back what operators have said: it was of before.
4. Another key has cosigned nothing, and needs no floors.

The functions run inside `Store.change`, or on a reader's connection.
"""

import sqlite3
from typing import Final

from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.ledger.cosigned import Cosigned, move_cosigned, read_cosigned

RETRY: Final = 3600
"""Seconds after which somebody who is refused may find that an operator was there."""


def lose(db: sqlite3.Connection, vkey: str, time: int) -> None:
    """Rule 1, and 3: what a key has cosigned may be more than its rows say; `time` in seconds."""
    db.execute("INSERT OR REPLACE INTO floors_lost VALUES (?, ?)", (vkey, time))
    db.execute("DELETE FROM floor WHERE vkey = ?", (vkey,))


def lost_keys(db: sqlite3.Connection) -> list[str]:
    """The keys of which floors are needed."""
    return [row[0] for row in db.execute("SELECT vkey FROM floors_lost ORDER BY vkey")]


def lacks_floor(db: sqlite3.Connection, origin: str, vkey: str) -> bool:
    """Whether a key must not cosign a log until somebody says from where."""
    if _read_floor(db, origin, vkey) is not None:
        return False
    row = db.execute("SELECT 1 FROM floors_lost WHERE vkey = ?", (vkey,)).fetchone()
    return row is not None


def read_last(db: sqlite3.Connection, origin: str, vkey: str) -> Cosigned | None:
    """What counts as the newest head of a log that a key has cosigned; None before the first.

    Raises:
        TryAgainError: `floor-unknown`.
    """
    row, floor = read_cosigned(db, origin, vkey), _read_floor(db, origin, vkey)
    if floor is None:
        if lacks_floor(db, origin, vkey):
            raise _unknown(origin)
        return row
    if row is not None and row.size >= floor[0]:
        return row
    return Cosigned(*floor, time=row.time if row else 0)


def move_last(
    db: sqlite3.Connection, origin: str, vkey: str, before: Cosigned | None, after: Cosigned
) -> bool:
    """As `move_cosigned`, of what `read_last` gave.

    Raises:
        TryAgainError: `floor-unknown`.
        ValueError: if the size or the time would go back, or the root of a size change.
    """
    if read_last(db, origin, vkey) != before:
        return False
    if before is not None and after.size == before.size and after.root != before.root:
        raise ValueError("a floor has one root")
    return move_cosigned(db, origin, vkey, read_cosigned(db, origin, vkey), after)


def set_floor(
    db: sqlite3.Connection, origin: str, vkey: str, head: tuple[int, bytes], time: int
) -> None:
    """Rule 2; until something is cosigned there it can be corrected.

    Args:
        db: our own log's database.
        origin: of the log.
        vkey: a key that is lost.
        head: size and root from which on it is cosigned.
        time: seconds since the Unix epoch.

    Raises:
        RefusedError: `floor-too-low`: more than that was cosigned; `floor-other-root`.
    """
    row = read_cosigned(db, origin, vkey)
    if row is not None and head[0] < row.size:
        message = f"{origin} was cosigned at {row.size} already, beyond {head[0]}"
        hint = "ask the log's operator for its newest checkpoint"
        raise RefusedError("floor-too-low", message, hint=hint)
    if row is not None and head[0] == row.size and head[1] != row.root:
        message = f"{origin} was cosigned at {row.size} with another root"
        hint = "this log has two histories: nothing of it can be cosigned by this key any more"
        raise RefusedError("floor-other-root", message, hint=hint)
    db.execute("INSERT OR REPLACE INTO floor VALUES (?, ?, ?, ?, ?)", (origin, vkey, *head, time))


def _read_floor(db: sqlite3.Connection, origin: str, vkey: str) -> tuple[int, bytes] | None:
    query = "SELECT size, root FROM floor WHERE origin = ? AND vkey = ?"
    row: tuple[int, bytes] | None = db.execute(query, (origin, vkey)).fetchone()
    return row


def _unknown(origin: str) -> TryAgainError:
    message = f"how far {origin} was cosigned was lost with a disk: it is not cosigned meanwhile"
    hint = "an operator of this witness says from which head on: `chopmark witness floor`"
    return TryAgainError("floor-unknown", message, hint=hint, retry_after=RETRY)

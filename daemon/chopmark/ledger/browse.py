"""Finds the bundles of 256 entries that one looks through for a time or a kind, the newest first.

1. It goes by a table of its own, for the bundles' own rows lie far apart on the disk. That is
   written with the bundles, checked by fsck, and made from them where it is empty.
2. Times never decrease within a log, but that blinded entries say the minute only: minutes never
   do. So the end of a minute is found by halving, and within it each bundle says its first time.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from chopmark.core.blinding import MINUTE, whole_minute
from chopmark.core.text import MAX_INT
from chopmark.core.tiles import WIDTH
from chopmark.ledger.bundles import Row

_ANY: Final = ""
"""What stands in place of a kind, once for each bundle."""
_FIRST_TIME: Final = f"SELECT made_first FROM place WHERE kind = '{_ANY}' AND bundle = ?"  # noqa: S608 - ours
_FIND: Final = (
    "SELECT bundle FROM place WHERE kind = ? AND bundle < ? AND made_first <= ?"
    " ORDER BY bundle DESC LIMIT ?"
)
_ADD: Final = (
    "INSERT INTO place VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET made_first = excluded.made_first"
    " WHERE made_first <> excluded.made_first"
)
_EMPTY: Final = "SELECT NOT EXISTS (SELECT 1 FROM place)"
_FILL: Final = (
    "INSERT INTO place SELECT DISTINCT one.value, n, made_first FROM bundle,"
    """ json_each('[' || replace(json_quote(',' || kinds), ',', '","') || ']') AS one"""
)


def find_bundles(
    db: sqlite3.Connection, size: int, count: int, until: int | None = None, kind: str | None = None
) -> list[int]:
    """Numbers of the newest bundles that hold what is looked for, from the newest down.

    Args:
        db: of the log.
        size: entries to look among, from the first one on.
        count: bundles at most.
        until: they hold entries made at this time or before, ms since the Unix epoch.
        kind: they hold attestations of this kind.
    """
    end = -(-size // WIDTH)
    if until is None:
        until = MAX_INT
    else:
        end = _find_end(db, whole_minute(until) + MINUTE, end)
    return [row[0] for row in db.execute(_FIND, (kind or _ANY, end, until, count))]


def write_places(db: sqlite3.Connection, bundles: Sequence[Row]) -> None:
    """Note what these bundles hold, within the caller's transaction; mostly nothing is new."""
    db.executemany(
        _ADD,
        [
            (kind, number, made_first)
            for number, _, made_first, _, kinds in bundles
            for kind in place_kinds(kinds)
        ],
    )


def place_kinds(kinds: str) -> set[str]:
    """Under what a bundle stands that holds these kinds, as its row has them."""
    return {_ANY, *kinds.split(",")}


def fill_places(db: sqlite3.Connection) -> None:
    """Make the table from the bundles if it is empty: earlier software kept none."""
    if db.execute(_EMPTY).fetchone()[0]:
        db.execute(_FILL)


def _find_end(db: sqlite3.Connection, minute: int, end: int) -> int:
    """The number of bundles, of `end` ones, after which all begin in this minute or later."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        row = db.execute(_FIRST_TIME, (middle,)).fetchone()
        if row is not None and row[0] < minute:
            low = middle + 1
        else:
            high = middle
    return low

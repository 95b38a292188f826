"""Finds places in a log by time and by kind, from what is kept beside each bundle of 256 entries.

1. Times never decrease within a log, but for whole minutes of blinded entries: a bundle is found
   by halving, in some sixteen steps among ten million entries.
2. Which kinds a bundle holds is read once and remembered, two bytes for each. What is complete
   never changes. Reading it takes a look at the bundle's row, so that one search reads a bounded
   number of rows and says how far it has come.
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterator
from typing import Final

from chopmark.core.tiles import WIDTH

_FIRST_TIME: Final = "SELECT made_first FROM bundle WHERE n = ?"
_KINDS: Final = "SELECT n, kinds FROM bundle WHERE n BETWEEN ? AND ?"
AT_ONCE: Final = 64
"""Bundles whose kinds are read by one query."""
_UNREAD: Final = 0
Rows = Callable[[int, int], list[tuple[int, str]]]


def find_by_time(db: sqlite3.Connection, until: int, size: int) -> int:
    """How many of the first `size` entries lie in bundles that begin no later than a time.

    What was made later may still be among the last ones of these.

    Args:
        db: of the log.
        until: ms since the Unix epoch.
        size: entries to look among.
    """
    low, high = 0, -(-size // WIDTH)  # bundles; those below `low` begin in time
    while low < high:
        middle = (low + high) // 2
        row = db.execute(_FIRST_TIME, (middle,)).fetchone()
        if row is not None and row[0] <= until:
            low = middle + 1
        else:
            high = middle
    return min(size, low * WIDTH)


def read_kinds(db: sqlite3.Connection, first: int, last: int) -> list[tuple[int, str]]:
    """Number and kinds, as they lie there, of the bundles from `first` to `last`."""
    return db.execute(_KINDS, (first, last)).fetchall()


class KindMap:
    """Which kinds of documents the bundles of one log hold."""

    def __init__(self) -> None:
        self._sets = array("H")
        self._names: list[frozenset[str]] = [frozenset()]
        self._numbers: dict[str, int] = {}

    def walk(
        self, rows: Rows, last: int, full: int, budget: int
    ) -> Iterator[tuple[int, frozenset[str]]]:
        """Bundles with their kinds, from number `last` down; ends once the budget is spent.

        Args:
            rows: gives what `read_kinds` does.
            last: where to begin.
            full: number of bundles that are complete.
            budget: rows that may be read.
        """
        self._sets.extend([_UNREAD] * max(0, full - len(self._sets)))
        while last >= 0:
            first = last - last % AT_ONCE
            if last >= full or _UNREAD in self._sets[first : last + 1]:
                if budget <= 0:
                    return
                budget -= AT_ONCE
                known = self._read(rows(first, last), full)
            else:
                places = self._sets[first : last + 1]
                known = {first + at: self._names[place] for at, place in enumerate(places)}
            for number in range(last, first - 1, -1):
                yield number, known.get(number, self._names[_UNREAD])
            last = first - 1

    def _read(self, rows: list[tuple[int, str]], full: int) -> dict[int, frozenset[str]]:
        """Kinds of some bundles; those of complete ones are remembered."""
        found = {}
        for number, text in rows:
            place = self._numbers.setdefault(text, len(self._names))
            if place == len(self._names):
                self._names.append(frozenset(filter(None, text.split(","))))
            found[number] = self._names[place]
            if number < full:
                self._sets[number] = place
        return found

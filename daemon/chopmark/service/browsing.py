"""Pages through a log from its newest entry down, by kind and time if asked to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.leaves import EntryOut, describe_entry, describe_pruned
from chopmark.core.tiles import WIDTH
from chopmark.ledger.browse import find_bundles
from chopmark.ledger.log import Log
from chopmark.ledger.pruning import PrunedError
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState
from chopmark.ledger.summary import NOTHING, summarise

BUDGET: Final = 64
"""Bundles, of 256 entries, that one answer looks into at most: some tens of ms."""
Leaf = tuple[int, bytes | None]
"""An index and the entry's bytes; None where they were pruned."""


@dataclass
class Browsing:
    """Looks at logs.

    Args:
        logs: by member id.
    """

    logs: Mapping[str, Log]

    async def page(self, member: str, asked: Browsed) -> LedgerOut:
        """One page of signed entries, the newest first."""

        def look(reader: Reader, state: LogState) -> LedgerOut:
            return _Page(reader, state.head.size, asked).fill()

        return await self.logs[member].read(look)


class _Page:
    """One answer in the making, on the readers' thread."""

    def __init__(self, reader: Reader, size: int, asked: Browsed) -> None:
        self._reader = reader
        self._size = size
        self._asked = asked
        self._needle = b"" if asked.kind is None else asked.kind.encode()

    def fill(self) -> LedgerOut:
        """Look down from where it was asked for until the page is full."""
        asked, found = self._asked, list[EntryOut]()
        below = self._size if asked.before is None else min(self._size, asked.before)
        numbers = self._reader.look(find_bundles, below, BUDGET + 1, asked.until, asked.kind)
        for number in numbers[:BUDGET]:
            for index, leaf in self._leaves(number, below):
                if not self._is_wanted(leaf):
                    continue
                found.append(self._describe(index, leaf))
                if len(found) == asked.limit:
                    return LedgerOut(found, self._size, index or None)
        rest = (numbers[BUDGET] + 1) * WIDTH if len(numbers) > BUDGET else None
        return LedgerOut(found, self._size, rest)

    def _leaves(self, number: int, below: int) -> Iterator[Leaf]:
        """Entries of a bundle below an index, the newest first."""
        start = number * WIDTH
        end = min(start + WIDTH, below)
        try:
            leaves: Sequence[bytes | None] = self._reader.entries(start, end)
        except PrunedError:
            leaves = [None] * (end - start)
        return zip(range(end - 1, start - 1, -1), reversed(leaves), strict=True)

    def _is_wanted(self, leaf: bytes | None) -> bool:
        kind, until = self._asked.kind, self._asked.until
        # Most entries are told by a look at their bytes, which costs less than reading them.
        if kind is not None and (leaf is None or self._needle not in leaf):
            return False
        if kind is None and until is None:
            return True
        gist = NOTHING if leaf is None else summarise(leaf)
        if kind is not None and gist.kind != kind:
            return False
        return until is None or gist.made_at is None or gist.made_at <= until

    def _describe(self, index: int, leaf: bytes | None) -> EntryOut:
        if leaf is None:
            return describe_pruned(index, self._reader.node(0, index))
        return describe_entry(index, leaf)

"""Pages through a log from its newest entry down, by kind and time if asked to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.leaves import EntryOut, describe_entry, describe_pruned
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import MalformedError
from chopmark.core.tiles import WIDTH
from chopmark.ledger.browse import KindMap, find_by_time, read_kinds
from chopmark.ledger.log import Log
from chopmark.ledger.pruning import PrunedError
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState

BUDGET: Final = 2048
"""Bundles, half a million entries, whose kinds one answer reads at most."""
Leaf = tuple[int, bytes | None]
"""An index and the entry's bytes; None where they were pruned."""


@dataclass
class Browsing:
    """Looks at logs.

    Args:
        logs: by member id.
    """

    logs: Mapping[str, Log]
    _kinds: defaultdict[str, KindMap] = field(default_factory=lambda: defaultdict(KindMap))

    async def page(self, member: str, asked: Browsed) -> LedgerOut:
        """One page of signed entries, the newest first."""
        log, kinds = self.logs[member], self._kinds[member]

        def look(reader: Reader, state: LogState) -> LedgerOut:
            return _Page(reader, state.head.size, kinds, asked).fill()

        return await log.read(look)


class _Page:
    """One answer in the making, on the readers' thread."""

    def __init__(self, reader: Reader, size: int, kinds: KindMap, asked: Browsed) -> None:
        self._reader = reader
        self._size = size
        self._kinds = kinds
        self._asked = asked
        self._rest: int | None = None

    def fill(self) -> LedgerOut:
        """Look down from where it was asked for until the page is full."""
        asked, found = self._asked, list[EntryOut]()
        below = self._size if asked.before is None else min(self._size, asked.before)
        if asked.until is not None:
            below = self._reader.look(find_by_time, asked.until, below)
        for number in self._numbers(below):
            for index, leaf in self._leaves(number, below):
                if not self._is_wanted(leaf):
                    continue
                found.append(self._describe(index, leaf))
                if len(found) == asked.limit:
                    return LedgerOut(found, self._size, index or None)
        return LedgerOut(found, self._size, self._rest)

    def _numbers(self, below: int) -> Iterator[int]:
        """The bundles to look into, the newest first; of an unfinished search, what is left."""
        last, kind = (below - 1) // WIDTH, self._asked.kind
        if kind is None:
            yield from range(last, -1, -1)
            return
        seen, full = last + 1, self._size // WIDTH

        def rows(first: int, last: int) -> list[tuple[int, str]]:
            return self._reader.look(read_kinds, first, last)

        for number, kinds in self._kinds.walk(rows, last, full, BUDGET):
            seen = number
            if kind in kinds:
                yield number
        self._rest = min(below, seen * WIDTH) or None

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
        if kind is None and until is None:
            return True
        try:
            entry = None if leaf is None else parse_entry(leaf)
        except MalformedError:
            entry = None
        if kind is not None and not (isinstance(entry, Attestation) and entry.kind == kind):
            return False
        made_at = getattr(entry, "made_at", None)
        return until is None or made_at is None or made_at <= until

    def _describe(self, index: int, leaf: bytes | None) -> EntryOut:
        if leaf is None:
            return describe_pruned(index, self._reader.node(0, index))
        return describe_entry(index, leaf)

"""Fills entry bundles: 256 entries are one row of the database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from chopmark.core.columns import Columns, parse_columns
from chopmark.core.tiles import WIDTH
from chopmark.ledger.summary import Summary, summarise_columns

Row = tuple[int, bytes, int, int, str]
"""Number, entries, first and last time (ms since the epoch), and kinds of a bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is being filled."""

    number: int
    entries: bytes = b""
    count: int = 0
    times: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()

    def with_more(self, portions: Sequence[tuple[Columns, Summary]]) -> "Bundle":
        """This bundle with what follows."""
        return replace(
            self,
            entries=b"".join([self.entries, *(columns.bundle() for columns, _ in portions)]),
            count=self.count + sum(len(columns) for columns, _ in portions),
            times=self.times.union(*(summary.times for _, summary in portions)),
            kinds=self.kinds.union(*(summary.kinds for _, summary in portions)),
        )

    def row(self) -> Row:
        """As the database keeps it."""
        times = self.times or {0}
        return self.number, self.entries, min(times), max(times), ",".join(sorted(self.kinds))


@dataclass(slots=True)
class Filling:
    """What an append writes.

    Attributes:
        bundles: all that change; the last may have room, and is never full.
        summaries: of the portions that were added, in order.
    """

    bundles: list[Bundle]
    summaries: list[Summary] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """The rows to write."""
        return [bundle.row() for bundle in self.bundles if bundle.count]


def fill(tail: Bundle, runs: Iterable[Columns]) -> Filling:
    """Add runs of entries to the last bundle, and to new ones after it."""
    made = Filling([tail])
    portions: list[tuple[Columns, Summary]] = []
    room = WIDTH - tail.count
    for columns in _cut(runs, room):
        portions.append((columns, summarise_columns(columns)))
        made.summaries.append(portions[-1][1])
        room -= len(columns)
        if not room:
            made.bundles[-1] = made.bundles[-1].with_more(portions)
            made.bundles.append(Bundle(made.bundles[-1].number + 1))
            portions, room = [], WIDTH
    made.bundles[-1] = made.bundles[-1].with_more(portions)
    return made


def load_bundle(number: int, entries: bytes) -> Bundle:
    """The last bundle of a log, as it was stored.

    Raises:
        MalformedError: `malformed-bundle`.
    """
    return Bundle(number).with_more([(c, summarise_columns(c)) for c in (parse_columns(entries),)])


def _cut(runs: Iterable[Columns], room: int) -> Iterator[Columns]:
    """The runs, cut where a bundle is full."""
    for columns in runs:
        start = 0
        while start < len(columns):
            end = min(start + room, len(columns))
            whole = (start, end) == (0, len(columns))
            yield columns if whole else columns.cut(start, end)
            room = room - (end - start) or WIDTH
            start = end

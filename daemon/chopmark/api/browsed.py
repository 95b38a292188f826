"""What is looked for in a log, and a page of what is found."""

from dataclasses import dataclass

import msgspec

from chopmark.api.leaves import EntryOut


@dataclass(frozen=True, slots=True)
class Browsed:
    """What is looked for.

    Attributes:
        before: only entries with an index below; None for all.
        until: only entries made at this time or before, ms since the Unix epoch.
        kind: only attestations of this kind.
        limit: entries at most.
    """

    before: int | None
    until: int | None
    kind: str | None
    limit: int


class LedgerOut(msgspec.Struct):
    """Signed entries, the newest first, and the signed size of the log that they are from.

    `next` goes into `before` to go on; null at the end. Where a kind or a
    time is looked for there may be fewer entries than asked for, or none, and more to come all the
    same.
    """

    entries: list[EntryOut]
    size: int
    next: int | None

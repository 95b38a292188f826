"""What is known here of a document by one digest, in all logs, page by page.

By SHA-256 the digest index answers. SM3 has no index: every attestation names SHA-256 too, and a
second index would cost each of them as much again. The logs are looked through instead, the newest
entries first, in steps short enough that verifications on the same thread go between them; an
answer looks at a bounded number of entries and says where to go on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final

from chopmark.api.found import DocumentsOut, FoundOut, RevokedOut, SearchedOut, State
from chopmark.api.leaves import describe_digests
from chopmark.api.slots import Slots
from chopmark.core.entry import REASONS, Attestation, Entry, parse_entry
from chopmark.core.errors import MalformedError
from chopmark.core.member import Member
from chopmark.core.ports import Clock
from chopmark.core.text import MAX_INT, parse_decimal
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState

STEP: Final = 16_384
"""Entries (some 2 MB, some milliseconds) that are looked through at a time."""
MAX_LOOKED: Final = 64 * STEP
"""Entries that are looked through for one answer by SM3."""
MAX_LOOKING: Final = 2
"""Such answers that are made at once."""
Hit = tuple[int, bytes | None]
"""An index and the entry's bytes; None where they were pruned."""


@dataclass
class Documents:
    """Looks documents up.

    Args:
        logs: of every member that is known here, our own first, with what is known of it.
        clock: says what has expired.
    """

    logs: Mapping[str, tuple[Member, Log]]
    clock: Clock
    own: str
    _slots: Slots = field(init=False)

    def __post_init__(self) -> None:
        self._slots = Slots(MAX_LOOKING, "look-ups by SM3", retry_after=1)

    async def page(
        self, digest: bytes, after: str | None, limit: int, *, with_sm3: bool
    ) -> DocumentsOut:
        """Attestations of a digest; see `api.documents`.

        Raises:
            MalformedError: `malformed-cursor`.
            TryAgainError: `index-rebuilding`, `overloaded`.
        """
        start, below = self._read_cursor(after)
        page = _Page(self, digest, limit, with_sm3=with_sm3)
        if not with_sm3:
            return await page.fill(start, below)
        with self._slots.taken():
            return await page.fill(start, below)

    def as_of(self, member: str, state: LogState) -> str | None:
        """The time up to which a log is known to be whole here; our own always is."""
        if member == self.own:
            return format_time(self.clock.now_ms())
        return format_time(state.seen_time * 1000) if state.seen_time else None

    def _read_cursor(self, cursor: str | None) -> tuple[str, int]:
        """Where to begin: a member, and the index below which to look."""
        if cursor is None:
            return next(iter(self.logs)), MAX_INT
        member, _, below = cursor.partition(":")
        try:
            place = member, parse_decimal(below, "the index")
        except MalformedError:
            place = "", 0
        if place[0] not in self.logs:
            hint = "give `next` of the answer before as it is, or begin without `after`"
            raise MalformedError("malformed-cursor", "`after` is no cursor of ours", hint=hint)
        return place


class _Page:
    """One answer in the making."""

    def __init__(self, of: Documents, digest: bytes, limit: int, *, with_sm3: bool) -> None:
        self._of = of
        self._digest = digest
        self._limit = limit
        self._look = self._step if with_sm3 else self._ask_index
        self._left = MAX_LOOKED
        self._now = of.clock.now_ms()
        self._found: list[FoundOut] = []
        self._searched: list[SearchedOut] = []

    async def fill(self, start: str, below: int) -> DocumentsOut:
        """Look from a place on until the page is full."""
        for name in dropwhile(lambda one: one != start, self._of.logs):
            member, log = self._of.logs[name]
            state = log.state
            size, as_of = state.head.size, self._of.as_of(name, state)
            self._searched.append(SearchedOut(name, size, as_of))
            below = min(below, size)
            while below:
                if len(self._found) >= self._limit or self._left <= 0:
                    return self._end(f"{name}:{below}")
                some, below = await log.read(self._looker(member, log, below))
                self._found += some
            below = MAX_INT
        return self._end(None)

    def _end(self, cursor: str | None) -> DocumentsOut:
        return DocumentsOut(self._found, self._searched, cursor)

    def _looker(
        self, member: Member, log: Log, below: int
    ) -> Callable[[Reader, LogState], tuple[list[FoundOut], int]]:
        """What is done on the readers' thread: look a little further, describe what is there."""

        def look(reader: Reader, state: LogState) -> tuple[list[FoundOut], int]:
            hits, reached = self._look(log, reader, below)
            size = state.size if member.id == self._of.own else state.head.size
            return [self._describe(member, reader, size, hit) for hit in hits], reached

        return look

    def _ask_index(self, log: Log, _reader: Reader, below: int) -> tuple[list[Hit], int]:
        return log.find_below(self._digest, below, self._limit - len(self._found))

    def _step(self, _log: Log, reader: Reader, below: int) -> tuple[list[Hit], int]:
        start = max(0, (below - 1) // STEP * STEP)
        self._left -= below - start
        hits: list[Hit] = []
        # One digest may be attested ever so often: the page's bound holds within a step, too.
        for index, data in reader.search(self._digest, start, below):
            entry = _parse(data)
            if not isinstance(entry, Attestation) or entry.blinded or entry.sm3 != self._digest:
                continue
            hits.append((index, data))
            if len(hits) >= self._limit - len(self._found):
                return hits, index
        return hits, start

    def _describe(self, member: Member, reader: Reader, size: int, hit: Hit) -> FoundOut:
        index, data = hit
        entry = None if data is None else _parse(data)
        revocation, newer = reader.references(index, size)
        revoked = None if revocation is None else _describe_revocation(*revocation)
        superseded = None if newer < 0 else newer
        place = (member.id, member.origin, member.institution, index)
        if not isinstance(entry, Attestation):
            state: State = "pruned" if data is None else "unknown-format"
            return FoundOut(*place, state, superseded_by=superseded, revoked=revoked)
        by, until = reader.existed_by(index), entry.valid_until
        return FoundOut(
            *place,
            self._state(entry, revoked, superseded),
            entry.kind,
            describe_digests(entry),
            entry.blinded,
            format_time(entry.made_at),
            None if by is None else format_time(by * 1000),
            None if until is None else format_time(until),
            entry.supersedes,
            superseded,
            revoked,
        )

    def _state(
        self, entry: Attestation, revoked: RevokedOut | None, superseded: int | None
    ) -> State:
        """The first that applies, in the order of verdicts."""
        if revoked is not None:
            return "revoked"
        if superseded is not None:
            return "superseded"
        expired = entry.valid_until is not None and entry.valid_until < self._now
        return "expired" if expired else "live"


def _parse(data: bytes) -> Entry | None:
    try:
        return parse_entry(data)
    except MalformedError:
        return None


def _describe_revocation(index: int, reason: int, made_at: int) -> RevokedOut:
    text = REASONS[reason] if reason < len(REASONS) else None
    return RevokedOut(index, reason, text, format_time(made_at))

"""Compares anchors with what is held here, at once or later.

Rules:
1. What contradicts in itself already is compared with nothing.
2. What lay ahead is compared again once the replica has come so far; after a start all of it.
3. After a start what did not count is compared again: as members change, a gateway begins anew, and
   a member that was suspended may be back, or a key be listed that was not known yet.
4. Only what is another thing now is stored, and told.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.anchor.contract import Key
from chopmark.anchor.ports import Finding, Histories
from chopmark.anchor.store import Row, Store
from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.note import parse_note
from chopmark.core.text import MAX_INT

LOG: Final = logging.getLogger("chopmark.anchor")
CHUNK: Final = 64
"""Anchors that are compared together: readers of the replica wait no longer than that takes."""
AGAIN: Final = 16
"""Chunks of those that did not count in one step: others wait for the step's end."""
Followed = Mapping[Key, str]
"""Origins, by account and hash of the origin."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an anchor says.

    Attributes:
        contradiction: why it cannot be, if that is known already.
    """

    origin: str
    size: int
    note: bytes
    contradiction: str | None = None


@dataclass
class Judge:
    """Compares, and compares again."""

    store: Store
    histories: Histories
    followed: Callable[[], Followed]
    _begun: bool = False
    _place: int | None = 0

    async def judge(self, claims: Sequence[Claim]) -> list[Finding]:
        """What each was found to be; raises what `Histories.compare` does."""
        found = await asyncio.to_thread(lambda: [_refute(one) for one in claims])
        by_log: dict[str, list[int]] = defaultdict(list)
        for place, claim in enumerate(claims):
            if found[place] is None:
                by_log[claim.origin].append(place)
        for origin, places in by_log.items():
            for start in range(0, len(places), CHUNK):
                some = places[start : start + CHUNK]
                answers = await self.histories.compare(origin, [claims[one].note for one in some])
                for place, answer in zip(some, answers, strict=True):
                    found[place] = answer
        return [one for one in found if one is not None]

    async def look_again(self) -> None:
        """What lay ahead, and after a start what did not count; raises as `judge`, and `Store`."""
        origins = set(self.followed().values())
        sizes = {one: self.histories.size(one) if self._begun else MAX_INT for one in origins}
        await self._settle(await self.store.ahead(sizes, CHUNK))
        self._begun = True
        for _ in range(AGAIN):
            if self._place is None:
                return
            found = await self.store.uncounted(self._place, CHUNK)
            await self._settle([row for _, row in found if row.origin in origins])
            self._place = found[-1][0] if found else None

    async def _settle(self, rows: Sequence[Row]) -> None:
        findings = await self.judge([_claim_again(row) for row in rows])
        changed = [
            pair for pair in zip(rows, findings, strict=True) if pair[0].word != pair[1].word
        ]
        for row, finding in changed:
            tell(row, finding)
        if changed:
            await self.store.settle(changed)


def tell(row: Row, finding: Finding) -> None:
    """Log what is in contradiction."""
    if finding.word == "bad":
        message = "anchor %d of %s in block %d contradicts: %s"
        extra = {"code": "anchor-contradiction"}
        LOG.error(message, row.number, row.origin, row.block, finding.reason, extra=extra)


def _claim_again(row: Row) -> Claim:
    """What an anchor says that was stored; of one that was larger than any log its size was not."""
    reason = row.reason if row.size == MAX_INT else None
    return Claim(row.origin, row.size, row.note or b"", reason)


def _refute(claim: Claim) -> Finding | None:
    """What in an anchor cannot be, before it is compared with anything, or None."""
    if claim.contradiction is not None:
        return Finding("bad", claim.contradiction)
    try:
        head = parse_checkpoint(parse_note(claim.note).text)
    except ChopmarkError as error:
        return Finding("bad", f"its note is none of a checkpoint: {error.message}")
    if head.size != claim.size:
        return Finding(
            "bad", f"it was anchored as of size {claim.size}, and its note says {head.size}"
        )
    return None

"""Reads what all members have anchored, without a gap, and compares it with what is held here.

Rules:
1. Only accounts that the roster names count, each for its own log; all else is left aside.
2. The contract counts the anchors of each log. What it has counted before a step began must have
   been read when the step has come to the newest block: else something is missing, and is looked
   for block by block. What is missing then too is an alarm, and another node is asked.
3. Anchors of a log are taken in the order of their numbers, and only so: what comes twice, or too
   early, changes nothing.
4. Each is compared with our replica, at once or as soon as that has come so far. Two heads that the
   log's key has signed and that cannot both be true are evidence, as wherever they meet; any other
   contradiction is an alarm, and freezes nothing: only the log's own key can accuse its log.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chopmark.anchor.chain import STEP, Chain, View
from chopmark.anchor.contract import Event, Key, Latest
from chopmark.anchor.ports import Finding, Histories
from chopmark.anchor.rpc import BATCH
from chopmark.anchor.store import Row, Seen, Store, make_row
from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.note import parse_note
from chopmark.core.text import MAX_INT

LOG: Final = logging.getLogger("chopmark.anchor")
CHUNK: Final = 64
"""Anchors that are compared together: readers of the replica wait no longer than that takes."""
Followed = Mapping[Key, str]
"""Origins, by account and hash of the origin."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The contract has counted more anchors of a log than its nodes tell of."""

    origin: str
    read: int
    counted: int


@dataclass
class Follower:
    """Follows the chain.

    Attributes:
        followed: whose anchors count, now.
        now_ms: the time.
        height: the newest block that was seen; None before the first.
        gaps: what is missing, by log.
        taken: anchors read since start.
    """

    chain: Chain
    store: Store
    histories: Histories
    followed: Callable[[], Followed]
    now_ms: Callable[[], int]
    height: int | None = None
    gaps: dict[Key, Gap] = field(default_factory=dict)
    taken: int = 0
    _begun: bool = False

    async def step(self) -> None:
        """Read on to the newest block.

        Raises:
            ChopmarkError: what nodes and disk refuse; what was stored stays.
        """
        async with self.chain.view() as view:
            if self.chain.known is not None:
                await self.store.know_chain(self.chain.known)
            followed = self.followed()
            keys = list(followed)
            counted = await view.latest(keys)
            self.height = await view.height()
            await self._walk(view, followed, self.height)
            await self._fill(view, followed, dict(zip(keys, counted, strict=True)))
        await self._look_again()

    async def _walk(self, view: View, followed: Followed, height: int) -> None:
        accounts = sorted({account for account, _ in followed})
        while self.store.cursor < height:
            first = self.store.cursor + 1
            last = min(self.store.cursor + STEP * BATCH, height)
            events = await view.events(first, last, accounts) if accounts else []
            await self._take(events, followed, last)

    async def _fill(self, view: View, followed: Followed, counted: Mapping[Key, Latest]) -> None:
        """See that all was read that the contract had counted; read again what was not."""
        for key, latest in counted.items():
            if self._seen(key).number >= latest.number:
                self.gaps.pop(key, None)
                continue
            await self._search(view, key, followed, latest)
            read = self._seen(key).number
            if read >= latest.number:
                continue
            self.gaps[key] = Gap(followed[key], read, latest.number)
            message = f"it tells of {read} of {latest.number} anchors of {followed[key]}"
            LOG.error("%s: %s", view.url, message, extra={"code": "anchor-gap"})
            self.chain.skip(view, message)

    async def _search(self, view: View, key: Key, followed: Followed, latest: Latest) -> None:
        """Read the blocks again in which the missing ones can be.

        At first as ever: this is how the past of a log is read that is new here. Then each block by
        itself: a node that looks at fewer blocks than we think hides nothing so.
        """
        last, only = min(latest.block, self.store.cursor), {key: followed[key]}
        for look, width in ((view.events, STEP * BATCH), (view.each_block, BATCH)):
            first = max(self._seen(key).block, self.chain.place.first_block)
            if self._seen(key).number >= latest.number:
                return
            LOG.info("anchors of %s are looked for in blocks %d to %d", followed[key], first, last)
            for start in range(first, last + 1, width):
                found = await look(start, min(start + width - 1, last), [key[0]])
                await self._take(found, only, self.store.cursor)

    async def _take(self, events: Sequence[Event], followed: Followed, cursor: int) -> None:
        """Compare and store what is next of each log; the rest is known, or comes again."""
        due: list[tuple[Event, str, str | None]] = []
        seen: dict[Key, Seen] = {}
        for event in events:
            origin = followed.get(event.key)
            before = seen.get(event.key) or self._seen(event.key)
            if origin is None or event.number != before.number + 1:
                continue
            due.append((event, origin, _contradiction(event, before)))
            seen[event.key] = Seen(event.number, event.size, event.block)
        findings = await self._compare([(event.note, origin, bad) for event, origin, bad in due])
        now = self.now_ms()
        rows = [
            make_row(event, origin, finding, now)
            for (event, origin, _), finding in zip(due, findings, strict=True)
        ]
        for row in rows:
            _tell(row)
        await self.store.take(rows, cursor)
        self.taken += len(rows)

    async def _compare(self, due: Sequence[tuple[bytes, str, str | None]]) -> list[Finding]:
        """What each note is; what contradicts in itself already is not compared."""
        found = [Finding("bad", bad) if bad else None for _, _, bad in due]
        by_log: dict[str, list[int]] = defaultdict(list)
        for place, (_, origin, bad) in enumerate(due):
            if bad is None:
                by_log[origin].append(place)
        for origin, places in by_log.items():
            for start in range(0, len(places), CHUNK):
                some = places[start : start + CHUNK]
                answers = await self.histories.compare(origin, [due[place][0] for place in some])
                for place, answer in zip(some, answers, strict=True):
                    found[place] = answer
        return [one for one in found if one is not None]

    async def _look_again(self) -> None:
        """Compare what lay ahead, once the replica has come so far; after a start all of it."""
        origins = set(self.followed().values())
        sizes = {one: self.histories.size(one) if self._begun else MAX_INT for one in origins}
        rows = await self.store.ahead(sizes, CHUNK)
        if rows:
            known = [(row.note or b"", row.origin, None) for row in rows]
            findings = await self._compare(known)
            settled = [pair for pair in zip(rows, findings, strict=True) if pair[1].word != "ahead"]
            for row, finding in settled:
                _tell(row, finding)
            await self.store.settle(settled)
        self._begun = True

    def _seen(self, key: Key) -> Seen:
        return self.store.seen.get(key, Seen())


def _contradiction(event: Event, before: Seen) -> str | None:
    """What in an event cannot be, before it is compared with anything, or None."""
    if event.size <= before.size:
        return f"its size {event.size} is not above {before.size}, that of the one before it"
    if event.previous != before.block:
        return f"it names block {event.previous} as that of the one before it, not {before.block}"
    try:
        head = parse_checkpoint(parse_note(event.note).text)
    except ChopmarkError as error:
        return f"its note is none of a checkpoint: {error.message}"
    if head.size != event.size:
        return f"it was anchored as of size {event.size}, and its note says {head.size}"
    return None


def _tell(row: Row, finding: Finding | None = None) -> None:
    word, reason = (row.word, row.reason) if finding is None else (finding.word, finding.reason)
    if word == "bad":
        message = "anchor %d of %s in block %d contradicts: %s"
        extra = {"code": "anchor-contradiction"}
        LOG.error(message, row.number, row.origin, row.block, reason, extra=extra)


async def run(follower: Follower, every: float, problem: Callable[[str | None], None]) -> None:
    """Follow for ever; what goes wrong is told, and tried again.

    Args:
        follower: who follows.
        every: seconds between two steps.
        problem: told why the last step has failed, or None.
    """
    while True:
        try:
            await follower.step()
            problem(None)
        except ChopmarkError as error:
            problem(error.message)
        except Exception:  # nothing that a chain shows may end the gateway
            LOG.exception("following the chain")
            problem("an error of ours: see the log")
        await asyncio.sleep(every)

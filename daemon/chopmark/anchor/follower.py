"""Reads what all members have anchored, without a gap, and has it compared with what is held here.

Rules:
1. Only accounts that the roster names count, each for its own log; all else is left aside.
2. The contract counts the anchors of each log. What it has counted before a step began must have
   been read when the step has come to the newest block: else something is missing, and is looked
   for block by block. What is missing then too is an alarm, and another node is asked; it is looked
   for again after a while that doubles.
3. Anchors of a log are taken in the order of their numbers, and only so: what comes twice, or too
   early, changes nothing.
4. Each is compared with our replica, at once or as soon as that has come so far. Two heads that the
   log's key has signed and that cannot both be true are evidence, as wherever they meet; any other
   contradiction is an alarm, and freezes nothing: only the log's own key can accuse its log.
5. Of a chain that was put back (`rewinding`) what it has lost is forgotten, and read again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chopmark.anchor.chain import STEP, Chain, View
from chopmark.anchor.contract import Event, Key, Latest
from chopmark.anchor.judging import Claim, Followed, Judge, tell
from chopmark.anchor.ports import Finding, Histories
from chopmark.anchor.reading import read_parts
from chopmark.anchor.rewinding import (
    add_mark,
    common_marks,
    compare_marks,
    count_common,
    is_held,
)
from chopmark.anchor.rpc import BATCH
from chopmark.anchor.store import Seen, Store, clip, make_row
from chopmark.core.errors import ChopmarkError

LOG: Final = logging.getLogger("chopmark.anchor")
LONGEST: Final = 300.0
"""Seconds until what is missing is looked for again, at most: it may take very many requests."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The contract has counted more anchors of a log than its nodes tell of.

    Attributes:
        looks: how often they were looked for in vain.
        not_before: when they are looked for again, by the chain's clock.
    """

    origin: str
    read: int
    counted: int
    looks: int
    not_before: float


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
    _judge: Judge = field(init=False)
    _torn: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._judge = Judge(self.store, self.histories, self.followed)

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
            if await self._is_readable(view, followed, self.height):
                await self._walk(view, followed, self.height)
                for key, latest in zip(keys, counted, strict=True):
                    await self._complete(view, key, followed[key], latest)
                await add_mark(view, self.store)
        await self._judge.look_again()

    async def _is_readable(self, view: View, followed: Followed, height: int) -> bool:
        """Whether a node has come as far as was read; what its chain has lost is forgotten."""
        state = await compare_marks(view, self.store, height)
        if state == "another":
            kept = await common_marks(view, self.store, height)
            cursor = min(self.store.cursor, kept[-1][0] if kept else height)
            for key, origin in followed.items():
                await self._rewind(view, key, origin, cursor)
            await self.store.take([], cursor)
            await self.store.set_marks(kept)  # last: until then all this is done again
        if state == "behind":
            self.chain.skip(view, f"it has {height} blocks, fewer than were read")
        return state != "behind"

    async def _walk(self, view: View, followed: Followed, height: int) -> None:
        accounts = sorted({account for account, _ in followed})
        if not accounts:
            await self._take([], followed, max(height, self.store.cursor))
        first = self.store.cursor + 1
        async for events, last in read_parts(view.events, first, height, STEP * BATCH, accounts):
            await self._take(events, followed, last)

    async def _complete(self, view: View, key: Key, origin: str, latest: Latest) -> None:
        """See that all was read that the contract had counted; read again what was not."""
        if await is_held(self.store, key, latest):
            self.gaps.pop(key, None)
            return
        before = self.gaps.get(key)
        if before is not None and before.not_before > self.chain.monotonic():
            return
        if key in self._torn or latest.number <= self._seen(key).number:
            await self._rewind(view, key, origin, latest.block)
        await self._search(view, key, origin, latest)
        if await is_held(self.store, key, latest):
            self.gaps.pop(key, None)
            return
        self._miss(view, key, origin, latest)

    async def _rewind(self, view: View, key: Key, origin: str, cursor: int) -> None:
        """Forget what the chain has lost of a log."""
        self._torn.discard(key)
        read = self._seen(key).number
        common = await count_common(view, self.store, key, read)
        if common < read:
            message = "the chain was put back: of %d anchors of %s it has the first %d still"
            LOG.warning(message, read, origin, common, extra={"code": "anchor-rewound"})
            await self.store.rewind(key, common, cursor)

    async def _search(self, view: View, key: Key, origin: str, latest: Latest) -> None:
        """Read the blocks again in which the missing ones can be.

        At first as ever: this is how the past of a log is read that is new here. Then each block by
        itself: a node that looks at fewer blocks than we think hides nothing so.
        """
        last = latest.block if self.height is None else min(latest.block, self.height)
        for look, width in ((view.events, STEP * BATCH), (view.each_block, BATCH)):
            first = max(self._seen(key).block, self.chain.place.first_block)
            if self._seen(key).number >= latest.number:
                return
            LOG.info("anchors of %s are looked for in blocks %d to %d", origin, first, last)
            async for events, _ in read_parts(look, first, last, width, [key[0]]):
                await self._take(events, {key: origin}, self.store.cursor)

    def _miss(self, view: View, key: Key, origin: str, latest: Latest) -> None:
        """Note what is missing, and turn to another node."""
        looks = 1 + (self.gaps[key].looks if key in self.gaps else 0)
        alone = max(0, looks - len(self.chain.endpoints))  # the others are asked at once
        wait = min(LONGEST, 2.0**alone) if alone else 0.0
        read, until = self._seen(key).number, self.chain.monotonic() + wait
        self.gaps[key] = Gap(origin, read, latest.number, looks, until)
        message = f"it tells of {read} of {latest.number} anchors of {origin}"
        LOG.error("%s: %s", view.url, message, extra={"code": "anchor-gap"})
        self.chain.skip(view, message)

    async def _take(self, events: Sequence[Event], followed: Followed, cursor: int) -> None:
        """Compare and store what is next of each log; the rest is known, or comes again."""
        due: list[tuple[Event, Claim]] = []
        seen: dict[Key, Seen] = {}
        for event in events:
            origin = followed.get(event.key)
            before = seen.get(event.key) or self._seen(event.key)
            if origin is None or event.number != before.number + 1:
                continue
            if event.previous != before.block:  # the contract knows where that one was
                self._torn.add(event.key)
                continue
            due.append((event, _claim(event, origin, before)))
            seen[event.key] = Seen(event.number, clip(event.size), event.block)
        findings = await self._judge.judge([claim for _, claim in due])
        await self._store(due, findings, cursor)

    async def _store(
        self, due: Sequence[tuple[Event, Claim]], findings: Sequence[Finding], cursor: int
    ) -> None:
        now, rows = self.now_ms(), []
        for (event, claim), finding in zip(due, findings, strict=True):
            rows.append(make_row(event, claim.origin, finding, now))
            tell(rows[-1], finding)
        if rows or cursor != self.store.cursor:
            await self.store.take(rows, cursor)
        self.taken += len(rows)

    def _seen(self, key: Key) -> Seen:
        return self.store.seen.get(key, Seen())


def _claim(event: Event, origin: str, before: Seen) -> Claim:
    why = None
    if clip(event.size) <= before.size:
        why = f"its size {event.size} is not above {before.size}, that of the one before it"
    return Claim(origin, event.size, event.note, why)


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

"""Removes the bodies of what is over from replicas, by the written rule, and fetches them again.

The rule is that of `ledger.pruning`, with the time in `[retention]`: as the origin's own cosigner
has it, or our clock if that is behind, so that neither alone can make it late. A range comes back
as a whole when a look-up meets one of its entries, and then stays for a while.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from chopmark.core.columns import Columns, frame_entries, parse_columns
from chopmark.core.errors import ChopmarkError, InternalError, RefusedError
from chopmark.core.package import parse_package
from chopmark.core.ports import Clock
from chopmark.core.tiles import WIDTH
from chopmark.core.wording import format_time
from chopmark.ledger.pruning import (
    RANGE,
    count_pruned,
    is_prunable,
    prune_range,
    restore_bundle,
)
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica

LOG: Final = logging.getLogger("chopmark.retention")

FIRST: Final = 60.0
"""Seconds after the start at which it is looked for the first time."""
PAUSE: Final = 6 * 3600.0
BREATH: Final = 0.05
"""Seconds between two ranges, for all else that the disk has to do."""
KEEP: Final = 24 * 3600.0
"""Seconds for which a range that was fetched again stays at least."""
SPAN: Final = RANGE * WIDTH
"""Entries of a range."""
MAX_WAITING: Final = 64
"""Ranges that wait to be fetched; more are asked for by the next look-up."""

Fetch = Callable[[str, int], Awaitable[bytes]]


class Retention:
    """Looks after all replicas.

    Attributes:
        pruned: ranges removed since the start.
        restored: ranges fetched again since then.
    """

    def __init__(
        self, replicas: Sequence[Replica], clock: Clock, after: int | None, fetch: Fetch
    ) -> None:
        self._replicas = {replica.origin: replica for replica in replicas}
        self._clock = clock
        self._after = after
        self._fetch = fetch
        self._wanted: dict[tuple[str, int], None] = {}
        self._due = asyncio.Event()
        self._kept: dict[tuple[str, int], float] = {}
        self._removed: dict[str, int] = {}
        self._last_ms: int | None = None
        self._next_ms: int | None = None
        self.pruned = 0
        self.restored = 0

    async def run(self) -> None:
        """Prune and fetch for ever."""
        for replica in self._replicas.values():
            await self._count(replica)
        async with asyncio.TaskGroup() as tasks:
            if self._after is not None:
                tasks.create_task(self._prune_for_ever(self._after), name="prune")
            tasks.create_task(self._restore_for_ever(), name="refetch")

    def describe(self) -> dict[str, Any]:
        """The rule in force, when it was looked and will be, and what is removed, as JSON."""
        removed = {peer: {"bundles": n, "entries": n * WIDTH} for peer, n in self._removed.items()}
        return {
            "after": self._after,
            "last_run": _format(self._last_ms),
            "next_run": _format(self._next_ms),
            "removed": removed,
            "ranges_removed": self.pruned,
            "ranges_restored": self.restored,
        }

    def want(self, origin: str, index: int) -> None:
        """An entry was asked for whose body was removed: have its range fetched again."""
        if len(self._wanted) < MAX_WAITING:
            self._wanted[origin, index // SPAN] = None
            self._due.set()

    async def prune(self, replica: Replica, after: int) -> int:
        """Remove what may go from one replica; gives the number of ranges."""
        done = 0
        for number in range(replica.signed_size // SPAN):
            limit = self._limit(replica, after)
            if limit is None:
                break
            if _now() >= self._kept.get((replica.origin, number), 0.0):
                done += await _prune_one(replica, number, limit)
                await asyncio.sleep(BREATH)
        self.pruned += done
        await self._count(replica)
        return done

    async def restore(self, replica: Replica, number: int) -> None:
        """Fetch all bundles of a range, in order, and put back those that are missing.

        Raises:
            ChopmarkError: nobody has sent one of them, or not what it should be.
        """
        self._kept[replica.origin, number] = _now() + KEEP
        for bundle in range(number * RANGE, (number + 1) * RANGE):
            await _put_back(replica, bundle, await self._bundle(replica, bundle))
        self.restored += 1
        await self._count(replica)

    async def _count(self, replica: Replica) -> None:
        """Know how many bundles are removed, whatever rule they were removed by."""
        count = await replica.log.read(lambda reader, _: reader.look(count_pruned))
        self._removed[replica.peer] = count

    async def _prune_for_ever(self, after: int) -> None:
        await self._rest(FIRST)
        while True:
            for replica in self._replicas.values():
                try:
                    if count := await self.prune(replica, after):
                        LOG.info("removed %d ranges of %s that are over", count, replica.origin)
                except InternalError:
                    raise
                except ChopmarkError as error:  # the disk has no room, or too much waits
                    LOG.warning("nothing is removed from %s now: %s", replica.origin, error)
            self._last_ms = self._clock.now_ms()
            await self._rest(PAUSE)

    async def _rest(self, seconds: float) -> None:
        self._next_ms = self._clock.now_ms() + int(seconds * 1000)
        await asyncio.sleep(seconds)
        self._next_ms = None

    async def _restore_for_ever(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._wanted:
                origin, number = next(iter(self._wanted))
                replica = self._replicas.get(origin)
                try:
                    if replica is not None and (number + 1) * SPAN <= replica.signed_size:
                        await self.restore(replica, number)
                except InternalError:
                    raise
                except ChopmarkError as error:  # the next look-up asks for it again
                    LOG.warning("range %d of %s did not come back: %s", number, origin, error)
                del self._wanted[origin, number]

    async def _bundle(self, replica: Replica, number: int) -> Columns:
        """All entries of a bundle, which take one package or two."""
        entries: list[bytes] = []
        start = number * WIDTH
        while len(entries) < WIDTH:
            package = parse_package(await self._fetch(replica.peer, start + len(entries)))
            more = list(parse_columns(package.bundle))
            if not more or package.start != start + len(entries):
                message = f"a package of {replica.origin} is not what was asked for"
                raise RefusedError("bad-package", message)
            entries += more
        return frame_entries(entries)

    def _limit(self, replica: Replica, after: int) -> int | None:
        """Ms since the epoch by which all must have ended; None while nothing may go."""
        seen = replica.log.state.seen_time * 1000
        if not seen or replica.conflict is not None:
            return None
        return min(seen, self._clock.now_ms()) - after * 1000


async def _prune_one(replica: Replica, number: int, limit: int) -> bool:
    if not await asyncio.to_thread(_look, replica.log.path, number, limit):
        return False
    return (
        await replica.log.write(lambda store: store.change(lambda db: _prune(db, number, limit)))
        > 0
    )


async def _put_back(replica: Replica, bundle: int, columns: Columns) -> None:
    await replica.log.write(
        lambda store: store.change(lambda db: restore_bundle(db, bundle, columns))
    )


def _look(path: Path, number: int, limit: int) -> bool:
    """On a thread of its own: the readers' has verifications to answer."""
    with closing(Reader(path)) as reader:
        return reader.look(is_prunable, number, limit)


def _prune(db: sqlite3.Connection, number: int, limit: int) -> int:
    """On the writer's thread, where nothing comes between looking and removing."""
    return prune_range(db, number) if is_prunable(db, number, limit) else 0


def _format(time: int | None) -> str | None:
    return None if time is None else format_time(time)


def _now() -> float:
    return asyncio.get_running_loop().time()

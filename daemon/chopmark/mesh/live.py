"""Live publishing: our newest entries, over one broker, as they are signed.

The ledger is the outbox. What a broken connection swallowed is not sent again, and what a slow
broker could not take in time is left out: peers see the gap by the sizes and ask for it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.mesh import topics
from chopmark.mesh.link import Link
from chopmark.mesh.ports import HeldLog

LOG: Final = logging.getLogger("chopmark.mesh")

WINDOW: Final = 32
"""Packages on their way to a broker at once: 2 MB at most."""
MAX_BEHIND: Final = 65_536
"""Entries by which publishing may be behind: half a second of a busy log. Beyond that it goes on
with what is newest, and the rest is left to catch-up."""
MAX_KEPT: Final = 32
"""Packages kept for the publishers of other brokers, which need the same: 2 MB at most."""


class Printer:
    """Makes each live package once, whatever the number of brokers."""

    def __init__(self, own: HeldLog, *, keep: bool) -> None:
        self._own = own
        self._keep = keep
        self._kept: dict[int, tuple[bytes, int]] = {}

    @property
    def size(self) -> int:
        """Entries that can be published."""
        return self._own.signed_size

    async def package(self, start: int) -> tuple[bytes, int]:
        """See `HeldLog.package`."""
        if start in self._kept:
            return self._kept[start]
        made = await self._own.package(start)
        if self._keep:
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[start] = made
        return made


class Publisher:
    """Publishes our own entries to one broker, while somebody is there to hear them.

    Making and sending packages takes as much of the interpreter as the ledger does; a peer that is
    away gets all it lacks by catch-up anyway.

    Attributes:
        skipped: entries left to catch-up because the broker was slow.
    """

    def __init__(self, me: str, link: Link, printer: Printer, is_heard: Callable[[], bool]) -> None:
        self._topic = topics.entries(me)
        self._link = link
        self._printer = printer
        self._is_heard = is_heard
        self._published = printer.size
        self._due = asyncio.Event()
        self._window = asyncio.Semaphore(WINDOW)
        self.skipped = 0

    async def run(self) -> None:
        """Publish for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._due.wait()
                self._due.clear()
                while self._published < self._printer.size:
                    await self._publish_next(tasks)

    def head_moved(self) -> None:
        """Tell that our log has a new signed head."""
        self._due.set()

    def connected(self) -> None:
        """Tell that the link is up again: leave the past to catch-up."""
        self._published = self._printer.size

    async def _publish_next(self, tasks: asyncio.TaskGroup) -> None:
        await self._window.acquire()
        behind = self._printer.size - self._published
        heard = self._link.connected and self._is_heard()
        if behind > MAX_BEHIND or not heard:
            self.skipped += behind if heard else 0
            self._published = self._printer.size
            self._window.release()
            return
        try:
            payload, self._published = await self._printer.package(self._published)
        except ChopmarkError as error:
            self._window.release()
            self._give_up(error)
            return
        tasks.create_task(self._publish(payload), name="publish-package")

    async def _publish(self, payload: bytes) -> None:
        try:
            await self._link.publish(self._topic, payload)
        except ChopmarkError as error:
            self._give_up(error)
        finally:
            self._window.release()

    def _give_up(self, error: ChopmarkError) -> None:
        """The link says why it is away; whoever listens sees the gap and asks."""
        ours = isinstance(error, InternalError)
        level = logging.ERROR if ours else logging.DEBUG
        LOG.log(level, "stopped at %d: %s", self._published, error)
        self._published = self._printer.size

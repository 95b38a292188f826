"""Live publishing: our newest entries, head, heartbeat and status, as they come.

The ledger is the outbox. What a broken connection swallowed is not sent again: peers see the gap
by the sizes and ask for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.mesh import topics
from chopmark.mesh.link import Link
from chopmark.mesh.messages import Status
from chopmark.mesh.ports import HeldLog

LOG: Final = logging.getLogger("chopmark.mesh")

WINDOW: Final = 32
"""Packages on their way to the broker at once: 2 MB at most."""
HEAD_PAUSE: Final = 0.25
"""Seconds between two retained checkpoints: the packages carry every head already."""
HEARTBEAT: Final = 30.0
"""Seconds between two heartbeats of a quiet log (at least every 30 s are promised)."""
HEARTBEAT_PAUSE: Final = 2.0
"""Seconds between two heartbeats of a busy one: a new head is soon vouched for, and a slow HSM
is not kept from signing heads."""


class Publisher:
    """Publishes our own log to one broker."""

    def __init__(
        self,
        me: str,
        link: Link,
        own: HeldLog,
        heartbeat: Callable[[], Awaitable[bytes]],
        sizes: Callable[[], dict[str, int]],
    ) -> None:
        self._me = me
        self._link = link
        self._own = own
        self._heartbeat = heartbeat
        self._sizes = sizes
        self._published = own.signed_size
        self._entries_due = asyncio.Event()
        self._head_due = asyncio.Event()
        self._heartbeat_due = asyncio.Event()

    async def run(self) -> None:
        """Publish for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_entries(), name="publish-entries")
            tasks.create_task(self._publish_heads(), name="publish-heads")
            tasks.create_task(self._publish_heartbeats(), name="publish-heartbeats")

    def head_moved(self) -> None:
        """Tell that our log has a new signed head."""
        self._entries_due.set()
        self._head_due.set()
        self._heartbeat_due.set()

    def connected(self) -> None:
        """Tell that the link is up again: say where we are, and leave the past to catch-up."""
        self._published = self._own.signed_size
        self._head_due.set()
        self._heartbeat_due.set()

    async def _publish_entries(self) -> None:
        while True:
            await self._entries_due.wait()
            self._entries_due.clear()
            failures = await self._publish_to(self._own.signed_size)
            if failures:
                # The link says why it is away; whoever listens sees the gap and asks.
                ours = any(isinstance(error, InternalError) for error in failures)
                level = logging.ERROR if ours else logging.DEBUG
                LOG.log(level, "stopped at %d: %s", self._published, failures[0])
                self._published = self._own.signed_size

    async def _publish_to(self, size: int) -> list[ChopmarkError]:
        """Publish up to a size, or to the first failures, which are returned.

        No task of the group may fail: where one does while we are cancelled, the group of
        Python 3.11 raises that error only, and whoever catches it goes on and is never stopped.
        """
        window = asyncio.Semaphore(WINDOW)
        failures: list[ChopmarkError] = []
        async with asyncio.TaskGroup() as tasks:
            while self._published < size and not failures:
                try:
                    payload, self._published = await self._own.package(self._published)
                except ChopmarkError as error:
                    failures.append(error)
                    break
                await window.acquire()
                tasks.create_task(self._publish_package(payload, window, failures))
        return failures

    async def _publish_package(
        self, payload: bytes, window: asyncio.Semaphore, failures: list[ChopmarkError]
    ) -> None:
        try:
            await self._link.publish(topics.entries(self._me), payload)
        except ChopmarkError as error:
            failures.append(error)
        finally:
            window.release()

    async def _publish_heads(self) -> None:
        while True:
            await self._head_due.wait()
            self._head_due.clear()
            note = self._own.head_note
            if note is not None:
                await self._say(topics.checkpoint(self._me), note)
            await asyncio.sleep(HEAD_PAUSE)

    async def _publish_heartbeats(self) -> None:
        while True:
            # Not `wait_for`: in Python 3.11 it may swallow a cancellation, and never end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._heartbeat_due.wait()
            self._heartbeat_due.clear()
            await self._say(
                topics.status(self._me), Status(online=True, sizes=self._sizes()).encode()
            )
            try:
                note = await self._heartbeat()
                await self._say(topics.cosignature(self._me, self._me), note)
            except TryAgainError as error:
                LOG.debug("no heartbeat: %s", error.message)
            await asyncio.sleep(HEARTBEAT_PAUSE)

    async def _say(self, topic: str, payload: bytes) -> None:
        """Publish what will be published again anyway; the link reports its own outages."""
        with contextlib.suppress(ChopmarkError):
            await self._link.publish(topic, payload, retain=True)

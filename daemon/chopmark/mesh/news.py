"""What we say about ourselves, retained: newest head, heartbeat and status, to every broker.

Each broker has a board of its own, on which only the newest note of each kind waits: a broker that
is slow gets fewer of them, and holds up no other.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.mesh import topics
from chopmark.mesh.link import Link
from chopmark.mesh.messages import Status
from chopmark.mesh.ports import HeldLog

LOG: Final = logging.getLogger("chopmark.mesh")

HEAD_PAUSE: Final = 0.25
"""Seconds between two retained checkpoints that need no witness: packages carry every head."""
HEARTBEAT: Final = 30.0
"""Seconds between two heartbeats of a quiet log (at least every 30 s are promised)."""
HEARTBEAT_PAUSE: Final = 2.0
"""Seconds between two heartbeats of a busy one: a new head is soon vouched for, and a slow HSM
is not kept from signing heads."""
STATUS: Final = 30.0
"""Seconds between two statuses when nothing changes."""
STATUS_PAUSE: Final = 0.25
"""Seconds between two statuses while a log grows by `STATUS_STEP` and more: peers measure by them
how far behind we are (`pace`)."""
STATUS_STEP: Final = 4096
"""Entries by which a log must have grown to be worth a status at once."""
STATUS_IDLE: Final = 2.0
"""Seconds after which smaller changes are told."""
RETELL: Final = 60.0
"""Seconds between two tellings of what stays as it is: brokers lose what they acknowledged."""


class Board:
    """What is to be published, retained, over one link: the newest payload for each topic."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._due: dict[str, bytes] = {}
        self._arrived = asyncio.Event()

    def post(self, topic: str, payload: bytes) -> None:
        """Publish this soon, unless something newer for the topic comes before."""
        self._due[topic] = payload
        self._arrived.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._due:
                topic = next(iter(self._due))
                payload = self._due.pop(topic)
                # It will be published again anyway; the link reports its own outages.
                with contextlib.suppress(ChopmarkError):
                    await self._link.publish(topic, payload, retain=True)


class News:
    """Writes on every board.

    Args:
        me: our member id.
        links: to the brokers.
        own: our log.
        heartbeat: makes a heartbeat.
        sizes: sizes of the logs that we hold, by origin.

    Attributes:
        settled: awaited with each head that was told; the next one is told after that.
    """

    def __init__(
        self,
        me: str,
        links: Sequence[Link],
        own: HeldLog,
        heartbeat: Callable[[], Awaitable[bytes]],
        sizes: Callable[[], dict[str, int]],
    ) -> None:
        self._me = me
        self._boards = [Board(link) for link in links]
        self._own = own
        self._heartbeat = heartbeat
        self._sizes = sizes
        self.settled: Callable[[bytes], Awaitable[None]] = _pause
        self._told: dict[str, int] = {}
        self._kept: dict[str, bytes] = {}
        self._head_due = asyncio.Event()
        self._heartbeat_due = asyncio.Event()
        self._status_due = asyncio.Event()

    async def run(self) -> None:
        """Write for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number, board in enumerate(self._boards):
                tasks.create_task(board.run(), name=f"board-{number + 1}")
            tasks.create_task(self._tell_heads(), name="tell-heads")
            tasks.create_task(self._tell_heartbeats(), name="tell-heartbeats")
            tasks.create_task(self._tell_statuses(), name="tell-statuses")
            tasks.create_task(self._tell_again(), name="tell-again")

    def head_moved(self) -> None:
        """Tell that our log has a new signed head."""
        self._head_due.set()
        self._heartbeat_due.set()
        self.sizes_changed()

    def sizes_changed(self) -> None:
        """Tell that a log which we hold has grown."""
        grown = (size - self._told.get(name, 0) for name, size in self._sizes().items())
        if max(grown, default=0) >= STATUS_STEP:
            self._status_due.set()

    def connected(self) -> None:
        """Tell that a link is up again: say where we are."""
        self._head_due.set()
        self._heartbeat_due.set()
        self._status_due.set()
        self._post_kept()

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish this on every board, and again now and then, and when a link is up again."""
        self._kept[topic] = payload
        self.post(topic, payload)

    def post(self, topic: str, payload: bytes) -> None:
        """Publish this on every board, retained."""
        for board in self._boards:
            board.post(topic, payload)

    async def _tell_heads(self) -> None:
        while True:
            await self._head_due.wait()
            self._head_due.clear()
            note = self._own.head_note
            if note is not None:
                self.post(topics.checkpoint(self._me), note)
                await self.settled(note)

    async def _tell_heartbeats(self) -> None:
        moved = False
        while True:
            # Times are whole seconds: what vouches for a new head at once may bear a time from
            # before its entries were made. One more follows, or peers would have to wait for it.
            moved = await _wait(self._heartbeat_due, 0 if moved else HEARTBEAT)
            self._heartbeat_due.clear()
            try:
                note = await self._heartbeat()
                self.post(topics.cosignature(self._me, self._me), note)
            except TryAgainError as error:
                LOG.debug("no heartbeat: %s", error.message)
            await asyncio.sleep(HEARTBEAT_PAUSE)

    async def _tell_statuses(self) -> None:
        quiet = 0.0
        while True:
            due = await _wait(self._status_due, STATUS_IDLE)
            self._status_due.clear()
            sizes, quiet = self._sizes(), quiet + STATUS_IDLE
            if due or sizes != self._told or quiet >= STATUS:
                self._told, quiet = sizes, 0.0
                status = Status(online=True, sizes=sizes)
                self.post(topics.status(self._me), status.encode())
                await asyncio.sleep(STATUS_PAUSE)

    async def _tell_again(self) -> None:
        while True:
            await asyncio.sleep(RETELL)
            self._post_kept()

    def _post_kept(self) -> None:
        for topic, payload in self._kept.items():
            self.post(topic, payload)


async def _pause(_note: bytes) -> None:
    await asyncio.sleep(HEAD_PAUSE)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; false if time ran out."""
    # Not `wait_for`: in Python 3.11 it may swallow a cancellation, and never end.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
        return True
    return False

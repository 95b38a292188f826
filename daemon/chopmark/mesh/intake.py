"""What comes about one peer's log: packages and notes, taken by one task for each log.

A slow disk or a noisy peer thus holds up nobody else. Packages, live ones and answers to our own
questions alike, wait in one bounded buffer and are stored in order. A live one that continues the
log is acknowledged once it is durable; one that lies behind a hole at once, since it can be asked
for. Of notes the newest of each kind counts, and of each witness: whatever head it has seen, ours
is compared with it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, MalformedError, TryAgainError
from chopmark.core.note import DASH
from chopmark.core.package import peek_run
from chopmark.mesh.broker import Message
from chopmark.mesh.ports import FollowedLog
from chopmark.mesh.recent import Recent
from chopmark.mesh.topics import Topic
from chopmark.mesh.unverified import Piece, Unverified

RETRY: Final = 1.0
"""Seconds between attempts to store while the disk refuses."""
MAX_UNVERIFIED: Final = 4 * 1024 * 1024
"""Bytes of packages of one peer's log that are not verified yet: some 200 bundles."""
MAX_RECENT: Final = 1024
"""Messages about one log of which a second copy is known at a glance: 3 s of a busy stream."""
_LINE: Final = f"\n{DASH}".encode()
_WITNESSED: Final = "witnessed"
"""What kind a checkpoint is that bears cosignatures."""


class Intake:
    """Takes what comes about one log.

    Args:
        log: the replica.
        limit: bytes of unverified packages.

    Attributes:
        duplicates: messages that another broker had brought before.
        blame: called with the peer whose answer was of no use.
        changed: called after the log has taken, or refused, what came.
    """

    def __init__(self, log: FollowedLog, limit: int = MAX_UNVERIFIED) -> None:
        self._log = log
        self._recent = Recent(MAX_RECENT)
        self._notes: dict[tuple[str, str], Message] = {}
        self._due = asyncio.Event()
        self._storing = False
        self.unverified = Unverified(limit)
        self.duplicates = 0
        self.blame: Callable[[str], None] = lambda _: None
        self.changed: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Whether there is anything that can be stored now, or that is being stored."""
        return self._storing or self._due.is_set()

    def take_live(self, topic: Topic, message: Message) -> None:
        """Take a package, checkpoint, heartbeat or witness's note that came over a link."""
        if not self._recent.add(hash((topic.kind, message.payload))):
            self.duplicates += 1
            message.acknowledge()
        elif topic.kind == "entries":
            self._take_package(message)
        else:
            self._take_note(topic, message)

    def take_answer(self, payload: bytes, helper: str, start: int) -> bool:
        """Take the package that a peer sent for our question; false if it is another one."""
        run = peek_run(payload)
        if run is None or run[0] != start:
            return False
        self.unverified.put(Piece(*run, payload, helper=helper))
        self._due.set()
        return True

    async def run(self) -> None:
        """Store what comes, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            self._storing = True
            try:
                await self._store_all()
            finally:
                self._storing = False
            self.changed()

    def _take_package(self, message: Message) -> None:
        run = peek_run(message.payload)
        if run is None:
            self._log.drop(MalformedError("malformed-package", "a package is cut short"))
            message.acknowledge()
            return
        piece = Piece(*run, message.payload, message)
        if not self.unverified.continues(piece.start, self._log.size):
            piece.settle()
        self.unverified.put(piece)
        self._due.set()

    def _take_note(self, topic: Topic, message: Message) -> None:
        kind = topic.kind, topic.other if topic.other != topic.owner else ""
        if kind[0] == "checkpoint" and message.payload.count(_LINE) > 1:
            kind = _WITNESSED, ""  # the next head, which nobody has cosigned yet, must not oust it
        ousted = self._notes.pop(kind, None)
        if ousted is not None:  # nobody has looked at it: told once more, it is no copy
            self._recent.discard(hash((topic.kind, ousted.payload)))
            ousted.acknowledge()
        self._notes[kind] = message
        self._due.set()

    async def _store_all(self) -> None:
        while True:
            group = self.unverified.next_group(self._log.size)
            if group:
                await self._store(group)
            await self._take_notes()
            if not group:
                break
        await self._show_farthest()
        if self._log.conflict is not None:
            self.unverified.clear()

    async def _store(self, group: list[Piece]) -> None:
        payloads, senders = [one.payload for one in group], [one.helper for one in group]
        await insist(lambda: self._log.ingest(payloads, senders))
        helper = self.unverified.done(self._log.size)
        # What there was no room for was not looked at; a fork is no fault of who shows it.
        if helper and not self._log.paused and self._log.conflict is None:
            self.blame(helper)
        self.changed()

    async def _show_farthest(self) -> None:
        """What lies behind a hole tells by its head that something is missing, or is junk."""
        while not self._log.missing and self._log.conflict is None:
            piece = self.unverified.farthest()
            if piece is None:
                break
            await insist(lambda: self._log.ingest([piece.payload], [piece.helper]))  # noqa: B023 - awaited before the next turn
            if not self._log.missing:
                self.unverified.discard(piece)

    async def _take_notes(self) -> None:
        """Take checkpoint and heartbeat; what is bad is counted and dropped.

        What comes meanwhile waits for its turn after the packages: who sends notes without end
        must not hold them up.
        """
        notes, self._notes = self._notes, {}
        for kind, message in notes.items():
            observe = self._log.observe_head if kind[1] else self._log.observe_announced
            if kind == ("cosignature", ""):
                observe = self._log.observe_cosignature
            try:
                await insist(lambda: observe(message.payload))  # noqa: B023 - awaited before the next turn
            except InternalError:
                raise  # our own fault, not the peer's
            except ChopmarkError as error:
                self._log.drop(error, kind[1])
            message.acknowledge()


async def insist(call: Callable[[], Awaitable[object]]) -> None:
    """Try until the disk takes it: what is not durable is not acknowledged."""
    while True:
        try:
            await call()
        except TryAgainError:
            await asyncio.sleep(RETRY)
        else:
            return

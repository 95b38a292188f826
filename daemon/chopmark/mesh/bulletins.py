"""Retained notes that peers publish besides heads and packages: one handler for each kind.

Of each sender and topic only the newest waits, so that what waits is bounded whatever comes. What
a handler refuses is handed to `refused` and dropped; what the disk refuses is tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.mesh.broker import Message
from chopmark.mesh.intake import insist
from chopmark.mesh.topics import Topic

Handler = Callable[[str, Topic, bytes], Awaitable[None]]
"""Takes a sender's member id, the topic and the payload; what it stored is durable once it
returns. Raises `TryAgainError` if the disk refused, another `ChopmarkError` if the note is bad."""
MAX_WAITING: Final = 256
"""Notes that wait, of 64 KiB at most; those that come beyond are dropped, and come again."""


class Bulletins:
    """Hands notes to the handlers of their kinds, one after the other.

    Attributes:
        handlers: by kind of topic.
        refused: told the sender and the error of each note that was refused.
        dropped: notes for which there was no room.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], refused: Callable[[str, ChopmarkError], None]
    ) -> None:
        self.handlers = handlers
        self.refused = refused
        self.dropped = 0
        self._waiting: dict[tuple[str, Topic], Message] = {}
        self._arrived = asyncio.Event()

    def take(self, sender: str, topic: Topic, message: Message) -> None:
        """Queue a note; an older one of the same topic goes."""
        older = self._waiting.pop((sender, topic), None)
        if older is not None:
            older.acknowledge()
        elif len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            message.acknowledge()
            return
        self._waiting[sender, topic] = message
        self._arrived.set()

    async def run(self) -> None:
        """Hand on for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                key = next(iter(self._waiting))
                message = self._waiting.pop(key)
                await self._hand_on(*key, message)
                message.acknowledge()

    async def _hand_on(self, sender: str, topic: Topic, message: Message) -> None:
        handler = self.handlers[topic.kind]
        try:
            await insist(lambda: handler(sender, topic, message.payload))
        except InternalError:
            raise  # our own fault, not the peer's
        except ChopmarkError as error:
            self.refused(sender, error)

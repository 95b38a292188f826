"""Answers the requests of peers from what we hold: our own log, and every replica.

Peers are served by turns, so that one who asks for much holds up nobody but himself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, MalformedError
from chopmark.mesh import topics
from chopmark.mesh.asking import ANSWER
from chopmark.mesh.broker import Message
from chopmark.mesh.links import Links
from chopmark.mesh.messages import HeadRequest, HeadsSeen, encode_error, parse_request
from chopmark.mesh.ports import HeldLog
from chopmark.mesh.recent import Recent
from chopmark.mesh.turns import Turns

LOG: Final = logging.getLogger("chopmark.mesh")

SERVING: Final = 8
"""Requests served at once, so that the broker's answers are not waited for one by one."""
MAX_REQUESTS: Final = 256
"""Requests that wait to be served, 8 KiB each at most; more are dropped, and asked again."""
MAX_OF_ONE: Final = 64
"""Of these, requests of one peer: twice what one asks for at once."""
UNSUPPORTED: Final = "protocol-unsupported"
MAX_REMEMBERED: Final = 1024
"""Requests whose second coming, over another broker, is not answered again."""


class Server:
    """Answers requests.

    Attributes:
        dropped: requests for which there was no room.
        repeated: second copies.
        refused: told the asker and the error of each request that cannot be read.
        understands: whether we speak a version of the protocol that a peer speaks.
    """

    def __init__(self, me: str, links: Links, logs: Mapping[str, HeldLog]) -> None:
        self._me = me
        self._links = links
        self._logs = logs
        self._requests: Turns[tuple[int, Message]] = Turns(MAX_REQUESTS, MAX_OF_ONE)
        self._recent = Recent(MAX_REMEMBERED)
        self.dropped = 0
        self.repeated = 0
        self.refused: Callable[[str, ChopmarkError], None] = lambda _asker, _error: None
        self.understands: Callable[[str], bool] = lambda _asker: True

    def take_request(self, asker: str, number: int, message: Message) -> None:
        """Queue a request that came over a link; while too many wait it is dropped."""
        key = (asker, message.correlation)
        if message.correlation is not None and not self._recent.add(key):
            self.repeated += 1
        elif not self._requests.put(asker, (number, message)):
            self._recent.discard(key)
            self.dropped += 1

    async def run(self) -> None:
        """Answer for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(SERVING):
                tasks.create_task(self._serve(), name=f"server-{number}")

    async def _serve(self) -> None:
        while True:
            asker, (number, message) = await self._requests.get()
            payload = await self._answer(asker, message.payload)
            topic = topics.reply(asker, self._me)
            with contextlib.suppress(ChopmarkError):  # the link reports its own outages
                await self._links.send(number, topic, payload, message.correlation, int(ANSWER))

    async def _answer(self, asker: str, data: bytes) -> bytes:
        try:
            request = parse_request(data)
        except MalformedError as error:
            if not self.understands(asker):  # it cannot know what we would understand
                return encode_error(UNSUPPORTED)
            self.refused(asker, error)
            return encode_error(error.code)
        try:
            log = self._logs.get(request.origin)
            if log is not None and isinstance(request, HeadRequest):
                return HeadsSeen(log.head_note, tuple(log.seen_notes)).encode()
            if log is None or isinstance(request, HeadRequest) or log.signed_size < request.size:
                return encode_error("not-there")
            payload, _ = await log.package(request.start)
        except ChopmarkError as error:
            if isinstance(error, InternalError):
                LOG.exception("cannot serve a request", extra={"code": error.code})
            return encode_error(error.code)
        return payload

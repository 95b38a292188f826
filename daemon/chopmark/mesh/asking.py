"""Requests to peers, and their replies: who waits for which answer, and over which broker."""

import asyncio
import secrets
from typing import Final

from chopmark.core.errors import MissingError, UnreachableError
from chopmark.mesh import topics
from chopmark.mesh.broker import Message
from chopmark.mesh.links import Links
from chopmark.mesh.messages import HeadRequest, Request, parse_error

ANSWER: Final = 5.0
"""Seconds to wait for a reply before another peer is asked."""


class Routes:
    """Over which link each peer was last heard: the way by which it can be reached, most likely."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def heard(self, peer: str, number: int) -> None:
        """A message of this peer came over this link."""
        self._last[peer] = number

    def failed(self, peer: str) -> None:
        """A request went unanswered: the next goes by every broker."""
        self._last.pop(peer, None)

    def to(self, peer: str) -> int | None:
        """Number of the link to prefer; None for all."""
        return self._last.get(peer)


class Asker:
    """Sends requests and matches replies by their correlation data."""

    def __init__(self, me: str, links: Links, routes: Routes) -> None:
        self._me = me
        self._links = links
        self._routes = routes
        self._waiting: dict[bytes, tuple[str, asyncio.Future[bytes]]] = {}

    @property
    def reachable(self) -> bool:
        """Whether a request can be sent at all."""
        return bool(self._links.connected)

    def take_reply(self, message: Message) -> None:
        """Hand a reply to whoever waits for it; late, foreign and second ones are dropped.

        A peer that read along must not answer in the place of the one that was asked.
        """
        topic, waiting = self._waiting.get(message.correlation or b"", ("", None))
        if waiting is not None and topic == message.topic and not waiting.done():
            waiting.set_result(message.payload)

    async def ask(
        self, peer: str, request: Request | HeadRequest, patience: float | None = None
    ) -> bytes:
        """What a peer answers: a package, or heads; it has `patience` seconds, or ANSWER.

        Raises:
            UnreachableError: `no-reply`, or no broker is connected.
            MissingError: `not-there` if the peer does not have it.
        """
        correlation = secrets.token_bytes(16)
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = topics.reply(self._me, peer), waiting
        topic, route = topics.request(peer, self._me), self._routes.to(peer)
        try:
            async with asyncio.timeout(ANSWER if patience is None else patience):
                data = request.encode()
                await self._links.send(route, topic, data, correlation, int(ANSWER))
                payload = await waiting
        except TimeoutError as error:
            self._routes.failed(peer)
            raise UnreachableError("no-reply", f"{peer} does not answer") from error
        finally:
            del self._waiting[correlation]
        if (code := parse_error(payload)) is not None:
            raise MissingError("not-there", f"{peer} answers {code[:80]!r}")
        return payload

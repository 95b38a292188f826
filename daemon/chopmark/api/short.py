"""The short way of a plain request: from the parser to the handler and back, without ASGI.

Single attestations and verifications are what a gateway does all day. On the long way, through
uvicorn's ASGI cycle and Litestar, a request costs three times what the rest of its work does
(docs/decisions/0008-short-way.md). The short way is for what is plain; all else goes the long way,
to the same handlers, and is answered alike.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

import msgspec

from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.posts import HEADERS, Answer, Handler
from chopmark.api.problems import MEDIA_TYPE, Problem, explain, is_fault, tell
from chopmark.api.stopping import STOPPING

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: the status, and all that follows the status line and the date."""

    status: int
    rest: bytes


class ShortRoutes:
    """Routes by exact method and path (`POST /v1/verifications`), and what they answer."""

    def __init__(
        self, routes: Mapping[tuple[bytes, bytes], Handler], gateway: Gateway, limits: ApiLimits
    ) -> None:
        self._routes = routes
        self._gateway = gateway
        self._limits = limits

    def find(self, method: bytes, url: bytes) -> Handler | None:
        """The handler of a request, if its route has one."""
        return self._routes.get((method, url))

    async def answer(self, handle: Handler, body: bytes) -> Reply:
        """What a handler makes of a body; whatever goes wrong is a problem, as on the long way."""
        try:
            return _reply(await handle(body, self._gateway, self._limits))
        except asyncio.CancelledError:  # the server's grace is over
            return reply_problem(STOPPING)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is answered
            if is_fault(error):
                _log.error("%s failed", handle.__name__, exc_info=error)
            return reply_problem(explain(error))


def reply_problem(problem: Problem) -> Reply:
    """The reply that tells a problem."""
    tell(problem)
    named = {"content-type": MEDIA_TYPE} | problem.all_headers()
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    body = msgspec.json.encode(problem.content())
    return Reply(problem.status, _join(lines.encode("latin-1"), body))


@lru_cache(maxsize=64)
def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


def _reply(answer: Answer) -> Reply:
    body = answer.encode()
    lines = _lines(answer.media_type)
    if answer.location is not None:
        lines += b"location: %s\r\n" % answer.location.encode()
    return Reply(answer.status, _join(lines, body))


@lru_cache(maxsize=8)
def _lines(media_type: bytes) -> bytes:
    named = [(b"content-type", media_type), *HEADERS]
    return b"".join(b"%s: %s\r\n" % pair for pair in named)


def _join(lines: bytes, body: bytes) -> bytes:
    return b"%scontent-length: %d\r\n\r\n%s" % (lines, len(body), body)

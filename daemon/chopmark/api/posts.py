"""Routes that take a small JSON body, as plain ASGI handlers.

Single attestations and verifications are what a gateway does all day. Litestar's own handlers
spend 0.1 ms on each in injection, validation and response objects that we have no use for.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final, NamedTuple, Protocol

import msgspec
from litestar import asgi
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.idempotency import KEY, find_key
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.problems import NO_STORE

HEADERS: Final = [(name.encode(), value.encode()) for name, value in NO_STORE.items()]


class Answer(NamedTuple):
    """What a handler answers: the status, a value for JSON, and where the result lies, if so.

    Content that is bytes goes out as it is. More `headers` go out on the long way only: no route
    of the short way has any.
    """

    status: int
    content: object
    location: str | None = None
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def encode(self) -> bytes:
        """The body."""
        return self.content if isinstance(self.content, bytes) else _encoder.encode(self.content)


class Handler(Protocol):
    """Answers a request by its body."""

    @property
    def __name__(self) -> str:
        """What it does, for the log."""
        ...

    def __call__(self, body: bytes, gateway: Gateway, limits: ApiLimits, /) -> Awaitable[Answer]:
        """The answer; may raise a `ChopmarkError`."""
        ...


_encoder: Final = msgspec.json.Encoder()


def post_json(path: str, handle: Handler, gateway: Gateway, limits: ApiLimits) -> ASGIRouteHandler:
    """The route at `path` that answers with what `handle` makes of the body."""

    @asgi(path, copy_scope=False)
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})
        KEY.set(find_key(scope["headers"]))
        body = await read_in_time(scope, receive, limits)
        if body is not None:
            await send_answer(send, await handle(body, gateway, limits))

    return route


async def read_in_time(scope: Scope, receive: Receive, limits: ApiLimits) -> bytes | None:
    """The body of a request; None if the client hung up."""
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(scope, receive, limits.body)
    except TimeoutError:
        detail = f"the body did not arrive within {limits.body_seconds:g} s"
        raise HTTPException(detail, status_code=408, headers={"connection": "close"}) from None


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The body; None if the client hung up. What is announced as too large is not read."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not length.isdigit() or int(length) > limit:
        raise RequestEntityTooLarge
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise RequestEntityTooLarge
    return body


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer."""
    body = answer.encode()
    headers = [
        (b"content-type", answer.media_type),
        *HEADERS,
        *answer.headers,
        (b"content-length", b"%d" % len(body)),
    ]
    if answer.location is not None:
        headers.append((b"location", answer.location.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

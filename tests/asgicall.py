"""One request to the API, fed and read by hand: for what is answered while it is still read."""

import asyncio
from collections.abc import Sequence
from typing import Any

from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp

from chopmark.api.app import create_app
from chopmark.api.limits import ApiLimits
from fakegateway import FakeGateway
from oneapi import OneApi, as_anybody


class AsgiCall:
    """A request in front of the fake gateway, a POST by default.

    Attributes:
        reading: when cleared, the client does not read.
        received: messages that were taken from it.
    """

    def __init__(
        self,
        gateway: FakeGateway,
        path: str,
        limits: ApiLimits,
        more: Sequence[BaseRouteHandler] = (),
    ) -> None:
        # One that is built already serves, unless it is to serve more.
        self.app: ASGIApp = (
            as_anybody(create_app(gateway, limits, more)) if more else OneApi(gateway, limits)
        )
        self.path = path
        self.method = "POST"
        self.more_headers: list[tuple[bytes, bytes]] = []
        self.pieces: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self.received = 0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.output = bytearray()
        self.ended = False

    def feed(self, data: bytes, *, more: bool = True) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def hang_up(self) -> None:
        self.pieces.put_nowait({"type": "http.disconnect"})

    async def run(self, query: str = "") -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *self.more_headers],
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 9),
            "root_path": "",
        }
        await self.app(scope, self.receive, self.send)  # type: ignore[arg-type]

    async def receive(self) -> dict[str, Any]:
        message = await self.pieces.get()
        self.received += 1
        return message

    async def send(self, message: dict[str, Any]) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            assert not self.status
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        assert not self.ended
        self.output += message["body"]
        self.ended = not message["more_body"]

"""An answer that is sent in pieces, for plain ASGI handlers."""

from typing import Final

from litestar.types import Send

from chopmark.api.problems import NO_STORE

_HEADERS: Final = [(name.encode(), value.encode()) for name, value in NO_STORE.items()]


class Output:
    """The answer; its head goes out with the first piece.

    Not before, for a client that sent `Expect: 100-continue` waits to be asked for the body.
    """

    def __init__(self, send: Send, media: str = "application/x-ndjson") -> None:
        self._send = send
        self._headers = [(b"content-type", media.encode()), *_HEADERS]
        self.started = False

    async def write(self, data: bytes) -> None:
        """Send a piece; returns once the client's connection takes more."""
        await self._write(data, more=True)

    async def finish(self) -> None:
        """Say that this was all."""
        await self._write(b"", more=False)

    async def _write(self, data: bytes, *, more: bool) -> None:
        if not self.started:
            self.started = True
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": self._headers}
            )
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

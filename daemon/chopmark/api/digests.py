"""Reads the body of a request in compact form: its header, and then digests in groups."""

import asyncio
from collections.abc import Callable

from litestar.types import Receive

from chopmark.api.pipeline import ClientGoneError
from chopmark.core.compact import CODE, MAX_HEADER, Header, parse_header, split_record
from chopmark.core.errors import MalformedError


class DigestReader:
    """Reads ahead of what is taken, up to a bound; for one taker.

    Args:
        bound: bytes read ahead after which the client has to wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._buffer = bytearray()
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def has_rest(self) -> bool:
        """Whether bytes are left that were not taken."""
        return bool(self._buffer)

    async def read(self, receive: Receive) -> None:
        """Read the body to its end; then watch for the client to hang up.

        Raises:
            ClientGoneError: the only way in which this ends.
        """
        more = True
        while more:
            while len(self._buffer) >= self._bound:
                self._room.clear()
                await self._room.wait()
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            more = message.get("more_body", False)
            self._buffer += message.get("body", b"")
            self.nudge()
        self._ended = True
        self.nudge()
        await receive()
        raise ClientGoneError

    async def header(self) -> Header:
        """The header, once it is there.

        Raises:
            MalformedError, RefusedError: what `parse_header` raises, or that it is cut short.
        """
        while (found := split_record(bytes(self._buffer[: MAX_HEADER + 4]), MAX_HEADER)) is None:
            if self._ended:
                raise MalformedError(CODE, "the body ends inside its header")
            await self._wait()
        del self._buffer[: 4 + len(found[0])]
        return parse_header(found[0])

    async def take(self, width: int, most: int, is_busy: Callable[[], bool]) -> bytes:
        """The next digests, whole ones; nothing once the body has no more.

        Less than `most` only at the end of the body, or when nothing else is being done with what
        was taken before: a client may wait for an answer before it sends more.

        Args:
            width: bytes of one.
            most: bytes at most; a multiple of the width.
            is_busy: asked after each change; `nudge` tells of one.
        """
        while len(self._buffer) < most and not self._ended:
            if len(self._buffer) >= width and not is_busy():
                break
            await self._wait()
        size = min(most, len(self._buffer) // width * width)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._room.set()
        return taken

    def nudge(self) -> None:
        """Something has changed: look again."""
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

"""Reads the body of a request in compact form: its header, and then digests in groups."""

import asyncio
from collections import deque
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
        # Pieces, not one growing buffer: that would be copied whenever it grows.
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def has_rest(self) -> bool:
        """Whether bytes are left that were not taken."""
        return self._size > 0

    async def read(self, receive: Receive) -> None:
        """Read the body to its end; then watch for the client to hang up.

        Raises:
            ClientGoneError: the only way in which this ends.
        """
        more = True
        while more:
            while self._size >= self._bound:
                self._room.clear()
                await self._room.wait()
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            more = message.get("more_body", False)
            self._put(message.get("body", b""))
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
        begun = b""
        while (found := split_record(begun, MAX_HEADER)) is None:
            if self._ended and not self._size:
                raise MalformedError(CODE, "the body ends inside its header")
            if not self._size:
                await self._wait()
            begun += self._take(self._size)
        content, rest = found
        self._put_back(rest)
        return parse_header(content)

    async def take(self, width: int, most: int, is_busy: Callable[[], bool]) -> bytes:
        """The next digests, whole ones; nothing once the body has no more.

        Less than `most` only at the end of the body, or when nothing else is being done with what
        was taken before: a client may wait for an answer before it sends more.

        Args:
            width: bytes of one.
            most: bytes at most; a multiple of the width.
            is_busy: asked after each change; `nudge` tells of one.
        """
        while self._size < most and not self._ended:
            if self._size >= width and not is_busy():
                break
            await self._wait()
        taken = self._take(min(most, self._size // width * width))
        self._room.set()
        return taken

    def nudge(self) -> None:
        """Something has changed: look again."""
        self._changed.set()

    def _put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)

    def _put_back(self, piece: bytes) -> None:
        self._pieces.appendleft(piece)
        self._size += len(piece)

    def _take(self, size: int) -> bytes:
        """The first bytes, of which there are so many."""
        taken: list[bytes] = []
        left = size
        while left:
            piece = self._pieces.popleft()
            taken.append(piece[:left])
            self._size -= len(piece)
            if len(piece) > left:
                self._put_back(piece[left:])
            left -= len(taken[-1])
        return b"".join(taken)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

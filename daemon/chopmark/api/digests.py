"""Reads the body of a request in compact form: its header, and then digests in groups."""

import asyncio
from collections import deque
from collections.abc import Callable

from litestar.types import Receive
from litestar.types.asgi_types import ReceiveMessage

from chopmark.api.pipeline import IDLE, ClientGoneError
from chopmark.core.compact import CODE, MAX_HEADER, Header, parse_header, split_record
from chopmark.core.errors import MalformedError, TryAgainError


class DigestReader:
    """Reads ahead of what is taken, up to a bound; for one taker.

    Args:
        bound: bytes read ahead after which the client has to wait.
        idle: seconds in which something must come, unless we are busy with what came before.
        is_busy: whether we are.
    """

    def __init__(self, bound: int, idle: float, is_busy: Callable[[], bool]) -> None:
        self._bound = bound
        self._idle = idle
        self._is_busy = is_busy
        self._fault: TryAgainError | None = None
        # Pieces, not one growing buffer: that would be copied whenever it grows.
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self, receive: Receive) -> None:
        """Read the body to its end, and watch for the client to hang up; or until it is idle.

        Raises:
            ClientGoneError: it hung up.
        """
        more = True
        while more:
            while self._size >= self._bound:
                self._room.clear()
                await self._room.wait()
            message = await self._receive(receive)
            if message is None:
                break
            if message["type"] != "http.request":
                raise ClientGoneError
            more = message.get("more_body", False)
            self._put(message.get("body", b""))
            self.nudge()
        self._ended = True
        self.nudge()
        if self._fault is None:
            await receive()
            raise ClientGoneError

    async def _receive(self, receive: Receive) -> ReceiveMessage | None:
        """The next message; None once the client has been idle for too long."""
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    return await receive()
            except TimeoutError:
                if not self._is_busy():
                    message = f"nothing came within {self._idle:g} s: the request was ended"
                    self._fault = TryAgainError(IDLE, message, hint="go on from its last run")
                    return None

    def check_end(self) -> None:
        """See that the body ended as it should.

        Raises:
            TryAgainError: `batch-idle` if the client stopped sending in the middle.
            MalformedError: it ended inside a digest.
        """
        if self._fault is not None:
            raise self._fault
        if self._size:
            raise MalformedError(CODE, "the body ends inside a digest")

    async def header(self) -> Header:
        """The header, once it is there.

        Raises:
            MalformedError, RefusedError: what `parse_header` raises, or that it is cut short,
                or text.
            TryAgainError: `batch-idle`.
        """
        begun = b""
        while (found := split_record(begun, MAX_HEADER)) is None:
            if self._ended and not self._size:
                self.check_end()
                raise MalformedError(CODE, "the body ends inside its header")
            if not self._size:
                await self._wait()
            begun += self._take(self._size)
            _refuse_text(begun)
        content, rest = found
        self._put_back(rest)
        return parse_header(content)

    async def take(self, width: int, most: int, *, all_of_it: bool = False) -> bytes:
        """The next digests, whole ones; nothing once the body has no more.

        Less than `most` only at the end of the body, or when we are not busy with what was taken
        before: a client may wait for an answer before it sends more.

        Args:
            width: bytes of one.
            most: bytes at most; a multiple of the width.
            all_of_it: wait for so many, busy or not.
        """
        while self._size < most and not self._ended:
            if self._size >= width and not all_of_it and not self._is_busy():
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


def _refuse_text(begun: bytes) -> None:
    """Refuse JSON, whose first bytes would be read as the length of a huge record."""
    if begun.lstrip()[:1] in (b"{", b"["):
        message = "the body is JSON, and not in compact form"
        hint = "JSON goes to /v1/attestations:batch; docs/formats/compact.md has the compact form"
        raise MalformedError(CODE, message, hint=hint)

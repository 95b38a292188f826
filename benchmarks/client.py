"""Just enough HTTP/1.1 by unix socket or TLS to load a gateway: it must cost less than that."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

BUFFER: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Secured:
    """A port of this machine where TLS is spoken, and who we are there."""

    port: int
    context: ssl.SSLContext


Where = Path | Secured
"""A unix socket, or such a port."""


class Connection:
    """One keep-alive connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, where: Where) -> Self:
        """Connect."""
        if isinstance(where, Path):
            return cls(*await asyncio.open_unix_connection(str(where), limit=BUFFER))
        how = {"ssl": where.context, "limit": BUFFER}
        return cls(*await asyncio.open_connection("localhost", where.port, **how))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request and read the whole answer."""
        head = _head(method, path, f"content-length: {len(body)}")
        self._writer.write(head + body)
        status = await self.read_head()
        return Answer(status, b"".join([part async for part in self.parts()]))

    async def begin(self, method: str, path: str) -> None:
        """Send the head of a request whose body follows in `send`."""
        self._writer.write(_head(method, path, "transfer-encoding: chunked"))

    async def send(self, data: bytes) -> None:
        """Send a piece of the body; an empty one ends it."""
        self._writer.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        await self._writer.drain()

    async def read_head(self) -> int:
        """Read status line and headers; gives the status."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        self._length = int(rest.partition(b"\r\n")[0]) if found else None
        return int(head[9:12])

    async def parts(self) -> AsyncIterator[bytes]:
        """The body after `read_head`, as it comes."""
        if self._length is not None:
            yield await self._reader.readexactly(self._length)
            return
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()


def _head(method: str, path: str, length: str) -> bytes:
    kind = "content-type: application/json"
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n{length}\r\n\r\n".encode()

"""One line of JSON in, one line of JSON out, over a unix socket, for one user of the system.

Rules:
1. Who calls is what the kernel says (SO_PEERCRED, unix(7)); anybody but the console's user is
   told so and hears no more.
2. A connection asks once. Its line has so many bytes and seconds; the answer is waited for no
   longer than that either. Of connections there are so many at a time; others are told to wait.
3. Verbs that change something run one after the other, and are not broken off when their caller
   leaves. What only looks for long tells of it line by line, and ends with its caller.
4. Every call is in the journal, with who, what and how it ended; a refusal too.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from chopmark.admin.box import Box
from chopmark.admin.looking import Tell
from chopmark.admin.problems import describe_error
from chopmark.admin.requests import Request
from chopmark.admin.table import VERBS, Verb, describe_values, parse_request
from chopmark.core.errors import ChopmarkError, ForbiddenError, InternalError, TryAgainError

LOG: Final = logging.getLogger("chopmark.admin")
MAX_LINE: Final = 8192
"""Bytes of a request: the longest has some hundred."""
MAX_CALLERS: Final = 8
LINE_SECONDS: Final = 5.0
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says."""

    pid: int
    uid: int


@dataclass(slots=True)
class Server:
    """Answers.

    Attributes:
        uid: of the console's user.
        served: connections so far, so that somebody can see when there are no more.
        open: connections that are open.
        seconds: that a caller may take to say, or to hear, a line.
    """

    box: Box
    uid: int
    seconds: float = LINE_SECONDS
    served: int = 0
    open: int = 0
    _working: set[asyncio.Task[Mapping[str, Any]]] = field(default_factory=set)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.served += 1
        self.open += 1
        try:
            answer = await self._answer(reader, writer)
            async with asyncio.timeout(self.seconds):
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError):
            LOG.info("a caller left", extra={"outcome": "left"})
        finally:
            self.open -= 1
            writer.close()
            if writer.transport.get_write_buffer_size():  # a caller that does not read
                writer.transport.abort()

    async def finish(self) -> None:
        """Wait for what is being done."""
        while self._working:
            await asyncio.wait(self._working)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Mapping[str, Any]:
        peer = _peer(writer)
        try:
            self._admit(peer)
            name, asked = parse_request(await self._read(reader))
        except ChopmarkError as error:
            _tell("refused", peer, error.code)
            return {"error": describe_error(error)}
        verb = VERBS[name]
        work = self._do(name, verb, asked, peer, partial(self._tell, writer))
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        if verb.tells:
            await self._end_with_caller(reader, task)
        return await asyncio.shield(task)

    async def _end_with_caller(
        self, reader: asyncio.StreamReader, task: asyncio.Task[Mapping[str, Any]]
    ) -> None:
        """Wait for the task; a caller that leaves, or asks again, has had enough."""
        left = asyncio.get_running_loop().create_task(reader.read(1))
        try:
            await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            await asyncio.wait((left,))
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
            raise ConnectionAbortedError

    async def _tell(self, writer: asyncio.StreamWriter, told: Mapping[str, Any]) -> None:
        writer.write(msgspec.json.encode({"told": told}) + b"\n")
        async with asyncio.timeout(self.seconds):
            await writer.drain()

    def _admit(self, peer: Peer) -> None:
        if peer.uid != self.uid:
            raise ForbiddenError("not-the-console", "only the console may ask")
        if self.open > MAX_CALLERS:
            raise TryAgainError("admin-busy", "too many ask at once", retry_after=1)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self.seconds):
                return await reader.readuntil(b"\n")
        except TimeoutError:
            raise TryAgainError("line-late", "no line came in time") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            message = f"not one line of at most {MAX_LINE} bytes"
            raise ForbiddenError("malformed-request", message) from None

    async def _do(
        self, name: str, verb: Verb, asked: Request, peer: Peer, tell: Tell
    ) -> Mapping[str, Any]:
        told = describe_values(asked)
        values = (self.box, asked, tell) if verb.tells else (self.box, asked)
        try:
            async with nullcontext() if verb.looks else self.box.lock:
                done = await verb.run(*values)
        except asyncio.CancelledError:
            _tell(name, peer, "left", told)
            raise
        except ChopmarkError as error:
            _tell(name, peer, error.code, told)
            return {"error": describe_error(error)}
        except Exception:
            LOG.exception("%s failed", name, extra={"verb": name})
            bug = InternalError("internal", f"{name} failed", hint="the journal says why")
            return {"error": describe_error(bug)}
        _tell(name, peer, "done", told)
        return {"done": done}


def _peer(writer: asyncio.StreamWriter) -> Peer:
    peer: socket.socket = writer.get_extra_info("socket")
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    return Peer(pid, uid)


def _tell(name: str, peer: Peer, outcome: str, told: Mapping[str, str] | None = None) -> None:
    fields = {"verb": name, "outcome": outcome, "uid": peer.uid, "caller": peer.pid}
    level = logging.INFO if outcome == "done" else logging.WARNING
    LOG.log(level, "%s: %s", name, outcome, extra=fields | _prefixed(told or {}))


def _prefixed(told: Mapping[str, str]) -> dict[str, str]:
    """Names of values that cannot be taken for names of ours, or of logging's."""
    return {f"with_{key}": value for key, value in told.items()}

"""The door for TLS: accepts connections, waits until they say something, and shakes hands.

A connection costs a descriptor and nothing else until its first bytes are here, and the oldest
give way when there are too many: whoever connects and says nothing keeps nobody out. Beyond the
handshake it is the HTTP protocol's.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from chopmark.api.limits import ApiLimits
from chopmark.api.trust import PEER

_log = logging.getLogger(__name__)
_AT_ONCE: Final = 64
"""Connections accepted in one go."""
_PAUSE: Final = 0.5
"""Seconds without accepting after the process was out of descriptors."""
_FAREWELL: Final = 5.0
"""Seconds that a client gets to answer the end of a TLS connection."""


class TlsDoor:
    """To uvicorn it looks like one of asyncio's servers.

    Args:
        listener: a socket that listens.
        context: for the handshakes.
        make_protocol: what speaks on a connection.
        limits: `handshakes` and `head_seconds` count here.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        limits: ApiLimits,
    ) -> None:
        self._listener = listener
        self._context = context
        self._make_protocol = make_protocol
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._shaking: dict[asyncio.Task[None], None] = {}
        self._paused: asyncio.TimerHandle | None = None
        listener.settimeout(0)
        self._open()

    def close(self) -> None:
        """Accept no more, and drop who has not shaken hands yet."""
        self._loop.remove_reader(self._listener)
        if self._paused is not None:
            self._paused.cancel()
        for connection in list(self._silent):
            self._forget(connection).close()
        for task in self._shaking:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nobody shakes hands any more."""
        if self._shaking:
            await asyncio.wait(list(self._shaking))

    def _open(self) -> None:
        self._paused = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors or memory: others must give back first
                _log.warning("no connection is accepted for a moment: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._paused = self._loop.call_later(_PAUSE, self._open)
                return
            self._listen(connection)

    def _listen(self, connection: socket.socket) -> None:
        """Wait for its first bytes."""
        if len(self._silent) >= self._limits.handshakes:
            self._forget(next(iter(self._silent))).close()
        connection.settimeout(0)
        late = self._loop.call_later(self._limits.head_seconds, self._give_up, connection)
        self._silent[connection] = late
        self._loop.add_reader(connection, self._begin, connection)

    def _give_up(self, connection: socket.socket) -> None:
        self._forget(connection).close()

    def _forget(self, connection: socket.socket) -> socket.socket:
        self._silent.pop(connection).cancel()
        self._loop.remove_reader(connection)
        return connection

    def _begin(self, connection: socket.socket) -> None:
        self._forget(connection)
        if len(self._shaking) >= self._limits.handshakes:
            next(iter(self._shaking)).cancel()
        task = self._loop.create_task(self._shake(connection), name="tls handshake")
        self._shaking[task] = None
        task.add_done_callback(self._shaking.pop)

    async def _shake(self, connection: socket.socket) -> None:
        try:
            PEER.set(_describe(connection))
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.head_seconds,
                ssl_shutdown_timeout=_FAREWELL,
            )
        except OSError:  # it was told of where it failed, or the client has gone
            connection.close()


def _describe(connection: socket.socket) -> str:
    host, port, *_ = connection.getpeername()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

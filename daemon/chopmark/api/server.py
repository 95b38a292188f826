"""uvicorn inside our TaskGroup: a server on the unix socket and the loopback port, or for TLS.

Nothing here is about the process: no signal handlers, no log configuration, no exit.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chopmark.api.app import Api
from chopmark.api.door import TlsDoor
from chopmark.api.identity import Callers
from chopmark.api.limits import ApiLimits
from chopmark.api.listeners import Doors
from chopmark.api.protocol import bounded_protocol
from chopmark.api.refusals import Refusals
from chopmark.api.trust import Trust

_log = logging.getLogger(__name__)

_LAST: Final = 1.0
"""Seconds that cancelled requests get to clean up after the grace is over."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the daemon, and has a door of ours for TLS."""

    def __init__(
        self,
        app: ASGIApp,
        limits: ApiLimits,
        protocol: type[HttpToolsProtocol],
        trust: Trust | None,
    ) -> None:
        super().__init__(_config(app, limits, protocol))
        self._protocol = protocol
        self._limits = limits
        self._trust = trust

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        if self._trust is None:
            await super().startup(sockets)
            return
        await super().startup([])
        for listener in sockets or []:
            context = self._trust.context
            door = TlsDoor(listener, context, self._make_protocol, self._limits)
            self.servers.append(door)  # type: ignore[arg-type]  # close() and wait_closed()

    def _make_protocol(self) -> asyncio.Protocol:
        return self._protocol(self.config, self.server_state, self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(
    app: ASGIApp,
    path: Path | None,
    listen: tuple[str, int] | None,
    *,
    limits: ApiLimits | None = None,
    ready: Callable[[list[str]], None] | None = None,
    refusals: Refusals | None = None,
    name: str = "the API listens",
    doors: Doors | None = None,
    callers: Callers | None = None,
    trust: Trust | None = None,
) -> None:
    """Serve until cancelled; then finish what is running, within `limits.grace` seconds.

    Args:
        app: the application.
        path: of the unix socket (mode 0660); one that a dead process left is replaced.
        listen: loopback address and port; port 0 takes a free one.
        limits: the usual ones, if None.
        ready: told the addresses once clients can connect, as `--gateway` takes them.
        refusals: counts what is refused before it is a request.
        name: what to say in the log, before the addresses.
        callers: knows who may do what; everybody everything, if None.
        trust: by TLS only, with these certificates; `listen` may then be any address.
        doors: keeps the sockets open for the next server; they are closed after this one, if None.

    Raises:
        ConfigurationError: what `open_listeners` raises; nothing was started.
        ExistsError: the same.
    """
    bounds = limits or ApiLimits()
    own = Doors()
    listeners = (doors or own).open(path, listen, anywhere=trust is not None)
    short = app.short if isinstance(app, Api) else None
    protocol = bounded_protocol(bounds, refusals or Refusals(), short, callers or Callers(), trust)
    server = _Server(app, bounds, protocol, trust)
    try:
        scheme = "http" if trust is None else "https"
        addresses = [_address(listener, scheme) for listener in listeners]
        _log.info("%s on %s", name, ", ".join(addresses))
        if ready is not None:
            ready(addresses)
        await _run(server, listeners)
    finally:
        for listener in listeners:
            listener.close()
        own.close()


async def _run(server: _Server, listeners: list[socket.socket]) -> None:
    running = asyncio.create_task(server.serve(sockets=listeners), name="api server")
    try:
        # The shield turns our cancellation into an orderly stop of the server.
        await asyncio.shield(running)
    except asyncio.CancelledError:
        server.should_exit = True
        await running
        raise
    finally:
        await _drop(server)


async def _drop(server: _Server) -> None:
    """End what outlived the grace: a client that does not read must not keep us.

    The requests first, which were cancelled: what they still have to say must go out.
    """
    state = server.server_state
    if state.tasks:
        await asyncio.wait(list(state.tasks), timeout=_LAST)
    for connection in list(state.connections):
        connection.transport.abort()


def _config(app: ASGIApp, limits: ApiLimits, protocol: type[HttpToolsProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a local client could write itself any address
        timeout_keep_alive=limits.keep_alive,
        timeout_graceful_shutdown=limits.grace,
    )


def _address(listener: socket.socket, scheme: str) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{scheme}://{host}:{name[1]}"

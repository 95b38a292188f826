"""uvicorn inside our TaskGroup: one server on the unix socket and the loopback port.

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

from chopmark.api.app import Api
from chopmark.api.limits import ApiLimits
from chopmark.api.listeners import Doors
from chopmark.api.protocol import bounded_protocol
from chopmark.api.refusals import Refusals

_log = logging.getLogger(__name__)

_LAST: Final = 1.0
"""Seconds that cancelled requests get to clean up after the grace is over."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the daemon."""

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
        doors: keeps the sockets open for the next server; they are closed after this one, if None.

    Raises:
        ConfigurationError: what `open_listeners` raises; nothing was started.
        ExistsError: the same.
    """
    bounds = limits or ApiLimits()
    own = Doors()
    listeners = (doors or own).open(path, listen)
    server = _Server(_config(app, bounds, refusals or Refusals()))
    try:
        addresses = [_address(listener) for listener in listeners]
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


def _config(app: ASGIApp, limits: ApiLimits, refusals: Refusals) -> uvicorn.Config:
    short = app.short if isinstance(app, Api) else None
    return uvicorn.Config(
        app,
        http=bounded_protocol(limits, refusals, short),
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


def _address(listener: socket.socket) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"

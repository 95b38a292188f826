"""Keeps web pages out of the loopback port.

A browser on this machine can reach 127.0.0.1 on behalf of any page it shows: directly (a foreign
Origin), or by a name that the page's owner points here (DNS rebinding: a foreign Host). The unix
socket is out of a browser's reach; its file mode is its guard.
"""

import re
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from chopmark.api.problems import Problem, send_problem

_LOCAL: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
_FOREIGN_HOST: Final = Problem(
    403,
    "foreign-host",
    "this port answers to localhost, 127.0.0.1 and [::1] only",
    "call it by one of these names, or use the unix socket",
)
_FOREIGN_ORIGIN: Final = Problem(
    403,
    "foreign-origin",
    "a web page of another origin may not use this gateway",
    "call the API from a program, not from a page",
)


class LocalOnly:
    """ASGI application in front of another: refuses what a foreign web page would send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        problem = find_problem(scope) if scope["type"] == ScopeType.HTTP else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await send_problem(send, problem)


def find_problem(scope: Scope) -> Problem | None:
    """What is foreign about a request, if it came by TCP."""
    server = scope.get("server")
    if server is not None and server[1] is None:  # a unix socket has a path and no port
        return None
    hosts = _header(scope, b"host")
    if len(hosts) != 1 or not _LOCAL.fullmatch(hosts[0]):
        return _FOREIGN_HOST
    own = f"http://{hosts[0]}"
    if any(origin != own for origin in _header(scope, b"origin")):
        return _FOREIGN_ORIGIN
    return None


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]

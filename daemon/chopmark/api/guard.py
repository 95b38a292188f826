"""Keeps web pages out of the ports.

A browser on this machine can reach 127.0.0.1 on behalf of any page it shows: directly (a foreign
Origin), or by a name that the page's owner points here (DNS rebinding: a foreign Host). The unix
socket is out of a browser's reach; its file mode is its guard. By TLS, whose certificate settles
which names are good, a foreign page could use the client certificate of the browser's user.
"""

import re
from collections.abc import Iterable
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
    return None if is_unix(server) else _find_foreign(scope["headers"], scope.get("scheme", ""))


def is_local(
    server: tuple[str, int | None] | None, headers: Iterable[tuple[bytes, bytes]], scheme: str
) -> bool:
    """Whether a request is one to answer, by its listener's address and its headers."""
    return is_unix(server) or _find_foreign(headers, scheme) is None


def is_unix(server: tuple[str, int | None] | None) -> bool:
    """Whether this is the address of a unix socket: a path and no port."""
    return server is not None and server[1] is None


def _find_foreign(headers: Iterable[tuple[bytes, bytes]], scheme: str) -> Problem | None:
    hosts = _header(headers, b"host")
    if scheme != "https" and (len(hosts) != 1 or not _LOCAL.fullmatch(hosts[0])):
        return _FOREIGN_HOST
    own = f"{scheme}://{hosts[0] if len(hosts) == 1 else ''}"
    if any(origin != own for origin in _header(headers, b"origin")):
        return _FOREIGN_ORIGIN
    return None


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]

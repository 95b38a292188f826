"""Keeps web pages out of the ports.

A browser on this machine can reach 127.0.0.1 on behalf of any page it shows: directly (a foreign
Origin), or by a name that the page's owner points here (DNS rebinding: a foreign Host). The unix
socket is out of a browser's reach; its file mode is its guard. By TLS, whose certificate settles
which names are good, a foreign page could use the client certificate of the browser's user, or the
rate of the network that she sits in.

A page may send a GET of which it cannot read the answer (an image, say) without an Origin. Browsers
say by `Sec-Fetch-Site` where such a request comes from (W3C Fetch Metadata Request Headers), and no
page can change that. Programs and browsers before 2023 do not send it, and are served.
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
    "call the API from a program, not from a page; a link may lead to the gateway's page",
)
_OWN: Final = frozenset({"same-origin", "none"})
"""Sites of requests of our own page, and of what a person does herself: typing, a bookmark."""
_FOR_ALL: Final = re.compile(r"/|/page(?:/.*)?|/metrics", re.DOTALL)
"""Paths that any page may lead to: ours has the files of our page, which count for nobody."""
_STEPS: Final = re.compile(r"/v1/session/oidc(?:/callback)?")
"""Whole pages of the API, which a browser is sent to by the OpenID provider's."""


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
    if is_unix(scope.get("server")):
        return None
    headers, path = scope["headers"], scope["path"]
    foreign = _is_of_another_page(headers) and not _may_be_led_to(path, headers)
    return _find_foreign(headers, scope.get("scheme", "")) or (_FOREIGN_ORIGIN if foreign else None)


def is_local(
    server: tuple[str, int | None] | None, headers: Iterable[tuple[bytes, bytes]], scheme: str
) -> bool:
    """Whether a request of the API is one to answer, by its listener's address and its headers."""
    if is_unix(server):
        return True
    return _find_foreign(headers, scheme) is None and not _is_of_another_page(headers)


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


def _is_of_another_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser says so; pages of the same site, on another port, are others too."""
    return not _OWN.issuperset(_header(headers, b"sec-fetch-site"))


def _may_be_led_to(path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether another page may have the browser ask for this."""
    if _FOR_ALL.fullmatch(path):
        return True
    how = _header(headers, b"sec-fetch-mode") + _header(headers, b"sec-fetch-dest")
    return bool(_STEPS.fullmatch(path)) and how == ["navigate", "document"]


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]

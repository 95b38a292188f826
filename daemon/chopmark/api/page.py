"""The page for people: `/` and everything below `/page`, static files of this package.

Nothing that a browser loads comes from anywhere else, nothing it runs stands in markup, and it
may talk to this gateway alone: the headers say so, and browsers keep to them.
"""

from collections.abc import Mapping
from typing import Final

from litestar import asgi
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.headers import takes_gzip
from chopmark.api.page_files import PageFile
from chopmark.api.roles import TAKES_QUERY

PREFIX: Final = "/page"
_POLICY: Final = (
    # Of what eval can do, 'wasm-unsafe-eval' allows WebAssembly alone, which hashes large files.
    b"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    b"img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; font-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # A slip's code is read by camera; nothing else is asked for.
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), usb=(), payment=()"),
)
_NOT_MODIFIED: Final = 304


def make_page_routes(files: Mapping[str, PageFile]) -> list[ASGIRouteHandler]:
    """The routes of the page.

    Args:
        files: by path, as `page_files.load_page` gives them.
    """

    @asgi("/", copy_scope=False, opt=TAKES_QUERY)
    async def index(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        await _serve(files, "/", scope, send)

    @asgi(PREFIX, is_mount=True, copy_scope=False)
    async def file(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        path = (scope.get("raw_path") or b"").decode("latin-1")
        await _serve(files, path, scope, send)

    return [index, file]


async def _serve(files: Mapping[str, PageFile], path: str, scope: Scope, send: Send) -> None:
    method = scope.get("method")
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowedException(headers={"allow": "GET, HEAD"})
    found = files.get(path)
    if found is None:
        raise NotFoundException(detail="the page has no such file")
    asked = dict(scope["headers"])
    packed = found.packed if takes_gzip(scope["headers"]) else None
    headers = [
        *SECURITY,
        (b"etag", found.etag),
        # Kept, and asked about each time: a newer gateway has a newer page.
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
    ]
    if _has(asked.get(b"if-none-match", b""), found.etag):
        await _answer(send, _NOT_MODIFIED, headers, b"")
        return
    body = found.body if packed is None else packed
    headers += [(b"content-type", found.media_type), (b"content-length", b"%d" % len(body))]
    if packed is not None:
        headers.append((b"content-encoding", b"gzip"))
    await _answer(send, 200, headers, body if method == "GET" else b"")


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _has(asked: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` names this tag, compared weakly (RFC 9110 §13.1.2)."""
    return any(one.strip() == etag for one in asked.split(b","))

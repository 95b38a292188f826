"""`/log/{id}/…`: our log and every replica, read-only, for any C2SP tlog-tiles client.

What is served are static resources: the paths are strict, GET and HEAD are all that there is, and
what does not exist under the newest signed head is 404.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final, Protocol

from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.headers import takes_gzip
from chopmark.core.errors import MalformedError, MissingError
from chopmark.core.tiles import TileName, parse_tile_name

PREFIX: Final = "/log"
_PATH: Final = re.compile(rb"/log/([a-z0-9-]{1,20})/([\x21-\x7e]{1,80})")
_TEXT: Final = b"text/plain; charset=utf-8"
_BYTES: Final = b"application/octet-stream"
_MUTABLE: Final = b"public, max-age=1"
"""A checkpoint may be kept for a second: `caching headers SHOULD prevent caching beyond a few`."""
_IMMUTABLE: Final = b"public, max-age=31536000, immutable"
"""A tile of one name never changes, not even a partial one: another width is another name."""
_LEVEL: Final = 1
"""Of compression: digests do not shrink, and what is around them does at once."""
Header = tuple[bytes, bytes]


class Tiles(Protocol):
    """The logs that are served, by member id; `service` provides it."""

    def checkpoint(self, member: str) -> bytes:
        """The newest signed head as a note (`no-such-member`, `not-signed`)."""
        ...

    async def tile(self, member: str, name: TileName) -> bytes:
        """A tile or an entry bundle under that head (`no-such-member`, `no-such-tile`)."""
        ...


def make_tile_route(tiles: Tiles) -> ASGIRouteHandler:
    """The route of everything below `/log`."""

    @asgi(PREFIX, is_mount=True, copy_scope=False)
    async def route(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        method = scope.get("method")
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowedException(headers={"allow": "GET, HEAD"})
        member, name = _parse_path(scope.get("raw_path") or b"")
        if name is None:
            body, headers = tiles.checkpoint(member), _headers(_TEXT, _MUTABLE)
        else:
            body, headers = await tiles.tile(member, name), _headers(_BYTES, _IMMUTABLE)
            if name.level is None:
                body, headers = _compress(body, headers, scope["headers"])
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        shown = body if method == "GET" else b""
        await send({"type": "http.response.body", "body": shown, "more_body": False})

    return route


def _parse_path(path: bytes) -> tuple[str, TileName | None]:
    """Member and tile, or None for the checkpoint; percent-encoding is another name.

    Raises:
        MissingError: `no-such-tile`.
    """
    found = _PATH.fullmatch(path)
    if found is not None:
        member, rest = (part.decode("ascii") for part in found.groups())
        if rest == "checkpoint":
            return member, None
        try:
            return member, parse_tile_name(rest)
        except MalformedError:
            pass
    hint = "under /log/{id}/ are checkpoint, tile/<L>/<N>[.p/<W>] and tile/entries/<N>[.p/<W>]"
    raise MissingError("no-such-tile", "there is no such tile", hint=hint)


def _headers(media_type: bytes, caching: bytes) -> list[Header]:
    return [
        (b"content-type", media_type),
        (b"cache-control", caching),
        (b"x-content-type-options", b"nosniff"),
    ]


def _compress(
    body: bytes, headers: list[Header], asked: Iterable[Header]
) -> tuple[bytes, list[Header]]:
    """An entry bundle as its client takes it (`Entry bundles SHOULD be compressed`)."""
    headers = [*headers, (b"vary", b"accept-encoding")]
    if not takes_gzip(asked):
        return body, headers
    packer = zlib.compressobj(_LEVEL, wbits=31)
    return packer.compress(body) + packer.flush(), [*headers, (b"content-encoding", b"gzip")]

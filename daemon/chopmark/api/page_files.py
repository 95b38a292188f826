"""The files of the page, read once: by their path, with what their answer needs.

They belong to the package, and are a few hundred kilobytes; in memory, an answer needs no disk.
"""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "web"
_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".wasm": b"application/wasm",
    ".woff2": b"font/woff2",
}
"""By suffix; what has another one is not served."""
_PLAIN: Final = frozenset({".woff2"})
"""Suffixes of what is compressed already."""
_SMALL: Final = 512
"""Bytes below which nothing is gained by compression."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is served.

    Attributes:
        packed: compressed by gzip; None if that gains nothing.
        etag: follows from the bytes alone; weak, for both forms have it.
    """

    body: bytes
    packed: bytes | None
    media_type: bytes
    etag: bytes


def load_page(folder: Path = FOLDER) -> dict[str, PageFile]:
    """Read all of them; blocks.

    Args:
        folder: with `index.html` at its top.

    Returns:
        Files by their path in a URL: `/`, `/page/js/main.js`.
    """
    found = {
        f"/page/{path.relative_to(folder).as_posix()}": _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }
    found["/"] = found.pop("/page/index.html")
    return found


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
    return PageFile(body, _pack(body, path.suffix), _TYPES[path.suffix], etag)


def _pack(body: bytes, suffix: str) -> bytes | None:
    if suffix in _PLAIN or len(body) < _SMALL:
        return None
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()

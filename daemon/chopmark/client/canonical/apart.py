"""Canonical digests of files, computed in a process of their own that has limits.

A document comes from a stranger, and its reader is large: what keeps it busy for ever, fills the
memory or makes it fail must harm nobody but itself.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from chopmark.client.canonical.limits import FAILED, SECONDS
from chopmark.client.files import explain_read_error
from chopmark.core.canonical import JSON_JCS, KNOWN, PDF_PAGES
from chopmark.core.errors import MalformedError

_HEAD: Final = 1024
"""Bytes within which a PDF begins (ISO 32000-1, implementation note 13 of its predecessor)."""


def find_name(path: Path) -> str | None:
    """The canonical digest that a document of this sort can have, judged by how it begins.

    Raises:
        MissingError: `no-such-file`, `not-a-file`.
        ForbiddenError: `file-forbidden`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise explain_read_error(path, error) from error
    if b"%PDF-" in head:
        return PDF_PAGES
    return JSON_JCS if head.lstrip(b" \t\r\n")[:1] in (b"{", b"[") else None


def digest_file(path: Path, name: str) -> bytes:
    """The canonical digest of a file, 32 bytes.

    Args:
        path: the file.
        name: `pdf-pages/1` or `json-jcs/1`.

    Raises:
        MalformedError: `no-canonical-digest`; the message says why.
        MissingError: `no-such-file`, `not-a-file`.
        ForbiddenError: `file-forbidden`.
    """
    if name not in KNOWN:
        raise _refuse(path, name, "no such digest is known here: update the software")
    command = [sys.executable, "-I", "-m", __package__, name]
    try:
        with path.open("rb") as file:
            ended = subprocess.run(  # noqa: S603 - our own interpreter and module
                command, stdin=file, capture_output=True, timeout=2 * SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise _refuse(path, name, "it takes too long to read") from None
    except OSError as error:
        raise explain_read_error(path, error) from error
    if ended.returncode == 0:
        return bytes.fromhex(ended.stdout.decode("ascii"))
    told = ended.stdout.decode("utf-8", "replace") if ended.returncode == FAILED else ""
    raise _refuse(path, name, told or "it takes more time or memory than it may")


def _refuse(path: Path, name: str, why: str) -> MalformedError:
    hint = "the file is damaged, locked or of another sort: have it made again"
    return MalformedError("no-canonical-digest", f"{path} has no {name} digest: {why}", hint=hint)

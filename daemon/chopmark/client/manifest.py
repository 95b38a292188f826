r"""Lists of SHA-256 digests as `sha256sum` writes them, and as `sha256sum -c` reads them.

A line is 64 hexadecimal digits, a space, a space or an asterisk, and the document's name. A line
that begins with a backslash has a name in which `\\`, `\n` and `\r` stand for what they escape.
Lines that begin with `#` are comments.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from chopmark.core.errors import MalformedError

_LINE: Final = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *]([^\n\x00]+)", re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.?)", re.DOTALL)
_ESCAPES: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}
_HINT: Final = "a line is what `sha256sum FILE…` prints: the digest, two spaces, the name"


@dataclass(slots=True)
class Manifest:
    """Documents by digest and name.

    Attributes:
        digests: SHA-256 of each, 32 bytes, joined; with its SM3 after it where that was joined in.
        names: of each, in the same order, as bytes.
    """

    digests: bytearray = field(default_factory=bytearray)
    names: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, number: int) -> str:
        """Name of a document; what is not UTF-8 in it is kept as the file system has it."""
        return os.fsdecode(self.names[number])

    def fingerprint(self) -> str:
        """What tells this list of digests from others, in hexadecimal."""
        return sha256(self.digests).hexdigest()


def read_manifest(lines: Iterable[bytes]) -> Manifest:
    """Read a manifest; nothing of it is used if a line is bad.

    Args:
        lines: with their line feeds, as a binary file gives them.

    Raises:
        MalformedError: `malformed-manifest`, naming the line.
    """
    made = Manifest()
    for number, line in enumerate(lines, 1):
        if line.startswith(b"#"):
            continue
        digest, name = _read_line(line.removesuffix(b"\n"), number)
        made.digests += digest
        made.names.append(name)
    if not made.names:
        raise MalformedError("malformed-manifest", "the manifest names no document", hint=_HINT)
    return made


def join_sm3(manifest: Manifest, other: Manifest) -> Manifest:
    """A manifest with the SM3 digests of the same documents in the same order.

    Raises:
        MalformedError: `manifest-sm3`.
    """
    if manifest.names != other.names:
        pairs = zip(manifest.names, other.names, strict=False)
        at = next((at for at, (one, two) in enumerate(pairs) if one != two), None)
        where = f"they differ from document {at + 1} on" if at is not None else "one is longer"
        message = f"the SM3 digests are of other documents than the manifest: {where}"
        raise MalformedError("manifest-sm3", message, hint="name the same files in the same order")
    size = 32
    joined = bytearray()
    for at in range(0, len(manifest.digests), size):
        joined += manifest.digests[at : at + size] + other.digests[at : at + size]
    return Manifest(joined, manifest.names)


def _read_line(line: bytes, number: int) -> tuple[bytes, bytes]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise _bad(number, "is not a digest and a name")
    name = found[3]
    if name.endswith(b"\r"):
        raise _bad(number, "ends in a carriage return: it was written on another system")
    if found[1]:
        escapes = {match[1] for match in _ESCAPED.finditer(name)}
        if not escapes <= _ESCAPES.keys():
            raise _bad(number, "has a name with an unknown escape")
        name = _ESCAPED.sub(lambda match: _ESCAPES[match[1]], name)
    return bytes.fromhex(found[2].decode("ascii")), name


def _bad(number: int, what: str) -> MalformedError:
    return MalformedError("malformed-manifest", f"line {number} {what}", hint=_HINT)

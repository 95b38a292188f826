"""The small messages of the mesh that are not signed: requests, error replies, status.

They are hints: they may cause a request or slow our own intake, and nothing else. Keys that are not
known here are skipped: a later version may have added them (`versions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.text import MAX_INT
from chopmark.mesh import versions
from chopmark.mesh.versions import Versions

MAX_SMALL: Final = 8 * 1024
"""Bytes of the largest unsigned message."""
ERROR: Final = "error"
HELD: Final = "held"
SEEN: Final = "seen"
MAX_SEEN: Final = 4
MAX_HEADS_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """Send the package that starts at `start`, under a head of at least `size`."""

    origin: str
    start: int
    size: int

    def encode(self) -> bytes:
        """The request's bytes."""
        return encode_cbor({0: self.origin, 1: self.start, 2: self.size})


@dataclass(frozen=True, slots=True)
class HeadRequest:
    """Send the newest signed heads of a log that you have seen, from whatever side."""

    origin: str

    def encode(self) -> bytes:
        """The request's bytes."""
        return encode_cbor({0: self.origin, 3: True})


@dataclass(frozen=True, slots=True)
class HeadsSeen:
    """The answer: notes of a log's heads.

    Attributes:
        held: the newest whose entries are all held, if any.
        seen: further ones, seen above it or contradicting it.
    """

    held: bytes | None
    seen: tuple[bytes, ...] = ()

    @property
    def notes(self) -> tuple[bytes, ...]:
        """All of them."""
        return (self.held, *self.seen) if self.held else self.seen

    def encode(self) -> bytes:
        """The answer's bytes."""
        return encode_cbor({HELD: self.held or b"", SEEN: list(self.seen[:MAX_SEEN])})


@dataclass(frozen=True, slots=True)
class Status:
    """What a gateway says about itself.

    Attributes:
        online: or gone.
        sizes: of the logs that it holds, by origin; empty from who speaks no version of ours.
        speaks: versions of the protocol.
    """

    online: bool
    sizes: Mapping[str, int]
    speaks: Versions = field(default_factory=lambda: versions.OURS)

    def encode(self) -> bytes:
        """The status's bytes."""
        speaks = self.speaks
        said = {0: self.online, 1: speaks.newest, 2: dict(self.sizes), 3: speaks.oldest}
        return encode_cbor(said)


def parse_request(data: bytes) -> Request | HeadRequest:
    """Read a request, for a package or for heads.

    Raises:
        MalformedError: `malformed-request`.
    """
    value = _decode(data)
    origin, start, size = value.get(0), value.get(1), value.get(2)
    if isinstance(origin, str) and value.get(3) is True:
        check_origin(origin)
        return HeadRequest(origin)
    if not isinstance(origin, str) or not _is_size(start) or not _is_size(size):
        raise MalformedError("malformed-request", "a request has an origin, a start and a size")
    check_origin(origin)
    return Request(origin, start, size)  # type: ignore[arg-type]  # _is_size narrows them


def parse_status(data: bytes) -> Status:
    """Read a status.

    Raises:
        MalformedError: `malformed-status`.
    """
    value = _decode(data)
    online, sizes, newest = value.get(0), value.get(2), value.get(1)
    oldest = value.get(3, newest)
    if not isinstance(online, bool):
        raise MalformedError("malformed-status", "a status says online or not")
    if not _is_size(newest) or not _is_size(oldest) or not 1 <= oldest <= newest:  # type: ignore[operator]  # _is_size narrows them
        raise MalformedError("malformed-status", "a status says which versions are spoken")
    speaks = Versions(newest, oldest)  # type: ignore[arg-type]
    if not versions.OURS.meets(speaks):  # what else it says is in words that we do not know
        return Status(online, {}, speaks)
    if not isinstance(sizes, dict):
        raise MalformedError("malformed-status", "a status has sizes")
    if any(not isinstance(o, str) or not _is_size(s) for o, s in sizes.items()):
        raise MalformedError("malformed-status", "a status has sizes by origin")
    return Status(online, sizes, speaks)


def parse_heads(data: bytes) -> HeadsSeen:
    """Read the answer to a question for heads; none of its notes is verified.

    Raises:
        MalformedError: `malformed-heads`.
    """
    value = decode_cbor(data) if len(data) <= MAX_HEADS_BYTES else None
    held, seen = (value.get(HELD), value.get(SEEN)) if isinstance(value, dict) else (None, None)
    if not isinstance(held, bytes) or not isinstance(seen, list) or len(seen) > MAX_SEEN:
        raise MalformedError("malformed-heads", "an answer has the head held and a few more")
    if not all(isinstance(note, bytes) for note in seen):
        raise MalformedError("malformed-heads", "an answer has heads as notes")
    return HeadsSeen(held or None, tuple(seen))


def encode_error(code: str) -> bytes:
    """A reply that says why there is no package."""
    return encode_cbor({ERROR: code})


def parse_error(data: bytes) -> str | None:
    """The code of an error reply; None if the reply is something else."""
    if len(data) > MAX_SMALL:
        return None
    try:
        code = _decode(data).get(ERROR)
    except MalformedError:
        return None
    return code if isinstance(code, str) else None


def _decode(data: bytes) -> dict[object, object]:
    value = decode_cbor(data) if len(data) <= MAX_SMALL else None
    if not isinstance(value, dict):
        raise MalformedError("malformed-message", "a message of the mesh is a small CBOR map")
    return value


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT

"""The head mark: what a gateway's token remembers of the gateway's log (docs/formats/head-mark.md).

It lies where a restored disk does not bring it back to what it was: a log that has less than its
mark says was put back, and must not be signed again.
"""

from dataclasses import dataclass
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import Checkpoint, check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import EMPTY_ROOT, HASH
from chopmark.core.text import MAX_INT

VERSION: Final = 1
EPOCH: Final = 16
"""Bytes of an epoch."""
MAX_MARK: Final = 256
"""Bytes of the largest mark that is read."""


@dataclass(frozen=True, slots=True)
class HeadMark:
    """One mark.

    Attributes:
        head: the log's newest signed head when the mark was written.
        counter: goes up with each mark; of several in a token the highest counts.
        epoch: 16 random bytes, new for each run of the gateway; the ledger knows them too.
        clean: the gateway had stopped in order: it signed nothing after this head.
    """

    head: Checkpoint
    counter: int
    epoch: bytes
    clean: bool

    def encode(self) -> bytes:
        """The mark's bytes."""
        head = self.head
        fields = (VERSION, head.origin, self.counter, self.epoch, head.size, head.root, self.clean)
        return encode_cbor(dict(enumerate(fields)))


def parse_mark(data: bytes) -> HeadMark:
    """Read a mark.

    Raises:
        MalformedError: `malformed-mark`, and the codes of its parts.
    """
    value = decode_cbor(data) if len(data) <= MAX_MARK else None
    if not isinstance(value, dict) or list(value) != list(range(7)):
        raise _malformed("it is no map of seven")
    version, origin, counter, epoch, size, root, clean = value.values()
    if type(version) is not int or version != VERSION:
        raise _malformed("its version is not known: update the software")
    if not isinstance(origin, str) or not _is_count(counter) or not _is_count(size):
        raise _malformed("origin, counter or size is none")
    if not _is_bytes(epoch, EPOCH) or not _is_bytes(root, HASH) or not isinstance(clean, bool):
        raise _malformed("epoch, root or flag is none")
    check_origin(origin)
    if size == 0 and root != EMPTY_ROOT:
        raise _malformed("an empty log has another root")
    return HeadMark(Checkpoint(origin, size, root), counter, epoch, clean)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT


def _is_bytes(value: object, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def _malformed(why: str) -> MalformedError:
    return MalformedError("malformed-mark", f"not a head mark: {why}")

"""Packages: runs of entries that prove themselves (docs/formats/package.md).

A package carries a run of entries inside one aligned 256-entry bundle, the compact-range hashes
before and after it, and the checkpoint note. The root follows from these alone, so each is
verified by itself; live publishing and catch-up use the same ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import SignedCheckpoint, check_origin
from chopmark.core.columns import Columns, parse_columns
from chopmark.core.entry import MAX_ENTRY
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import HASH, CompactRange, range_nodes
from chopmark.core.text import MAX_INT
from chopmark.core.tiles import WIDTH

MAX_BUNDLE: Final = 48 * 1024
"""Bytes of entries in one package: with 126 hashes and a note it stays below 64 KiB."""
MAX_PACKAGE: Final = 64 * 1024
_UINT, _BYTES, _TEXT = 0, 2, 3
"""Major types of CBOR (RFC 8949 §3.1)."""
_DIRECT, _LONGEST = 24, 27
"""Below it the argument stands in the head; 1 to 8 bytes of it follow up to the other."""


@dataclass(frozen=True, slots=True)
class Package:
    """A run of entries with its proof, not verified yet.

    Attributes:
        origin: the log.
        start: index of the first entry.
        bundle: the entries as in an entry bundle, each with a two-byte length.
        left: 32-byte hashes of the compact range [0, start), joined.
        right: 32-byte hashes of the compact range [start+n, size), joined.
        note: the checkpoint note of that size.
    """

    origin: str
    start: int
    bundle: bytes
    left: bytes
    right: bytes
    note: bytes

    def encode(self) -> bytes:
        """The package's bytes."""
        values = (self.origin, self.start, self.bundle, self.left, self.right, self.note)
        return encode_cbor(dict(enumerate(values)))


@dataclass(frozen=True, slots=True)
class VerifiedPackage:
    """Entries that lie at `start` under a head whose signature was checked.

    Attributes:
        left: the compact range [0, start) that goes with them; a receiver compares it with its own.
        right: the compact range from after them to the end.
        after: the compact range that ends with them.
    """

    start: int
    columns: Columns
    leaves: list[bytes]
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]
    after: CompactRange
    head: SignedCheckpoint

    @property
    def entries(self) -> list[bytes]:
        """The entries one by one."""
        return list(self.columns)


def parse_package(data: bytes) -> Package:
    """Read a package; nothing is verified yet.

    Raises:
        MalformedError: `malformed-package` and the codes of its parts.
    """
    if len(data) > MAX_PACKAGE:
        raise MalformedError("malformed-package", f"a package of {len(data)} bytes is too large")
    value = decode_cbor(data)
    if not isinstance(value, dict) or value.keys() != set(range(6)):
        raise MalformedError("malformed-package", "a package has the keys 0 to 5")
    types = (str, int, bytes, bytes, bytes, bytes)
    if any(type(value[key]) is not kind for key, kind in enumerate(types)):
        raise MalformedError("malformed-package", "a package has a part of the wrong type")
    package = Package(*(value[key] for key in range(6)))
    check_origin(package.origin)
    if not 0 <= package.start <= MAX_INT - WIDTH or len(package.bundle) > MAX_BUNDLE:
        raise MalformedError("malformed-package", "start or size of a package is out of range")
    return package


def peek_run(data: bytes) -> tuple[int, int] | None:
    """Where a package says that its entries lie, [start, end); None for what is no package.

    Nothing is verified, and most is not even read: a hint that sorts packages before they are
    worth a closer look.
    """
    try:
        origin, at = _peek(data, 2, _TEXT)
        start, at = _peek(data, at + origin + 1, _UINT)
        size, at = _peek(data, at + 1, _BYTES)
        count = _count(data[at : at + size], size)
    except (IndexError, ValueError):
        return None
    fits = 0 < count <= WIDTH and start <= MAX_INT - WIDTH
    return (start, start + count) if fits else None


def verify_package(
    package: Package, open_note: Callable[[bytes], SignedCheckpoint]
) -> VerifiedPackage:
    """Check that a package's entries lie under its checkpoint, and the checkpoint's signature.

    Args:
        package: what came.
        open_note: reads a checkpoint note and checks the log's signature.

    Raises:
        MalformedError: for entries or hashes that are not what they should be.
        RefusedError: `bad-package` if they lead to another root, and what `open_note` raises.
    """
    columns = parse_columns(package.bundle)
    end = package.start + len(columns)
    if not len(columns) or package.start % WIDTH + len(columns) > WIDTH:
        raise MalformedError("malformed-package", "a package is not within one bundle")
    if columns.longest() > MAX_ENTRY:
        raise MalformedError("malformed-package", "a package has an entry that is too large")
    head = open_note(package.note)
    if head.checkpoint.origin != package.origin or end > head.checkpoint.size:
        raise RefusedError("bad-package", "a package lies outside of its checkpoint")
    leaves = columns.leaves()
    left = _split_hashes(package.left)
    after = CompactRange.from_hashes(package.start, left)
    after.append(leaves)
    whole = after.copy()
    right = _split_hashes(package.right)
    whole.extend(range_nodes(end, head.checkpoint.size), right)
    if whole.root() != head.checkpoint.root:
        raise RefusedError("bad-package", "a package leads to another root than its checkpoint's")
    return VerifiedPackage(package.start, columns, leaves, left, right, after, head)


def cut_runs(start: int, entries: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Cut entries into the fewest runs that fit packages, as (start, entries)."""
    run: list[bytes] = []
    room = MAX_BUNDLE
    for index, entry in enumerate(entries, start):
        if run and (index % WIDTH == 0 or len(entry) + 2 > room):
            yield index - len(run), run
            run, room = [], MAX_BUNDLE
        run.append(entry)
        room -= len(entry) + 2
    if run:
        yield start + len(entries) - len(run), run


def _count(bundle: bytes, size: int) -> int:
    """Entries in a bundle, by their lengths alone; 0 if it has not this size, or does not end well.

    Most have entries of one length, of which one look at every so many bytes tells the number.
    """
    if len(bundle) != size or size < 2:
        return 0
    step = 2 + (bundle[0] << 8 | bundle[1])
    count, rest = divmod(size, step)
    if not rest and bundle[::step] + bundle[1::step] == bundle[:1] * count + bundle[1:2] * count:
        return count
    at = count = 0
    while at < size:
        at += 2 + (bundle[at] << 8 | bundle[at + 1])
        count += 1
    return count if at == size else 0


def _peek(data: bytes, at: int, major: int) -> tuple[int, int]:
    """The argument of a CBOR head, and what follows it; ValueError if another type is there."""
    found, info = divmod(data[at], 32)
    if found != major or info > _LONGEST:
        raise ValueError
    if info < _DIRECT:
        return info, at + 1
    end = at + 1 + (1 << info - _DIRECT)
    return int.from_bytes(data[at + 1 : end], "big"), end


def _split_hashes(data: bytes) -> tuple[bytes, ...]:
    if len(data) % HASH:
        raise MalformedError("malformed-package", "a range of hashes is cut short")
    return tuple(data[i : i + HASH] for i in range(0, len(data), HASH))

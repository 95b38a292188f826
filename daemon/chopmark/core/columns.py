"""Runs of entries in columns: what alike entries have in common is kept once.

The entries of a month's end differ in nothing but their digests. Kept as one list of digests and
the bytes around them, a bundle of 256 is one `join`, and nothing else is made for each of them but
its leaf hash.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chopmark.core.draft import Drafts
from chopmark.core.entry import encode_entry, read_plain, template
from chopmark.core.merkle import HASH
from chopmark.core.tiles import parse_bundle

_DIGEST = 2 + 20
"""Where the digest of a plain attestation begins, in its frame."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A run of entries; `head + part + tail` is the frame of one: its length in two bytes, itself.

    Attributes:
        parts: one for each entry.
        head: what all frames begin with. If it is there, the entries are plain attestations, and
            each part begins with its SHA-256 digest; otherwise the parts are the frames.
        tail: what all frames end with.
    """

    parts: Sequence[bytes]
    head: bytes = b""
    tail: bytes = b""

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[bytes]:
        """The entries."""
        head, tail = self.head[2:], self.tail
        if self.head:
            return (head + part + tail for part in self.parts)
        return (part[2:] for part in self.parts)

    def bundle(self) -> bytes:
        """The entries as an entry bundle holds them (C2SP tlog-tiles)."""
        if not self.parts:
            return b""
        return b"".join((self.head, (self.tail + self.head).join(self.parts), self.tail))

    def leaves(self) -> list[bytes]:
        """Their leaf hashes (RFC 9162 §2.1.1)."""
        before, after = b"\x00" + self.head[2:], self.tail
        if self.head:
            return [sha256(before + part + after).digest() for part in self.parts]
        return [sha256(b"\x00" + part[2:]).digest() for part in self.parts]

    def cut(self, start: int, end: int) -> "Columns":
        """Some of them."""
        return Columns(self.parts[start:end], self.head, self.tail)

    def longest(self) -> int:
        """Bytes of the longest entry."""
        return len(self.head) + max(map(len, self.parts), default=2) + len(self.tail) - 2


def frame_entries(entries: Sequence[bytes]) -> Columns:
    """Entries of any sort; each must be shorter than 65,536 bytes."""
    return Columns([len(entry).to_bytes(2, "big") + entry for entry in entries])


def make_columns(drafts: Drafts, made_at: int) -> Columns:
    """The entries of attestations that are made at a time (ms since the Unix epoch).

    Of blinded ones the digests are those that stand in the entry.

    Raises:
        MalformedError: `malformed-entry` if they cannot be made.
    """
    count = drafts.check()
    if drafts.canonical:  # few have some
        each = (drafts.at(place).made_at(made_at) for place in range(count))
        return frame_entries([encode_entry(one) for one in each])
    with_sm3 = drafts.sm3 is not None
    before, between, after = template(
        *(made_at, drafts.kind, drafts.valid_until, drafts.supersedes),
        with_sm3=with_sm3,
        blinded=drafts.blinded,
    )
    parts = _split(drafts.sha256, count)
    tail = between
    if drafts.sm3 is not None:
        pairs = zip(parts, _split(drafts.sm3, count), strict=True)
        parts, tail = [first + between + second for first, second in pairs], after
    length = len(before) + len(parts[0]) + len(tail)
    return Columns(parts, length.to_bytes(2, "big") + before, tail)


def parse_columns(bundle: bytes) -> Columns:
    """The entries of a bundle.

    Raises:
        MalformedError: `malformed-bundle`.
    """
    return _parse_alike(bundle) or frame_entries(parse_bundle(bundle))


def _parse_alike(bundle: bytes) -> Columns | None:
    """The entries of a bundle of plain attestations that differ in one digest; None if not so."""
    stride = 2 + int.from_bytes(bundle[:2], "big")
    if len(bundle) < 2 * stride or len(bundle) % stride:
        return None
    plain = read_plain(bundle[2:stride])
    if plain is None or plain.sm3 is not None:
        return None
    head, tail = bundle[:_DIGEST], bundle[_DIGEST + HASH : stride]
    parts = [bundle[i : i + HASH] for i in range(_DIGEST, len(bundle), stride)]
    made = Columns(parts, head, tail)
    return made if made.bundle() == bundle else None


def _split(digests: bytes, count: int) -> list[bytes]:
    return [digests[i : i + HASH] for i in range(0, count * HASH, HASH)]

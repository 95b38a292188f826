"""What the store keeps beside an entry's bytes: for the index, the bundles' ranges, references."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from chopmark.core.columns import Columns
from chopmark.core.entry import (
    GRAVE_REASONS,
    Adoption,
    Attestation,
    Commitment,
    Entry,
    Revocation,
    UnknownFormat,
    parse_entry,
    read_plain,
)
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import HASH

_KIND: Final = b"\x04"
"""What follows the digest of a plain attestation that has one: the key of its kind."""
_BLINDED: Final = b"\x06\xf5"
"""Key 6 and `true`: it stands in blinded attestations, and by chance in some others."""
REVOCATION: Final = 2
SUPERSESSION: Final = 7
ADOPTION: Final = 6
NO_ENTRY: Final = -1
"""The target of what speaks of no entry: under it the adoptions of rosters are found."""


class Reference(NamedTuple):
    """An entry that speaks about an earlier one of its log.

    Attributes:
        target: index of the earlier entry, or `NO_ENTRY` for an adoption.
        type: `REVOCATION`, `SUPERSESSION` or `ADOPTION`.
        reason: of a revocation; of an adoption the roster's version; otherwise 0.
    """

    target: int
    type: int
    reason: int = 0

    @property
    def is_grave(self) -> bool:
        """Whether it takes an attestation back for error, fraud or key compromise."""
        return self.type == REVOCATION and self.reason in GRAVE_REASONS


class Gist(NamedTuple):
    """One entry in short.

    Attributes:
        made_at: ms since the Unix epoch; None where the entry does not parse.
        kind: of an attestation, otherwise empty.
        sha256: the digest under which an attestation is found, if it is not blinded.
    """

    made_at: int | None
    kind: str = ""
    sha256: bytes | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run of entries in short.

    Attributes:
        times: at which they were made, ms since the Unix epoch.
        kinds: of the attestations among them.
        digests: of each entry the digest under which it is found, if any.
        references: what refers to earlier entries, as (offset in the run, reference, made at).
    """

    times: frozenset[int]
    kinds: frozenset[str]
    digests: Sequence[bytes | None]
    references: list[tuple[int, Reference, int]]


NOTHING: Final = Gist(None)
_new: Final = tuple.__new__
"""Makes a named tuple without its Python constructor, which takes most of the time."""


def summarise_columns(columns: Columns) -> Summary:
    """The summary of a run of at least one entry; of alike ones, the first speaks for all."""
    if not columns.head:
        return _summarise_each([summarise(entry) for entry in columns])
    parts = columns.parts
    first = summarise(columns.head[2:] + parts[0] + columns.tail)
    made_at = first.made_at or 0
    digests: Sequence[bytes | None] = parts if len(parts[0]) == HASH else [p[:HASH] for p in parts]
    if first.sha256 is None:  # they are blinded
        digests = [None] * len(parts)
    to = first.reference
    references = [] if to is None else [(offset, to, made_at) for offset in range(len(parts))]
    return Summary(frozenset({made_at}), frozenset({first.kind}), digests, references)


def _summarise_each(gists: Sequence[Gist]) -> Summary:
    return Summary(
        frozenset(gist.made_at for gist in gists if gist.made_at is not None),
        frozenset(gist.kind for gist in gists if gist.kind),
        [gist.sha256 for gist in gists],
        [
            (offset, gist.reference, gist.made_at or 0)
            for offset, gist in enumerate(gists)
            if gist.reference is not None
        ],
    )


def summarise(data: bytes) -> Gist:
    """The summary of an entry's bytes; of what does not parse it says nothing."""
    if data[52:53] == _KIND and (frame := _read_frame(data[:20], data[52:])) is not None:
        made_at, kind, blinded = frame
        return _new(Gist, (made_at, kind, None if blinded else data[20:52], None))
    try:
        entry = parse_entry(data)
    except MalformedError:
        return NOTHING
    return summarise_entry(entry)


@lru_cache(maxsize=1024)
def _read_frame(before: bytes, after: bytes) -> tuple[int, str, bool] | None:
    """Time and kind of a plain attestation, and whether it is blinded, by all but its one digest.

    The entries of a batch differ in nothing else, so this is mostly remembered.
    """
    plain = read_plain(before + bytes(32) + after)
    return None if plain is None else (plain.made_at, plain.kind, plain.blinded)


def summarise_entry(entry: Entry) -> Gist:
    """The summary of a parsed entry."""
    match entry:
        case Attestation():
            reference = _supersession(entry.supersedes)
            # What a blinded one has in its place is no digest that anybody may find it by.
            found = None if entry.blinded else entry.sha256
            return Gist(entry.made_at, entry.kind, found, reference)
        case Revocation():
            reference = Reference(entry.target, REVOCATION, entry.reason)
            return Gist(entry.made_at, reference=reference)
        case Adoption():
            reference = Reference(NO_ENTRY, ADOPTION, entry.version)
            return Gist(entry.made_at, reference=reference)
        case UnknownFormat():
            return Gist(None, sha256=entry.sha256)
        case _:
            return Gist(entry.made_at)


def digest_prefix(digest: bytes) -> int:
    """The first eight bytes of a digest as SQLite's integer: what indices go by."""
    return int.from_bytes(digest[:8], "big", signed=True)


def is_blinded(data: bytes) -> bool:
    """Whether an entry is a blinded attestation: at one look, where it is not."""
    if _BLINDED not in data:
        return False
    try:
        entry = parse_entry(data)
    except MalformedError:
        return False
    return isinstance(entry, Attestation) and entry.blinded


def is_attestation(data: bytes) -> bool:
    """Whether an entry is an attestation, which a newer one may supersede."""
    try:
        return isinstance(parse_entry(data), Attestation)
    except MalformedError:
        return False


def is_revocable(data: bytes) -> bool:
    """Whether an entry is one that a revocation may name: an attestation or a consent."""
    try:
        entry = parse_entry(data)
    except MalformedError:
        return False
    consent = isinstance(entry, Commitment) and entry.type == 3
    return consent or isinstance(entry, Attestation)


def _supersession(target: int | None) -> Reference | None:
    return None if target is None else Reference(target, SUPERSESSION)

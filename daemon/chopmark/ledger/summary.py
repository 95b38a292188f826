"""What the store keeps beside an entry's bytes: for the index, the bundles' ranges, references."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from chopmark.core.draft import Draft
from chopmark.core.entry import (
    GRAVE_REASONS,
    Attestation,
    Commitment,
    Entry,
    Revocation,
    UnknownFormat,
    parse_entry,
    read_plain,
)
from chopmark.core.errors import MalformedError

_KIND: Final = b"\x04"
"""What follows the digest of a plain attestation that has one: the key of its kind."""
REVOCATION: Final = 2
SUPERSESSION: Final = 7


class Reference(NamedTuple):
    """An entry that speaks about an earlier one of its log.

    Attributes:
        target: index of the earlier entry.
        type: `REVOCATION` or `SUPERSESSION`.
        reason: of a revocation, otherwise 0.
    """

    target: int
    type: int
    reason: int = 0

    @property
    def is_grave(self) -> bool:
        """Whether it takes an attestation back for error, fraud or key compromise."""
        return self.type == REVOCATION and self.reason in GRAVE_REASONS


class Summary(NamedTuple):
    """One entry in short; a tuple, since there are a hundred thousand a second.

    Attributes:
        made_at: ms since the Unix epoch; None where the entry does not parse.
        kind: of an attestation, otherwise empty.
        sha256: the digest under which an attestation is found.
    """

    made_at: int | None
    kind: str = ""
    sha256: bytes | None = None
    reference: Reference | None = None


NOTHING: Final = Summary(None)
_new: Final = tuple.__new__
"""Makes a named tuple without its Python constructor, which takes most of the time."""


def summarise(data: bytes) -> Summary:
    """The summary of an entry's bytes; of what does not parse it says nothing."""
    if data[52:53] == _KIND and (frame := _read_frame(data[:20], data[52:])) is not None:
        return _new(Summary, (*frame, data[20:52], None))
    try:
        entry = parse_entry(data)
    except MalformedError:
        return NOTHING
    return summarise_entry(entry)


@lru_cache(maxsize=1024)
def _read_frame(before: bytes, after: bytes) -> tuple[int, str] | None:
    """Time and kind of a plain attestation, from what surrounds its one digest.

    The entries of a batch differ in nothing else, so this is mostly remembered.
    """
    plain = read_plain(before + bytes(32) + after)
    return None if plain is None else (plain.made_at, plain.kind)


def summarise_entry(entry: Entry) -> Summary:
    """The summary of a parsed entry."""
    match entry:
        case Attestation():
            reference = _supersession(entry.supersedes)
            return Summary(entry.made_at, entry.kind, entry.sha256, reference)
        case Revocation():
            reference = Reference(entry.target, REVOCATION, entry.reason)
            return Summary(entry.made_at, reference=reference)
        case UnknownFormat():
            return Summary(None, sha256=entry.sha256)
        case _:
            return Summary(entry.made_at)


def summarise_drafts(drafts: Sequence[Draft], made_at: int) -> list[Summary]:
    """The summaries of attestations that are being made, all of the same terms."""
    kind, reference = drafts[0].kind, _supersession(drafts[0].supersedes)
    return [_new(Summary, (made_at, kind, draft.sha256, reference)) for draft in drafts]


def digest_prefix(digest: bytes) -> int:
    """The first eight bytes of a digest as SQLite's integer: what indices go by."""
    return int.from_bytes(digest[:8], "big", signed=True)


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

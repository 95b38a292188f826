"""What a look-up by digest answers (`GET /v1/documents/{alg}/{hex}`)."""

from typing import Literal

import msgspec

State = Literal["live", "revoked", "superseded", "expired", "pruned", "unknown-format"]


class RevokedOut(msgspec.Struct, frozen=True):
    """The revocation that counts; `index` is its own entry's."""

    index: int
    reason: int
    reason_text: str | None
    at: str


class FoundOut(msgspec.Struct, frozen=True):
    """One attestation that names the digest.

    `pruned`: its body was removed here, and eight bytes of its digest are the document's.
    `existed_by`: when a quorum had cosigned a head over it, if one has.
    """

    id: str
    origin: str
    institution: str
    index: int
    state: State
    kind: str | None = None
    digests: dict[str, str] | None = None
    blinded: bool | None = None
    made_at: str | None = None
    existed_by: str | None = None
    valid_until: str | None = None
    supersedes: int | None = None
    superseded_by: int | None = None
    revoked: RevokedOut | None = None


class SearchedOut(msgspec.Struct, frozen=True):
    """A log that was looked through for this page: signed entries, and as of when it is whole."""

    id: str
    size: int
    as_of: str | None


class DocumentsOut(msgspec.Struct, frozen=True):
    """Attestations, log by log, the newest of each first.

    `next` goes into `after` for the next page; null after the last one. A page may hold less than
    `limit`, or nothing, and have a next one.
    """

    attestations: list[FoundOut]
    searched: list[SearchedOut]
    next: str | None

"""What verdicts hold; see `shapes`."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class Revoked(Struct):
    """The revocation that counts."""

    index: int
    reason: int
    reason_text: str | None
    at: str


class Link(Struct):
    """What has replaced an attestation, or what has replaced that, and so on."""

    index: int
    made_at: str
    standing: Literal["live", "superseded", "revoked", "expired"]


class Cosigned(Struct):
    """Who cosigned, and when."""

    name: str
    time: str


Word = Literal[
    "valid",
    "revoked",
    "expired",
    "superseded",
    "unknown",
    "mismatch",
    "untrusted",
    "valid-as-of",
    "unwitnessed",
    "attestation-only",
    "ambiguous",
]


class Anchored(Struct):
    """The first anchor on a chain over an attestation; only where chains are followed."""

    chain_id: int
    block: int
    size: int
    transaction: str


class Judged(Struct):
    """The verdict about one attestation (docs/verdicts.md)."""

    verdict: Word
    sentence: str
    issuer: str
    jurisdiction: str
    id: str
    origin: str
    index: int
    kind: str | None
    made_at: str | None
    existed_by: str | None
    valid_until: str | None
    superseded_by: int | None
    supersession: list[Link]
    supersession_cut: bool
    revoked: Revoked | None
    as_of: str | None
    witnesses: list[Cosigned]
    quorum: Literal["none", "reached", "missing"]
    source: Literal["own", "replica", "proof"]
    problem: str | None
    warning: str | None
    successor: str | None
    digests_checked: list[str]
    canonical: list[str]
    same_content: bool | None
    anchored: Anchored | UnsetType = UNSET


class Place(Struct):
    """An attestation, by its log and index."""

    id: str
    origin: str
    index: int


class VerdictOut(Struct):
    """The verdict about a document, and about each attestation found, the newest first."""

    verdict: Word
    sentence: str
    exit_code: int
    asked_at: str
    as_of: str | None
    attestations: list[Judged]
    pruned: list[Place]
    others: list[Judged]
    issuer_unchecked: bool | UnsetType = UNSET

"""What answers hold that are made as plain values; docs/api.md says what it means.

Handlers do not use these types: the document is made of them, and tests compare real answers.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from chopmark.api.spec.state_shapes import Alarm, Head, RosterSummary


class Problem(Struct):
    """What is wrong (RFC 9457): programs go by `code`, `detail` and `hint` are for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str


class LineError(Struct):
    """What is wrong with one line of a batch."""

    code: str
    message: str
    line: int
    hint: str | UnsetType = UNSET


class ErrorLine(Struct):
    """An answer line that says why a line was not served."""

    error: LineError


class RecordedLine(Struct):
    """An answer line of a batch of attestations."""

    index: int
    made_at: str
    state: Literal["recorded", "signed", "witnessed"]
    proof: str | UnsetType = UNSET
    provisional: bool | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET


class EventOut(Struct):
    """An event: its data is JSON."""

    event: Literal["state", "head", "witnessed", "alarm", "peer", "broker", "evidence", "end"]
    data: str
    id: str | UnsetType = UNSET


class RosterOut(RosterSummary, kw_only=True):
    """The roster in force, with its text."""

    alarms: list[Alarm]
    note: str | UnsetType = UNSET


class NoteOut(Struct):
    """A signed note."""

    note: str


class Released(Struct):
    """By whom a forked log was released, and which branch was kept."""

    kept: Head
    officers: str
    reason: str
    applied_at: str
    fetched_again: bool


class ReleaseOut(Released, kw_only=True):
    """A release that holds now."""

    origin: str
    evidence: str


class EvidenceOut(Struct):
    """A proof that a log was forked."""

    digest: str
    id: str
    origin: str
    institution: str
    found_at: str
    subject: Literal["size", "entry"]
    number: int
    heads: list[Head]
    evidence: str
    released: Released | None


class KeyMade(Struct):
    """A key that was made, and signs nothing yet."""

    vkey: str
    role: Literal["log", "cosigner", "witness"]
    in_use: bool
    roster: str | None


class KeyOut(Struct):
    """A key of ours, or in our token."""

    vkey: str | None
    role: Literal["log", "cosigner", "witness"] | None
    in_use: bool
    roster: Literal["active", "retired", "compromised"] | None
    label: str | None
    type: Literal["p256", "ed25519", "other"]
    public: str | None
    fingerprint: str | None
    words: str | None
    in_token: bool | None
    attributes: dict[str, bool | None] | None
    mechanisms: list[str] | None
    wrong: list[str]


Document = dict[str, Any]
"""The document itself."""

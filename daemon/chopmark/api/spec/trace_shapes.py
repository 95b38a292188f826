"""What the answer to a trace holds: as `core.trace` has it, but answers may grow."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from chopmark.core.trace import Name


class TraceCosigned(Struct):
    """Who has cosigned the head over an entry, and when."""

    name: str
    time: str


class TraceStep(Struct):
    """One step, and the proof from which it follows."""

    step: Name
    time: str
    about: str
    origin: str
    index: int
    proof: str
    kind: str | UnsetType = UNSET
    blinded: bool | UnsetType = UNSET
    valid_until: str | UnsetType = UNSET
    quorum: Literal["none", "reached", "missing"] | UnsetType = UNSET
    by: list[TraceCosigned] | UnsetType = UNSET
    seen_by: str | UnsetType = UNSET
    reason: int | UnsetType = UNSET
    receiver: str | UnsetType = UNSET
    purpose: str | UnsetType = UNSET
    scenario: str | UnsetType = UNSET
    consent: int | UnsetType = UNSET


class TraceParty(Struct):
    """Whose log it is."""

    id: str
    institution: str
    jurisdiction: str


class TraceOut(Struct):
    """The life of a document (docs/formats/trace.md)."""

    format: Literal["chopmark/trace/v1"]
    asked_at: str
    as_of: str | None
    digests: dict[str, str] | None
    parties: dict[str, TraceParty]
    policies: dict[str, str]
    warnings: list[str]
    steps: list[TraceStep]

"""What answers hold that are made as plain values; docs/api.md says what it means.

Handlers do not use these types: the document is made of them, and tests compare real answers.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType


class Alarm(Struct):
    """What an operator must look after."""

    code: str
    message: str
    hint: str


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


class RatesOut(Struct):
    """How much was done each minute of the last day, since the start; the oldest minute first."""

    step_seconds: int
    until: str
    recorded: list[int]
    verified: list[int]
    replicated: list[int]


class Head(Struct):
    """A head of a log; the root in base64."""

    size: int
    root: str


class OwnHead(Head):
    """The newest signed head of our log; an empty note before the first."""

    note: str


class WitnessedAt(Struct):
    """The newest head of ours that a member has cosigned."""

    size: int
    at: str


class Witnessed(Struct):
    """How our log is witnessed."""

    state: Literal["none", "reached", "waiting", "missing"]
    size: int | None
    lag: int | None
    dropped: list[str]
    cosigned: dict[str, WitnessedAt]


class Mark(Struct):
    """The head mark in the token."""

    size: int
    counter: int


class Standing(Struct):
    """Whether our own log may be signed."""

    state: Literal["standing", "behind", "confirming"]
    reason: str | None
    hint: str | None
    alone: bool
    mark: Mark | None
    rollback_protection: bool


class HsmOut(Struct):
    """How the HSM is."""

    state: Literal["ready", "away", "latched", "locked", "maintenance"]
    module: str
    token: str
    reason: str | None
    hint: str | None
    warning: str | None
    sessions: int
    last_good_seconds: float | None
    signatures: int
    mean_ms: float | None
    errors: dict[str, int]
    healed: dict[str, int]
    usage_limit: int | None
    used: dict[str, int]


class BrokerOut(Struct):
    """The link to a broker."""

    state: Literal["connected", "away"]
    host: str
    port: int
    reason: str | None


class Pace(Struct):
    """Whether our log waits for a peer, and what each that counts lacks of it."""

    slowed: bool
    bound: int
    lags: dict[str, int]


class IndexState(Struct):
    """How far a digest index is."""

    state: Literal["ready", "rebuilding", "failed"]
    position: int
    size: int


class StorageOut(Struct):
    """The disk that holds the ledger; sizes in bytes."""

    state: str
    path: str
    total_bytes: int
    used_bytes: int
    free_bytes: int
    used: float
    growth_bytes_per_day: int | None
    days_left: float | None
    alarm: float
    stop: float


class CatalogueKindOut(Struct):
    """What the catalogue says of a kind; times in seconds."""

    name: str
    max_age: int | None
    validity: int | None
    blinded: bool
    digests: list[str]


class RosterSummary(Struct):
    """The roster in force; before one is pinned, `pinned` is false and little else is there."""

    pinned: bool
    version: int | None
    conflict: int | None
    fingerprint: str | UnsetType = UNSET
    words: str | UnsetType = UNSET
    issued: str | UnsetType = UNSET
    expires: str | UnsetType = UNSET
    needed: int | UnsetType = UNSET
    kinds: list[CatalogueKindOut] | UnsetType = UNSET
    member: Literal["active", "suspended", "left"] | UnsetType | None = UNSET
    suspended: list[str] | UnsetType = UNSET
    stale: bool | UnsetType = UNSET
    rivals: list[str] | UnsetType = UNSET


class RosterOut(RosterSummary, kw_only=True):
    """The roster in force, with its text."""

    alarms: list[Alarm]
    note: str | UnsetType = UNSET


class NoteOut(Struct):
    """A signed note."""

    note: str


class Removed(Struct):
    """What is not here any more of a replica."""

    bundles: int
    entries: int


class RetentionOut(Struct):
    """The rule by which bodies are removed, and what was."""

    after: int | None
    last_run: str | None
    next_run: str | None
    removed: dict[str, Removed]
    ranges_removed: int
    ranges_restored: int


class LoopLagOut(Struct):
    """How late the daemon was, at most, in the last minute."""

    lag_ms_max_minute: float


class Intake(Struct):
    """What waits to be appended."""

    entries: int


class ClockOut(Struct):
    """The clock, and what its guard says."""

    now: str
    guard: str
    state: Literal["ok", "unsynchronised", "jumped", "far-from-others"]
    reason: str | None
    synchronised: bool | None
    jumps: int
    offsets: dict[str, float]


class Unverified(Struct):
    """What waits to be verified of a peer's log."""

    bytes: int
    limit: int


class SpokenOut(Struct):
    """The versions of the mesh's protocol that a gateway speaks."""

    newest: int
    oldest: int


class ProtocolOut(SpokenOut):
    """Those that we speak, and the newest that all members understand that count."""

    in_use: int


class SyslogOut(Struct):
    """How the audit log is sent on."""

    state: Literal["connected", "away", "connecting"]
    host: str
    port: int
    reason: str | None
    hint: str | None
    sent: int
    waiting: int
    lag_seconds: float


class AuditState(Struct):
    """Where the audit log goes; null for nowhere."""

    syslog: SyslogOut | None


class PeerOut(Struct):
    """A member, and how its log is followed."""

    id: str
    origin: str
    institution: str
    jurisdiction: str
    membership: Literal["active", "suspended", "left"]
    successor: str | None
    kinds: list[str]
    size: int
    head_size: int
    missing: int
    quorum: bool
    witnessed_size: int
    cosigned_size: int | None
    as_of: str | None
    online: bool | None
    protocol: SpokenOut | None
    state: Literal["following", "catching-up", "waiting", "failed"]
    reason: str | None
    asked: int
    unverified: Unverified
    counters: dict[str, int]


class Frozen(Struct):
    """Why a replica is not followed any more."""

    reason: str
    below: int
    found_at: str | None


class ReplicaOut(Struct):
    """What is held of a peer's log."""

    id: str
    origin: str
    size: int
    head: Head
    missing: int
    witnessed_size: int
    as_of: str | None
    age_seconds: float | None
    frozen: Frozen | None
    paused: bool
    warning: str | None
    index: IndexState
    removed: Removed


class StatusOut(Struct):
    """State of the gateway and of its parts."""

    id: str
    origin: str
    institution: str
    jurisdiction: str
    version: str
    protocol: ProtocolOut
    audit: AuditState
    state: Literal["ready", "degraded"]
    ready: bool
    reasons: list[str]
    size: int
    head: OwnHead
    witnessed: Witnessed
    standing: Standing
    hsm: HsmOut
    broker: BrokerOut
    brokers: list[BrokerOut]
    pace: Pace
    index: dict[str, IndexState]
    storage: StorageOut
    alarms: list[Alarm]
    roster: RosterSummary
    retention: RetentionOut
    event_loop: LoopLagOut
    intake: Intake
    clock: ClockOut
    counters: dict[str, int]
    peers: list[PeerOut]


class Readiness(Struct):
    """Whether the gateway can do all of its work now, or why not."""

    ready: bool
    reasons: list[str]


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

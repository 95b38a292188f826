"""What answers hold about the state of a gateway, its parts and its peers; see `shapes`."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class Alarm(Struct):
    """What an operator must look after."""

    code: str
    message: str
    hint: str


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
    unlock: Literal["auto", "attended"]
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
    soon: bool
    alarm: float
    stop: float


class CatalogueKindOut(Struct):
    """What the catalogue says of a kind; times in seconds."""

    name: str
    max_age: int | None
    validity: int | None
    blinded: bool
    digests: list[str]


class ScenarioOut(Struct):
    """What documents may go from whom to whom, and for what.

    `issuers` and `receivers` are names of institutions, or codes of jurisdictions; `issuing` and
    `receiving` the ids of their active members.
    """

    name: str
    title: str | None
    kinds: list[str]
    issuers: list[str]
    receivers: list[str]
    purposes: list[str]
    consent: bool
    validity: int | None
    issuing: list[str]
    receiving: list[str]


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
    scenarios: list[ScenarioOut] | UnsetType = UNSET
    notaries: list[str] | UnsetType = UNSET
    member: Literal["active", "suspended", "left"] | UnsetType | None = UNSET
    suspended: list[str] | UnsetType = UNSET
    stale: bool | UnsetType = UNSET
    rivals: list[str] | UnsetType = UNSET


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


class RoundTripOut(Struct):
    """How long a peer's answer took, in milliseconds."""

    id: str
    ms: float


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


class NodeOut(Struct):
    """A node of the chain."""

    url: str
    state: Literal["ready", "away", "unused"]
    reason: str | None


class OwnAnchors(Struct):
    """How our own log is anchored; `listed`: whether the members know our account."""

    account: str | None
    key: Literal["hsm", "software"]
    listed: bool
    number: int | None
    size: int | None
    block: int | None
    waiting: bool
    sent: int
    refused: str | None


class LogAnchors(Struct):
    """The newest anchor of a member's log, and how many are what."""

    id: str
    account: str | None
    number: int
    size: int
    block: int | None
    ahead: int
    fork: int
    bad: int


class AnchorState(Struct):
    """How the chain is followed."""

    chain_id: int
    contract: str
    endpoints: list[NodeOut]
    block: int
    height: int | None
    lag: int | None
    problem: str | None
    read: int
    missing: int
    own: OwnAnchors | None
    logs: list[LogAnchors]


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
    anchor: AnchorState | None
    event_loop: LoopLagOut
    intake: Intake
    clock: ClockOut
    counters: dict[str, int]
    peers: list[PeerOut]


class Readiness(Struct):
    """Whether the gateway can do all of its work now, or why not."""

    ready: bool
    reasons: list[str]

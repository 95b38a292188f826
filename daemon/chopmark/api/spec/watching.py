"""Routes that show how the gateway is, and what others may take from it."""

from typing import Final

from chopmark.api.anchors import AnchorOut, AnchorsQuery
from chopmark.api.audit import AuditOut
from chopmark.api.models import AuditQuery, PolicyQuery
from chopmark.api.ports import Identity
from chopmark.api.spec import examples
from chopmark.api.spec.model import (
    KNOWN,
    MEMBER,
    TEXT,
    TOKEN,
    Answer,
    Content,
    Operation,
    Problems,
    merge,
)
from chopmark.api.spec.shapes import Document, EvidenceOut, KeyOut, RosterOut
from chopmark.api.spec.state_shapes import (
    HsmOut,
    PeerOut,
    RatesOut,
    Readiness,
    ReplicaOut,
    RoundTripOut,
    StatusOut,
)

_NOT_READY: Final = {"ready": False, "reasons": ["HSM away: the token is not there"]}
_RECORD: Final[Problems] = {
    404: ("no-such-record", "day-not-logged", "record-pruned", "not-signed")
}
_TILE: Final[Problems] = {404: ("no-such-tile", "no-such-member", "not-signed"), 410: ("pruned",)}
_NOTE: Final = Content(media=TEXT, example=examples.NOTE)
_BYTES: Final = Content(media="application/octet-stream", binary=True)
_POLICY: Final = f"log {examples.VKEY}\nquorum none\n"


def _read(path: str, name: str, summary: str, type_: object, example: object = None) -> Operation:
    """A route without parameters that gives JSON."""
    answers = {200: Answer(summary, Content(type_, example=example))}
    return Operation("get", path, name, "state", summary, answers)


def _tile(path: str, name: str, summary: str) -> Operation:
    about = "Indices from 1000 on have further path elements (C2SP tlog-tiles): x001/067."
    return Operation(
        "get", path, name, "logs", summary, {200: Answer(summary, _BYTES)}, _TILE, about=about
    )


OPERATIONS: Final = (
    _read("/v1/status", "readStatus", "State of the gateway and of its parts", StatusOut),
    _read("/v1/peers", "readPeers", "The members, and how their logs are followed", list[PeerOut]),
    Operation(
        "get",
        "/v1/peers/{id}/round-trip",
        "readRoundTrip",
        "state",
        "How long a question to a peer and its answer take",
        {200: Answer("The time", Content(RoundTripOut, example={"id": "sz-1", "ms": 4.2}))},
        {404: ("no-such-member",), 503: ("no-reply", "broker-away")},
    ),
    _read(
        "/v1/replicas",
        "readReplicas",
        "What is held of each peer's log",
        list[ReplicaOut],
        [examples.REPLICA],
    ),
    _read("/v1/rates", "readRates", "How much was done each minute", RatesOut, examples.RATES),
    _read("/v1/roster", "readRoster", "The roster in force", RosterOut, examples.NOT_PINNED),
    _read("/v1/export", "readExport", "Who this gateway is", Identity, examples.EXPORT),
    _read("/v1/evidence", "readEvidence", "Proofs that logs were forked", list[EvidenceOut], []),
    _read("/v1/hsm", "readHsm", "How the HSM is", HsmOut),
    _read("/v1/keys", "readKeys", "The keys in the token", list[KeyOut], [examples.KEY]),
    _read("/v1/openapi.json", "readOpenApi", "This document", Document, {"openapi": "3.1.0"}),
    Operation(
        "get",
        "/v1/anchors",
        "readAnchors",
        "state",
        "Anchors of a member's log on the chain",
        {200: Answer("A page", Content(list[AnchorOut], example=[examples.ANCHOR]))},
        merge(KNOWN, {404: ("no-anchor", "no-such-member"), 503: ("anchor-storage",)}),
        AnchorsQuery,
    ),
    Operation(
        "get",
        "/v1/policy",
        "readPolicy",
        "state",
        "The tlog-policy under which proofs of a log are checked",
        {200: Answer("The policy", Content(media=TEXT, example=_POLICY))},
        MEMBER,
        PolicyQuery,
    ),
    Operation(
        "get",
        "/v1/audit",
        "readAudit",
        "state",
        "The audit log",
        {200: Answer("A page", Content(AuditOut, example=examples.AUDIT))},
        KNOWN,
        AuditQuery,
    ),
    Operation(
        "get",
        "/v1/audit/proofs/{number}",
        "readAuditProof",
        "state",
        "The proof of one record of the audit log",
        {200: Answer("The proof", Content(media=TEXT, example="chopmark/audit-proof/v1\n…"))},
        merge({400: ("malformed-number",)}, KNOWN, _RECORD),
    ),
    Operation(
        "get",
        "/healthz",
        "readHealth",
        "state",
        "Whether the process runs",
        {200: Answer("It does", Content(media=TEXT, example="ok"))},
    ),
    Operation(
        "get",
        "/readyz",
        "readReadiness",
        "state",
        "Whether the gateway can do all of its work",
        {
            200: Answer("It can", Content(Readiness, example={"ready": True, "reasons": []})),
            503: Answer("It cannot, and why", Content(Readiness, example=_NOT_READY)),
        },
    ),
    Operation(
        "get",
        "/log/{id}/checkpoint",
        "readCheckpoint",
        "logs",
        "The newest signed head of a log",
        {200: Answer("A checkpoint, as a note", _NOTE)},
        {404: ("no-such-member", "not-signed", "no-such-tile")},
    ),
    _tile("/log/{id}/tile/{level}/{tile}", "readTile", "256 hashes of a log's tree"),
    _tile("/log/{id}/tile/{level}/{tile}.p/{width}", "readPartialTile", "Some hashes of it"),
    _tile("/log/{id}/tile/entries/{tile}", "readBundle", "The entries of a tile"),
    _tile("/log/{id}/tile/entries/{tile}.p/{width}", "readPartialBundle", "Some entries of it"),
    Operation(
        "get",
        "/witness/{origin_hash}/checkpoint",
        "readCosigned",
        "witness",
        "The newest checkpoint that was cosigned of a log",
        {200: Answer("A checkpoint, as a note", _NOTE)},
        merge(
            {404: ("not-cosigned", "unknown-log", "no-witness-key")},
            TOKEN,
            {503: ("floor-unknown",)},
        ),
    ),
)

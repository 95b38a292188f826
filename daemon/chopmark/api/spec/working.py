"""Routes that banks' systems use all day: attest, revoke, verify, look up, follow."""

from typing import Final

from chopmark.api.attestations import AttestationOut
from chopmark.api.browsed import LedgerOut
from chopmark.api.consents import ConsentIn, DealingOut, UseIn
from chopmark.api.entries import EntriesOut
from chopmark.api.found import DocumentsOut
from chopmark.api.lines import Line
from chopmark.api.models import (
    AttestationIn,
    BatchQuery,
    CompactQuery,
    DocumentsQuery,
    EntriesQuery,
    EventsQuery,
    LedgerQuery,
    ProofQuery,
    RevocationIn,
    VerificationIn,
    VerificationLine,
)
from chopmark.api.revocations import RevocationOut
from chopmark.api.spec import examples
from chopmark.api.spec.model import (
    BODY,
    EVENTS,
    ISSUING,
    KEYED,
    KIND,
    LOOKUP,
    MEMBER,
    NDJSON,
    PROOF,
    RATED,
    TEXT,
    Answer,
    Content,
    Operation,
    Problems,
    merge,
)
from chopmark.api.spec.shapes import ErrorLine, EventOut, RecordedLine
from chopmark.api.spec.trace_shapes import TraceOut
from chopmark.api.spec.verdict_shapes import VerdictOut
from chopmark.api.trace import TraceIn
from chopmark.core.compact import MEDIA_TYPE

_ATTESTED: Final = "where the proof is, or will be"
_KEY: Final = {
    "Idempotency-Key": "Of the client's making: sent again, it gives the same entry for 24 hours"
}
_NO_TARGET: Final[Problems] = {422: ("no-such-attestation",)}
_NOT_THAT: Final[Problems] = {422: ("revoked-for-good", "kind-differs")}
_ENTRY: Final[Problems] = merge(MEMBER, {404: ("no-such-entry", "not-signed"), 410: ("pruned",)})
_QUESTION: Final[Problems] = {
    400: ("malformed-reference",),
    422: ("unknown-issuer", "unknown-kind", "digest-missing"),
    503: ("pruned",),
}
_SCENARIO: Final[Problems] = {
    404: ("no-such-member", "no-such-scenario", "salt-gone"),
    422: ("scenario-differs", "no-scenario", "purpose-not-allowed", "ambiguous-scenario"),
}
_SHOWN: Final[Problems] = merge(
    PROOF, {400: ("malformed-body", "malformed-purpose"), 422: ("bad-commitment",)}
)
_NO_CONSENT: Final[Problems] = {
    422: (
        *("kind-not-allowed", "document-not-valid", "consent-missing"),
        "consent-other-document",
        *("consent-other-receiver", "consent-other-purpose", "consent-other-scenario"),
        *("consent-expired", "consent-too-long", "consent-not-in-ledger", "consent-untrusted"),
        "consent-withdrawn",
    ),
    503: ("consent-not-here", "consent-unwitnessed"),
}
_DEALT: Final = "where the proof without salt and body is, or will be"
_STREAM: Final[Problems] = {503: ("batch-idle",)}
_COMPACT: Final[Problems] = {
    400: ("malformed-compact", "malformed-cbor"),
    422: ("compact-mismatch", "compact-gap"),
    503: ("request-moved", "batch-idle"),
}

OPERATIONS: Final = (
    Operation(
        "post",
        "/v1/attestations",
        "attest",
        "attestations",
        "Attest one document",
        {
            201: Answer(
                "Durable, and as far as `until` asked for",
                Content(AttestationOut, example=examples.ATTESTED),
                {"Location": _ATTESTED},
            ),
            202: Answer(
                "Durable, but not so far yet: the proof is missing or provisional",
                Content(AttestationOut, example=examples.RECORDED),
                {"Location": _ATTESTED},
            ),
        },
        merge(BODY, KIND, KEYED, RATED, _NO_TARGET, _NOT_THAT, ISSUING),
        body=Content(
            AttestationIn, example={"digests": examples.DIGESTS, "kind": "bank-statement"}
        ),
        headers=_KEY,
    ),
    Operation(
        "post",
        "/v1/attestations:batch",
        "attestBatch",
        "attestations",
        "Attest many documents, a line of JSON for each",
        {
            200: Answer(
                "An answer line for each line, in their order; the status says nothing of them",
                Content(
                    (RecordedLine, ErrorLine),
                    NDJSON,
                    [{"index": 43, "made_at": examples.AT, "state": "signed"}, examples.BAD_LINE],
                ),
            )
        },
        query=BatchQuery,
        body=Content(Line, NDJSON, [{"sha256": examples.SHA256, "kind": "bank-statement"}]),
        about="Read while you send: the gateway stops reading when its answers are not read.",
    ),
    Operation(
        "post",
        "/v1/attestations:compact",
        "attestCompact",
        "attestations",
        "Attest a million documents of one kind, 32 bytes for each",
        {
            200: Answer(
                "Records, to the end of the body (docs/formats/compact.md)",
                Content(media=MEDIA_TYPE, binary=True),
            )
        },
        merge(_COMPACT, KIND, ISSUING),
        CompactQuery,
        Content(media=MEDIA_TYPE, binary=True),
    ),
    Operation(
        "post",
        "/v1/revocations",
        "revoke",
        "attestations",
        "Take back an attestation of this gateway's log",
        {
            201: Answer("Signed", Content(RevocationOut, example=examples.REVOKED)),
            202: Answer(
                "Durable, and not signed yet",
                Content(RevocationOut, example=examples.REVOKED | {"state": "recorded"}),
            ),
        },
        merge(BODY, KEYED, _NO_TARGET, {409: ("already-revoked",)}, ISSUING),
        body=Content(RevocationIn, example={"index": 42, "reason": 1}),
        headers=_KEY,
    ),
    Operation(
        "post",
        "/v1/consents",
        "consent",
        "consents",
        "Record that a customer lets one receiver use a document for one purpose",
        {
            201: Answer(
                "Durable, and as far as `until` asked for",
                Content(DealingOut, example=examples.CONSENTED),
                {"Location": _DEALT},
            ),
            202: Answer(
                "Durable, but not so far yet",
                Content(DealingOut, example=examples.CONSENT_RECORDED),
                {"Location": _DEALT},
            ),
        },
        merge(
            *(BODY, KEYED, RATED, _NO_TARGET, _SCENARIO, PROOF, ISSUING),
            {
                400: ("malformed-time",),
                422: (
                    *("attestation-over", "already-expired", "consent-too-long"),
                    "receiver-not-active",
                ),
            },
        ),
        body=Content(ConsentIn, example=examples.CONSENT),
        headers=_KEY,
        about="The ledger gets a commitment only. Withdraw by `POST /v1/revocations`, reason 3.",
    ),
    Operation(
        "post",
        "/v1/uses",
        "use",
        "consents",
        "Verify a document for a purpose under a consent, and record its use",
        {
            201: Answer(
                "Durable, and as far as `until` asked for",
                Content(DealingOut, example=examples.USED),
                {"Location": _DEALT},
            ),
            202: Answer(
                "Durable, but not so far yet",
                Content(DealingOut, example=examples.USED | {"state": "signed"}),
                {"Location": _DEALT},
            ),
        },
        merge(
            *(BODY, KEYED, RATED, _QUESTION, _SHOWN, _SCENARIO, _NO_CONSENT, LOOKUP),
            ISSUING,
        ),
        body=Content(UseIn, example=examples.USE),
        headers=_KEY,
    ),
    Operation(
        "post",
        "/v1/trace",
        "trace",
        "verifications",
        "The life of a document over all logs, each step with its proof",
        {200: Answer("The report", Content(TraceOut, example=examples.TRACE))},
        merge(
            *(BODY, RATED, _SHOWN, LOOKUP),
            {
                404: ("no-such-member", "not-signed"),
                410: ("pruned",),
                422: ("document-differs", "consent-not-in-ledger", "bad-step"),
            },
        ),
        body=Content(TraceIn, example={"digests": examples.DIGESTS}),
    ),
    Operation(
        "post",
        "/v1/verifications",
        "verify",
        "verifications",
        "The verdict about a document, from our own log and replicas",
        {200: Answer("The verdict", Content(VerdictOut, example=examples.VERDICT))},
        merge(BODY, _QUESTION, PROOF, LOOKUP),
        body=Content(VerificationIn, example=examples.QUESTION),
    ),
    Operation(
        "post",
        "/v1/verifications:batch",
        "verifyBatch",
        "verifications",
        "Verdicts about many documents, a line of JSON for each",
        {
            200: Answer(
                "A verdict line or an error line for each line, in their order",
                Content((VerdictOut, ErrorLine), NDJSON, [examples.VERDICT, examples.BAD_LINE]),
            )
        },
        body=Content(VerificationLine, NDJSON, [{"sha256": examples.SHA256}, examples.QUESTION]),
        about="Read while you send: the gateway stops reading when its answers are not read.",
    ),
    Operation(
        "get",
        "/v1/documents/{algorithm}/{digest}",
        "readDocument",
        "verifications",
        "Every attestation of a digest in all logs, without a verdict",
        {200: Answer("A page", Content(DocumentsOut, example=examples.FOUND))},
        merge({400: ("malformed-digest", "malformed-cursor")}, LOOKUP),
        DocumentsQuery,
    ),
    Operation(
        "get",
        "/v1/proofs/{id}/{index}",
        "readProof",
        "logs",
        "The proof of a signed entry",
        {200: Answer("The `.tlog-proof`", Content(media=TEXT, example=examples.PROOF))},
        merge(
            {400: ("malformed-number",)},
            _ENTRY,
            {403: ("salt-not-yours",), 404: ("salt-gone",)},
        ),
        ProofQuery,
    ),
    Operation(
        "get",
        "/v1/entries",
        "readEntries",
        "logs",
        "Signed entries of a log after an index: a feed without gaps or repeats",
        {200: Answer("A run of entries", Content(EntriesOut, example=examples.ENTRIES))},
        _ENTRY,
        EntriesQuery,
    ),
    Operation(
        "get",
        "/v1/ledger",
        "readLedger",
        "logs",
        "Signed entries of a log from its newest one down, by kind and time if asked to",
        {200: Answer("A page", Content(LedgerOut, example=examples.LEDGER))},
        {400: ("malformed-time",), 404: ("no-such-member",)},
        LedgerQuery,
    ),
    Operation(
        "get",
        "/v1/events",
        "followEvents",
        "logs",
        "What happens, as server-sent events",
        {200: Answer("Events", Content(EventOut, EVENTS, examples.EVENT))},
        query=EventsQuery,
        headers={
            "Last-Event-ID": "id of the last event that you have: the stream goes on after it"
        },
    ),
)

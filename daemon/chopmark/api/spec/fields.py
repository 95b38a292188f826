"""What the fields of requests mean, and what is demanded of them beyond their types."""

from collections.abc import Mapping
from typing import Any, Final

_HEX: Final = {"pattern": "^[0-9a-f]{64}$"}
_TIME: Final = {
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?Z$",
}
_WAIT: Final = "Seconds to wait for signature and quorum"
_UNTIL: Final = "What is waited for"
_KIND: Final = "Kind of document, as the roster's catalogue names it"
_SHA256: Final = "SHA-256 of the file's bytes"
_SM3: Final = "SM3 of the same bytes"
_VALID: Final = "End of validity, in the future: RFC 3339 in UTC"
_SUPERSEDES: Final = "Index of the attestation in this gateway's log that this one replaces"
_BLINDED: Final = "Hide the digests from all who do not have the proof"
_CANONICAL: Final = "Digest of what the document says (docs/formats/canonical.md)"
_DUPLICATES: Final = "`first`: what this client had attested before is given again; or `again`"
_PURPOSE: Final = "1 to 32 of a-z, 0-9, dot and hyphen, as the roster's scenarios name purposes"
_SCENARIO: Final = "Scenario of the roster; if not given, the one that fits"
_NOTE: Final = "A signed note, as text"

ABOUT: Final[Mapping[str, str]] = {
    "AccountBody.kinds": "Kinds of document that may be attested, for an issuer",
    "AccountBody.name": "1 to 32 of a-z, 0-9, dot, underscore and hyphen",
    "AccountBody.password": "12 to 256 characters",
    "AccountBody.roles": "What the person may do",
    "AnchorsQuery.after": "Size of a head: only larger ones are given",
    "AnchorsQuery.id": "Member id of the log",
    "AnchorsQuery.limit": "Anchors at most",
    "AttestationIn.blinded": _BLINDED,
    "AttestationIn.digests": "Of the document",
    "AttestationIn.duplicates": _DUPLICATES,
    "AttestationIn.kind": _KIND,
    "AttestationIn.supersedes": _SUPERSEDES,
    "AttestationIn.until": _UNTIL,
    "AttestationIn.valid_until": _VALID,
    "AttestationIn.wait": _WAIT,
    "AuditQuery.after": "Number of the last record that you have",
    "AuditQuery.day": "Only records of this day, in UTC",
    "AuditQuery.limit": "Records at most",
    "BatchQuery.duplicates": _DUPLICATES,
    "BatchQuery.proofs": "Whether signed lines have their proofs",
    "BatchQuery.until": _UNTIL,
    "BatchQuery.wait": f"{_WAIT}, for each group of lines",
    "ClientBody.client": "As `GET /v1/sessions` names it",
    "CompactQuery.until": _UNTIL,
    "CompactQuery.wait": f"{_WAIT}, from the last run on",
    "ConsentIn.index": "Of the attestation in this gateway's log",
    "ConsentIn.proof": "Text of the document's `.tlog-proof`, to have the consent put into it",
    "ConsentIn.purpose": _PURPOSE,
    "ConsentIn.receiver": "Who may use the document: member id, origin or institution",
    "ConsentIn.scenario": _SCENARIO,
    "ConsentIn.until": _UNTIL,
    "ConsentIn.valid_until": "End of the consent, in the future: RFC 3339 in UTC",
    "ConsentIn.wait": _WAIT,
    "ConsoleRecord.about": "What it was about, at most 12 short texts by name",
    "ConsoleRecord.action": "What was done, such as `console.login`",
    "ConsoleRecord.at": "When, by the console's clock: RFC 3339 in UTC with milliseconds",
    "ConsoleRecord.number": "Of the record at its source; numbers go up",
    "ConsoleRecord.outcome": "`done`, or the code of an error",
    "ConsoleRecord.technician": "Id of who did it; both, joined by `+`, for what takes two",
    "ConsoleRecordsBody.records": "In the order of their numbers, at most 64",
    "ConsoleRecordsBody.source": "32 hexadecimal digits of whoever numbers the records",
    "CredentialsBody.name": "Of the account",
    "CredentialsBody.password": "Of the account; a new one has 12 to 256 characters",
    "DigestsIn.canonical": "Canonical digests by name, such as `pdf-pages/1`",
    "DigestsIn.sha256": _SHA256,
    "DigestsIn.sm3": _SM3,
    "DocumentsQuery.after": "`next` of the page before",
    "DocumentsQuery.limit": "Attestations on a page, at most",
    "EntriesQuery.after": "`next` of the answer before, or index of the last entry that you have",
    "EntriesQuery.id": "Member id of the log; our own if not given",
    "EntriesQuery.limit": "Entries at most",
    "EntriesQuery.wait": "Seconds to wait for an entry while there is none",
    "EventsQuery.seconds": "Seconds after which the stream ends; none if not given",
    "GenerateBody.role": "What the key is for",
    "KeyBody.vkey": "The key, as `GET /v1/keys` names it",
    "LeftoverBody.fingerprint": "SHA-256 of its public half, in hexadecimal or in words",
    "LeftoverBody.label": "Of the key in the token",
    "LedgerQuery.before": "`next` of the page before: only entries with a smaller index",
    "LedgerQuery.id": "Member id of the log; our own if not given",
    "LedgerQuery.kind": "Only attestations of this kind",
    "LedgerQuery.limit": "Entries at most",
    "LedgerQuery.until": "Only entries made at this time or before: RFC 3339 in UTC",
    "Line.blinded": _BLINDED,
    "Line.json-jcs/1": _CANONICAL,
    "Line.key": "Idempotency key of this line: sent again, it gives the same entry for 24 hours",
    "Line.kind": _KIND,
    "Line.pdf-pages/1": _CANONICAL,
    "Line.sha256": _SHA256,
    "Line.sm3": _SM3,
    "Line.supersedes": _SUPERSEDES,
    "Line.valid_until": _VALID,
    "MaintenanceBody.on": "Whether the HSM is to be out of use",
    "NameBody.name": "Of the account; to unlock, also an address",
    "NewDigestsIn.canonical": "Canonical digest by its name, such as `pdf-pages/1`",
    "NewDigestsIn.sha256": _SHA256,
    "NewDigestsIn.sm3": _SM3,
    "PasswordBody.new": "12 to 256 characters",
    "PasswordBody.old": "The one until now",
    "PinBody.pin": "Is tried once, and kept in memory",
    "PolicyQuery.id": "Member id of the log; our own if not given",
    "ReleaseBody.release": "A release with the signatures of two officers, as text",
    "ProofQuery.bare": "Without the salt of a blinded attestation",
    "RevocationIn.index": "Of the attestation in this gateway's log",
    "RevocationIn.reason": (
        "0 unspecified, 1 issued in error, 2 document replaced, 3 customer's request, 4 fraud, "
        "5 key compromise"
    ),
    "RevocationIn.wait": "Seconds to wait for the signature",
    "RosterBody.note": _NOTE,
    "RosterPinBody.fingerprint": "SHA-256 of its text, in hexadecimal or in words",
    "RosterPinBody.note": _NOTE,
    "SignBody.confirm_lost": "No other text of this version was signed, though the record is lost",
    "SignBody.note": "A text of the roster, or a note with signatures",
    "TraceIn.digests": "Of the document",
    "TraceIn.proof": "Text of its `.tlog-proof`, with the consents and uses in it",
    "TraceIn.records": "Proofs of consents and uses besides",
    "UseIn.consents": "Proofs of consents besides those in `proof`",
    "UseIn.digests": "Of the document at hand",
    "UseIn.expect_issuer": "Institution, member id or origin",
    "UseIn.proof": "Text of its `.tlog-proof`, with the consent in it",
    "UseIn.purpose": _PURPOSE,
    "UseIn.reference": "`origin#index` of the attestation that is meant",
    "UseIn.scenario": _SCENARIO,
    "UseIn.until": _UNTIL,
    "UseIn.wait": _WAIT,
    "VerificationIn.digests": "Of the document at hand",
    "VerificationIn.expect_issuer": "Institution, member id or origin",
    "VerificationIn.expect_kind": _KIND,
    "VerificationIn.max_age": "Seconds; can only shorten what the kind allows",
    "VerificationIn.proof": "Text of its `.tlog-proof`",
    "VerificationIn.reference": "`origin#index` of the attestation that is meant",
    "VerificationIn.slip": "What the code of its slip says, in place of `proof`",
    "VerificationLine.sha256": f"{_SHA256}, in place of `digests`",
    "VerificationLine.sm3": _SM3,
}
"""By type and field; a line of verifications has the fields of a single one."""

DEMANDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "AttestationIn.valid_until": _TIME,
    "ConsentIn.valid_until": _TIME,
    "Line.json-jcs/1": _HEX,
    "Line.key": {"pattern": r"^[!#-\[\]-~]{1,64}$"},
    "Line.pdf-pages/1": _HEX,
    "Line.kind": {"pattern": "^[a-z0-9.-]{1,32}$"},
    "Line.sha256": _HEX,
    "Line.sm3": _HEX,
    "Line.valid_until": _TIME,
}
"""What handlers demand by themselves, where types would be too slow or cannot say it."""

PATH: Final[Mapping[str, tuple[str, Mapping[str, Any], object]]] = {
    "algorithm": ("Of the digest", {"enum": ["sha256", "sm3"]}, "sha256"),
    "digest": ("64 lower-case hexadecimal digits", _HEX, "2d" * 32),
    "id": ("Member id", {"pattern": "^[a-z0-9-]{1,20}$"}, "hk-1"),
    "index": ("Of the entry", {"pattern": "^(0|[1-9][0-9]{0,17})$"}, "42"),
    "number": ("Of the record", {"pattern": "^(0|[1-9][0-9]{0,17})$"}, "17"),
    "origin_hash": ("SHA-256 of the origin, in hexadecimal", _HEX, "ab" * 32),
    "level": ("Of the tree", {"pattern": "^(0|[1-5]?[0-9]|6[0-3])$"}, "0"),
    "tile": ("Index of the tile, three digits", {"pattern": "^[0-9]{3}$"}, "000"),
    "width": (
        "Of a partial tile",
        {"pattern": "^([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])$"},
        "1",
    ),
}
"""By name, what a parameter in a path is, its schema, and an example."""

"""Examples, which a test compares with the types."""

from typing import Any, Final

SHA256: Final = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
DIGESTS: Final = {"sha256": SHA256}
PLACE: Final = {"id": "hk-1", "origin": "bank-hk.example/hk-1"}
AT: Final = "2026-11-22T13:00:00.000Z"
ROOT: Final = "I2NbO1fYB1yFJL3cmDIcTuUcbHGWN9DS7TyvTI/fVuo="
PROOF: Final = "c2sp.org/tlog-proof@v1\nextra …\nindex 42\n…\n"
NOTE: Final = f"bank-hk.example/hk-1\n46\n{ROOT}\n\n— bank-hk.example/hk-1 …\n"
ROSTER: Final = "chopmark/roster/v1\nversion = 2\n…"
VKEY: Final = "bank-hk.example/hk-1+5f3c1a20+Ag…"

ATTESTED: Final = PLACE | {
    "index": 42,
    "made_at": AT,
    "state": "witnessed",
    "kind": "bank-statement",
    "digests": DIGESTS,
    "proof": PROOF,
}
RECORDED: Final = PLACE | {
    "index": 42,
    "made_at": AT,
    "state": "recorded",
    "kind": "bank-statement",
    "digests": DIGESTS,
}
REVOKED: Final = PLACE | {
    "index": 45,
    "revokes": 42,
    "reason": 1,
    "made_at": AT,
    "state": "signed",
}
CONSENT: Final = {
    "index": 42,
    "receiver": "sz-1",
    "purpose": "sme-loan",
    "valid_until": "2026-12-31T23:59:59.999Z",
}
CONSENT_RECORDED: Final = PLACE | {
    "index": 45,
    "made_at": AT,
    "state": "recorded",
    "attestation": "bank-hk.example/hk-1#42",
    "receiver": "bank-sz.example/sz-1",
    "purpose": "sme-loan",
    "salt": ROOT,
    "body": "qQABAQMC…",
    "valid_until": "2026-12-31T23:59:59.999Z",
}
CONSENTED: Final = CONSENT_RECORDED | {"state": "witnessed", "proof": PROOF}
USE: Final = {"digests": DIGESTS, "purpose": "sme-loan", "proof": PROOF}
USED: Final = {
    "id": "sz-1",
    "origin": "bank-sz.example/sz-1",
    "index": 7,
    "made_at": AT,
    "state": "witnessed",
    "attestation": "bank-hk.example/hk-1#42",
    "receiver": "bank-sz.example/sz-1",
    "purpose": "sme-loan",
    "salt": ROOT,
    "body": "qgABAQQC…",
    "proof": PROOF,
    "consent": 45,
}
TRACE: Final = {
    "format": "chopmark/trace/v1",
    "asked_at": AT,
    "as_of": AT,
    "digests": DIGESTS,
    "parties": {
        "bank-hk.example/hk-1": {
            "id": "hk-1",
            "institution": "Bank of Hong Kong (example)",
            "jurisdiction": "HK",
        }
    },
    "policies": {"bank-hk.example/hk-1": f"log {VKEY}\nquorum none\n"},
    "warnings": [],
    "steps": [
        {
            "step": "attested",
            "time": AT,
            "about": "bank-hk.example/hk-1#42",
            "origin": "bank-hk.example/hk-1",
            "index": 42,
            "proof": PROOF,
            "kind": "bank-statement",
        }
    ],
}
BAD_LINE: Final = {
    "error": {
        "code": "malformed-line",
        "message": "Object missing required field `sha256`",
        "line": 2,
    }
}
JUDGED: Final = PLACE | {
    "verdict": "valid",
    "sentence": "Bank of Hong Kong (example) attested this document …",
    "issuer": "Bank of Hong Kong (example)",
    "jurisdiction": "HK",
    "index": 42,
    "kind": "bank-statement",
    "made_at": AT,
    "existed_by": "2026-11-22T13:00:01.000Z",
    "valid_until": None,
    "superseded_by": None,
    "supersession": [],
    "supersession_cut": False,
    "revoked": None,
    "as_of": "2026-11-22T13:05:50.000Z",
    "witnesses": [{"name": "bank-sz.example/sz-1/cosigner", "time": "2026-11-22T13:00:01.000Z"}],
    "quorum": "reached",
    "source": "replica",
    "problem": None,
    "warning": None,
    "successor": None,
    "digests_checked": ["sha256"],
    "canonical": [],
    "same_content": None,
}
VERDICT: Final = {
    "verdict": "valid",
    "sentence": JUDGED["sentence"],
    "exit_code": 0,
    "asked_at": "2026-11-22T13:06:00.000Z",
    "as_of": "2026-11-22T13:05:50.000Z",
    "attestations": [JUDGED],
    "pruned": [],
    "others": [],
}
RATES: Final = {
    "step_seconds": 60,
    "until": AT,
    "recorded": [120, 90],
    "verified": [4, 7],
    "replicated": [310, 288],
}
ANCHOR: Final = {
    "number": 3,
    "size": 45,
    "block": 1207,
    "transaction": "0x" + "5c" * 32,
    "account": "0x" + "a1" * 20,
    "state": "good",
    "reason": None,
    "found_at": AT,
}
QUESTION: Final = {"digests": DIGESTS, "expect_issuer": "hk-1"}
FOUND: Final = {
    "attestations": [
        PLACE
        | {
            "institution": "Bank of Hong Kong (example)",
            "index": 42,
            "state": "live",
            "kind": "bank-statement",
            "digests": DIGESTS,
            "blinded": False,
            "made_at": AT,
            "existed_by": None,
            "valid_until": None,
            "supersedes": None,
            "superseded_by": None,
            "revoked": None,
        }
    ],
    "searched": [{"id": "sz-1", "size": 7, "as_of": AT}, {"id": "hk-1", "size": 46, "as_of": None}],
    "next": None,
}
ENTRIES: Final = {
    "entries": [
        {
            "index": 45,
            "type": "revocation",
            "hash": "9f0c" * 16,
            "raw": "pQABAQIC…",
            "made_at": AT,
            "kind": None,
            "digests": None,
            "blinded": None,
            "valid_until": None,
            "supersedes": None,
            "revokes": 42,
            "reason": 1,
        }
    ],
    "size": 46,
    "next": 45,
}
LEDGER: Final = ENTRIES | {"next": 45}
EXPORT: Final = PLACE | {
    "log_vkey": VKEY,
    "cosigner_vkey": "bank-hk.example/hk-1/cosigner+0c1d2e3f+BA…",
    "institution": "Bank of Hong Kong (example)",
    "jurisdiction": "HK",
    "kinds": ["*"],
    "chain": "0x1f9090aae28b8a3dceadf281b0f12828e676c326",
}
REPLICA: Final = PLACE | {
    "size": 46,
    "head": {"size": 46, "root": ROOT},
    "missing": 0,
    "witnessed_size": 46,
    "as_of": AT,
    "age_seconds": 4.2,
    "frozen": None,
    "paused": False,
    "warning": None,
    "index": {"state": "ready", "position": 46, "size": 46},
    "removed": {"bundles": 0, "entries": 0},
}
NOT_PINNED: Final[dict[str, Any]] = {
    "pinned": False,
    "version": None,
    "conflict": None,
    "alarms": [],
}
EVENT: Final = {"id": "5f0c3a9e17b2-12", "event": "head", "data": '{"id":"hk-1","size":46}'}
AUDIT: Final = {
    "records": [
        {
            "number": 17,
            "time": AT,
            "actor": "uid 1000",
            "action": "revocation",
            "outcome": "done",
            "about": {"index": 42, "reason": 1},
            "chain": "ab" * 32,
        }
    ],
    "days": [],
    "next": 18,
    "chain": "ab" * 32,
}
KEY_MADE: Final = {"vkey": VKEY, "role": "log", "in_use": False, "roster": None}
KEY: Final = {
    "vkey": VKEY,
    "role": "log",
    "in_use": True,
    "roster": "active",
    "label": "log",
    "type": "p256",
    "public": "MFkw…",
    "fingerprint": "ab" * 32,
    "words": "lusab-babad-gutih-tugad-…",
    "in_token": True,
    "attributes": {"sensitive": True, "extractable": False},
    "mechanisms": ["CKM_ECDSA"],
    "wrong": [],
}
PROBLEM: Final[dict[str, Any]] = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "Expected `str` of 64 lower-case hexadecimal digits - at `$.digests.sha256`",
    "code": "malformed-request",
    "hint": "see docs/api.md for the fields of this route",
}

SESSION: Final = {
    "signed_in": True,
    "client": "user anna",
    "name": "anna",
    "by": "password",
    "roles": ["verifier"],
    "kinds": ["*"],
    "csrf": "5f0c" * 16,
    "idle_seconds": 900,
    "left_seconds": 35_940,
    "methods": ["password"],
    "reason": None,
}
STRANGER: Final = {
    "signed_in": False,
    "client": None,
    "name": None,
    "by": None,
    "roles": [],
    "kinds": [],
    "csrf": None,
    "idle_seconds": None,
    "left_seconds": None,
    "methods": ["password"],
    "reason": "session-ended",
}
ACCOUNT: Final = {
    "name": "anna",
    "roles": ["verifier"],
    "kinds": ["*"],
    "changed": "2026-11-22T13:00:00.000Z",
    "sessions": 1,
    "locked_seconds": 0,
}
SIGNED_IN: Final = {
    "client": "user anna",
    "name": "anna",
    "by": "password",
    "address": "10.1.2.3",
    "age_seconds": 60,
    "idle_seconds": 3,
}

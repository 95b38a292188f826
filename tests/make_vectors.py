"""Writes docs/formats/vectors/*.json, always the same: `python tests/make_vectors.py`.

The keys are of no worth: Ed25519 seeds are one byte 32 times, the P-256 secret is one byte 31
times as a big-endian number, and ECDSA is deterministic (RFC 6979).
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import audits
import trees
from armourvectors import armour
from bundlevectors import bundle
from canonicalvectors import canonical
from ceremonyvectors import ceremony
from chopmark.core.audit import START, encode_record, follow
from chopmark.core.audit import Record as AuditRecord
from chopmark.core.blinding import SaltKey
from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.mark import HeadMark
from chopmark.core.merkle import EMPTY_ROOT
from compactvectors import compact
from consentvectors import consent
from enrolmentvectors import enrolment
from entryvectors import entry
from evidencevectors import evidence
from notevectors import checkpoint, note
from packagevectors import package, tiles
from proofvectors import policy, proof
from releasevectors import release
from rostervectors import roster
from slipvectors import slip
from softkeys import cosigner, ed25519_key, sign_head
from vectorparts import LOG, MADE_AT, ORIGIN, SALT, SZ, TIME, Vectors, based
from verdictvectors import verdict

FOLDER = Path(__file__).parent.parent / "docs" / "formats" / "vectors"


def make_all() -> dict[str, Vectors]:
    """Content of each file by its name."""
    makers = (
        *(note, checkpoint, entry, package, compact, proof, policy, tiles),
        *(witness, evidence, head_mark, salt_key, audit, roster, release, ceremony, canonical),
        *(verdict, slip, enrolment, armour, bundle, consent),
    )
    return {maker.__name__.replace("_", "-"): maker() for maker in makers}


def salt_key() -> Vectors:
    made = SaltKey(ORIGIN, 1_795_348_800_000, SALT)
    good = {0: 1, 1: ORIGIN, 2: made.since, 3: SALT}
    bad: dict[str, object] = {
        "another version": good | {0: 2},
        "no origin": good | {1: "Bank"},
        "time before 1970": good | {2: -1},
        "key of 31 bytes": good | {3: SALT[1:]},
        "a field more": good | {4: 0},
        "a field less": {key: good[key] for key in range(3)},
    }
    first = 5
    return {
        "good": {"hex": made.encode().hex(), "since": made.since, "key": SALT.hex()},
        "bad": [{"name": name, "hex": encode_cbor(value).hex()} for name, value in bad.items()],
        "sealed": {
            "seed": SALT[::-1].hex(),
            "first": first,
            "box": made.seal(SALT[::-1], first, SALT[:12]).hex(),
        },
    }


def head_mark() -> Vectors:
    epoch, root = bytes(range(16)), bytes(range(32))
    fields = {0: 1, 1: ORIGIN, 2: 7, 3: epoch, 4: 5, 5: root, 6: True}
    good = {
        "after a clean stop": HeadMark(Checkpoint(ORIGIN, 5, root), 7, epoch, clean=True),
        "founding": HeadMark(Checkpoint(ORIGIN, 0, EMPTY_ROOT), 1, epoch, clean=False),
    }
    bad = {
        "another version": fields | {0: 2},
        "version as a flag": fields | {0: True},
        "a field more": fields | {7: 0},
        "a field less": {key: value for key, value in fields.items() if key != 6},
        "an array": list(fields.values()),
        "counter below zero": fields | {2: -1},
        "size beyond a log's": fields | {4: 2**63},
        "short epoch": fields | {3: epoch[1:]},
        "long root": fields | {5: root + b"x"},
        "flag as a number": fields | {6: 1},
        "empty log with a root": fields | {4: 0},
        "origin as bytes": fields | {1: ORIGIN.encode()},
        "too long": fields | {1: "a" * 300},
    }
    refused = [(name, encode_cbor(value), "malformed-mark") for name, value in bad.items()]
    origin = encode_cbor(fields | {1: "chopmark/hk-1"})
    refused += [
        ("reserved origin", origin, "malformed-origin"),
        ("something after its end", encode_cbor(fields) + b"\0", "malformed-cbor"),
    ]
    return {
        "good": [
            {
                "name": name,
                "hex": one.encode().hex(),
                "origin": one.head.origin,
                "counter": one.counter,
                "epoch": one.epoch.hex(),
                "size": one.head.size,
                "root": one.head.root.hex(),
                "clean": one.clean,
            }
            for name, one in good.items()
        ],
        "bad": [{"name": name, "hex": data.hex(), "code": code} for name, data, code in refused],
    }


def witness() -> Vectors:
    """Submissions to a witness that has cosigned size 3, each with its status."""
    leaves = trees.numbered(8)
    roots = [trees.root(leaves[:size]) for size in range(9)]
    log = ed25519_key("example.com/behind-the-sofa", 5)
    ours = cosigner(f"{ORIGIN}/witness", 6)

    def ask(old: int, new: int, root: bytes | None = None, *, extra: bytes = b"") -> str:
        proof = trees.proof(old, leaves[:new]) if 0 < old < new else []
        head = Checkpoint(log.name, new, roots[new] if root is None else root)
        lines = "".join(f"{based(one)}\n" for one in [*proof, *([extra] if extra else [])])
        return f"old {old}\n{lines}\n{sign_head(head, log).decode()}"

    good = ask(3, 8)
    head = Checkpoint(log.name, 8, roots[8])
    strange = Checkpoint("example.com/elsewhere", 8, roots[8])
    requests = {
        "no old size": (good.removeprefix("old 3\n"), 400),
        "leading zero": (good.replace("old 3", "old 03"), 400),
        "old size above the checkpoint's": (ask(9, 8), 400),
        "extension line": (
            good.replace("\n8\n", "\n8\n", 1).replace("\n\n— ", "\nmore\n\n— "),
            400,
        ),
        "unknown origin": (f"old 0\n\n{sign_head(strange, log).decode()}", 404),
        "signed by another key": (good.replace(based(roots[8]), based(roots[7])), 403),
        "first submission again": (ask(0, 8), 409),
        "another old size": (ask(4, 8), 409),
        "another root at the size cosigned": (ask(3, 3, roots[4]), 422),
        "proof where none is due": (ask(3, 3, extra=roots[1]), 422),
        "hash too many": (ask(3, 8, extra=roots[1]), 422),
        "another tree": (ask(3, 8, roots[7]), 422),
        "same size": (ask(3, 3), 200),
        "larger size": (good, 200),
    }
    return {
        "log": log.vkey.encode(),
        "witness": ours.vkey.encode(),
        "cosigned": {"size": 3, "root": roots[3].hex()},
        "cases": [{"name": n, "request": r, "status": s} for n, (r, s) in requests.items()],
        "answer": {"time": TIME, "line": ours.sign(head.encode(), TIME).encode()},
    }


def audit() -> Vectors:
    """Two days of records, and the proof of one of them."""
    days = [audits.day(0, 0, 3), audits.day(1, 3, 4, audits.day(0, 0, 3).chain)]
    leaves = audits.leaves(range(7))
    made = audits.audit_proof(5, days[1], LOG, {SZ: TIME})
    text = made.encode().decode()
    others = {
        "started": AuditRecord(MADE_AT, "gateway", "daemon.started", "cut-off", {"version": "0.1"}),
        "about nothing": AuditRecord(0, "gateway", "hsm.ready"),
    }
    bad = {
        "another version": (text.replace("/v1", "/v2", 1), "malformed-audit-proof"),
        "no salt": (text.replace("\nsalt ", "\nsalz ", 1), "malformed-audit-proof"),
        "index with a zero in front": (text.replace("index 5", "index 05"), "malformed-number"),
        "another index": (text.replace("index 5", "index 4", 1), "bad-inclusion"),
        "index of another day": (text.replace("index 5", "index 2", 1), "bad-inclusion"),
        "another record": (
            replace(made, record=encode_record(audits.record(4))).encode().decode(),
            "bad-inclusion",
        ),
        "another salt": (replace(made, salt=SALT).encode().decode(), "bad-inclusion"),
        "another date": (text.replace("2026-11-22", "2026-11-23", 1), "other-day"),
        "another chain": (
            replace(made, day=replace(days[1], chain=START)).encode().decode(),
            "other-day",
        ),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-audit-proof"),
    }
    return {
        "log": LOG.vkey.encode(),
        "records": [
            {"name": name, "hex": encode_record(one).hex(), "fields": asdict(one)}
            for name, one in ({"revocation": audits.record(5)} | others).items()
        ],
        "leaves": [
            {
                "record": encode_record(audits.record(number)).hex(),
                "salt": audits.salt(number).hex(),
                "leaf": leaf.hex(),
                "chain": follow(START, leaves[: number + 1]).hex(),
            }
            for number, leaf in enumerate(leaves)
        ],
        "days": [
            json.loads(json.dumps(asdict(day) | {"value": day.value()}, default=bytes.hex))
            for day in days
        ],
        "good": [{"name": "the third record of a day", "proof": text, "record": 0, "entry": 2}],
        "bad": [{"name": name, "proof": bad[name][0], "code": bad[name][1]} for name in bad],
    }


def encode(vectors: Vectors) -> str:
    """The file's text."""
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, vectors in make_all().items():
        (FOLDER / f"{name}.json").write_text(encode(vectors), "utf-8")

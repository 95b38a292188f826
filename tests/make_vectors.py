"""Writes docs/formats/vectors/*.json, always the same: `python tests/make_vectors.py`.

The keys are of no worth: Ed25519 seeds are one byte 32 times, the P-256 secret is one byte 31
times as a big-endian number, and ECDSA is deterministic (RFC 6979).
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import audits
import compactlog
import trees
from armourvectors import armour
from bundlevectors import bundle
from canonicalvectors import canonical
from ceremonyvectors import ceremony
from chopmark.core.audit import START, encode_record, follow
from chopmark.core.audit import Record as AuditRecord
from chopmark.core.blinding import SaltKey, blind, derive_salts, extract_seed
from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.compact import End, Failure, Header, Record, Run, Unsigned
from chopmark.core.digest import digest_stream
from chopmark.core.entry import (
    SHA256,
    SM3,
    Adoption,
    Attestation,
    Commitment,
    Entry,
    Revocation,
    UnknownFormat,
    encode_entry,
)
from chopmark.core.evidence import Branch, Evidence, Subject, differing_heads, make_evidence
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.core.merkle import EMPTY_ROOT, range_nodes
from chopmark.core.note import Note, Signature
from chopmark.core.package import Package
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof
from chopmark.core.prover import RunProver
from chopmark.core.tiles import encode_bundle
from enrolmentvectors import enrolment
from mutations import flipped
from releasevectors import release
from rostervectors import roster
from slipvectors import slip
from softkeys import cosigner, ed25519_key, log_key, p256_cosigner, sign_head
from verdictvectors import verdict

FOLDER = Path(__file__).parent.parent / "docs" / "formats" / "vectors"
ORIGIN = "bank-hk.example/hk-1"
LOG = log_key(ORIGIN, 1)
PLAIN = ed25519_key("example.com/notes", 2)
SZ = cosigner("bank-sz.example/sz-1/cosigner", 3)
MO = cosigner("bank-mo.example/mo-1/cosigner", 4)
MADE_AT = 1795305600123
TIME = 1795305602
SALT = bytes(range(32))
DOCUMENT = b"a bank statement\n"
DIGESTS, LENGTH = digest_stream([DOCUMENT])
PLAIN_ENTRY = Attestation(MADE_AT, DIGESTS.sha256, "bank-statement")

Vectors = dict[str, Any]


def make_all() -> dict[str, Vectors]:
    """Content of each file by its name."""
    makers = (
        *(note, checkpoint, entry, package, compact, proof, policy, tiles),
        *(witness, evidence, head_mark, salt_key, audit, roster, release, ceremony, canonical),
        *(verdict, slip, enrolment, armour, bundle),
    )
    return {maker.__name__.replace("_", "-"): maker() for maker in makers}


def note() -> Vectors:
    text = "An example.\n\nIts text has a blank line.\n"
    signed = Note(text, (LOG.sign(text), PLAIN.sign(text), SZ.sign(text, TIME))).encode().decode()
    line = "— x AAAAAAA=\n"
    p256 = p256_cosigner("bank-mo.example/mo-1/cosigner", 6)
    ours = Note(text, (p256.sign(text, TIME),)).encode().decode()
    later = Signature(p256.name, p256.vkey.key_id, (TIME + 1).to_bytes(8, "big"))
    forged = replace(later, payload=later.payload + p256.sign(text, TIME).payload[8:])
    keys = [key.vkey.encode() for key in (LOG, PLAIN, SZ, p256)]
    verified = [[LOG.name, 0], [PLAIN.name, 0], [SZ.name, TIME]]
    bad = {
        "text changed": (signed.replace("An", "Another", 1), "bad-signature"),
        "no signature of a known key": (f"text\n\n{line}", "no-known-signature"),
        "time changed, type 0xff": (Note(text, (forged,)).encode().decode(), "bad-signature"),
        "carriage return": (signed.replace("example.\n", "example.\r\n", 1), "malformed-note"),
        "tab": (signed.replace(" example", "\texample", 1), "malformed-note"),
        "no blank line": (f"text\n{line}", "malformed-note"),
        "no signature": ("text\n\n", "malformed-note"),
        "no line feed at the end": (signed[:-1], "malformed-note"),
        "hyphen for the dash": (signed.replace("—", "-"), "malformed-note"),
        "line separator in a key name": ("text\n\n— a\u2028b AAAAAAA=\n", "malformed-key-name"),
        "plus in a key name": ("text\n\n— a+b AAAAAAA=\n", "malformed-key-name"),
        "unused bits in base64": ("text\n\n— x AAAAAAB=\n", "malformed-base64"),
        "key id without a signature": ("text\n\n— x AAAAAA==\n", "malformed-note"),
        "65 signatures": ("text\n\n" + line * 65, "malformed-note"),
    }
    return {
        "keys": keys,
        "good": [
            {"name": "three types of key", "note": signed, "text": text, "verified": verified},
            {"name": "type 0xff", "note": ours, "text": text, "verified": [[p256.name, TIME]]},
        ],
        "bad": [{"name": name, "note": bad[name][0], "code": bad[name][1]} for name in bad],
        "bad_keys": [{"name": name, "vkey": vkey} for name, vkey in weak_keys().items()],
    }


def weak_keys() -> dict[str, str]:
    """Ed25519 keys that OpenSSL takes, and that nobody has made in earnest."""
    field = 2**255 - 19
    eight = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    made = {
        "order 1": 1,
        "order 2": field - 1,
        "order 4": 0,
        "order 4, other sign": 2**255,
        "order 8": eight,
        "another of order 8": field - eight,
        "order 8, other sign": 2**255 + eight,
        "order 1, spelt otherwise": field + 1,
        "spelt otherwise": field + 3,
        "the largest number": 2**256 - 1,
    }
    return {
        f"{name}, type {kind}": VerifierKey("a/b", kind, number.to_bytes(32, "little")).encode()
        for name, number in made.items()
        for kind in (ED25519, COSIGNATURE)
    }


def checkpoint() -> Vectors:
    heads = [
        Checkpoint(ORIGIN, 2, trees.root(trees.numbered(2))),
        Checkpoint(ORIGIN, 0, EMPTY_ROOT),
        Checkpoint(ORIGIN, 2**63 - 1, bytes(32)),
    ]
    good = [
        {"note": sign_head(head, LOG, {SZ: TIME}).decode(), "size": head.size, "root": hexed(head)}
        for head in heads
    ]
    root = heads[0].encode().split("\n")[2]
    bad = {
        "extension line": (f"{ORIGIN}\n2\n{root}\nmore\n", "malformed-checkpoint"),
        "two lines": (f"{ORIGIN}\n2\n", "malformed-checkpoint"),
        "leading zero": (f"{ORIGIN}\n02\n{root}\n", "malformed-number"),
        "size beyond 63 bits": (f"{ORIGIN}\n{2**63}\n{root}\n", "malformed-number"),
        "digit that is not ASCII": (f"{ORIGIN}\n٢\n{root}\n", "malformed-number"),
        "root of 31 bytes": (f"{ORIGIN}\n2\n{based(bytes(31))}\n", "malformed-hash"),
        "root without padding": (f"{ORIGIN}\n2\n{root[:-1]}\n", "malformed-base64"),
        "empty log with a root": (f"{ORIGIN}\n0\n{root}\n", "malformed-checkpoint"),
        "origin in capitals": (f"{ORIGIN.upper()}\n2\n{root}\n", "malformed-origin"),
        "reserved origin": (f"chopmark/roster/v1\n2\n{root}\n", "malformed-origin"),
        "origin of another log": (f"{ORIGIN}x\n2\n{root}\n", "malformed-checkpoint"),
    }
    made = [
        {"name": name, "note": Note(text, (LOG.sign(text),)).encode().decode(), "code": code}
        for name, (text, code) in bad.items()
    ]
    unsigned = Note(heads[0].encode(), (SZ.sign(heads[0].encode(), TIME),)).encode().decode()
    made.append({"name": "cosigned only", "note": unsigned, "code": "no-known-signature"})
    return {"log": LOG.vkey.encode(), "cosigner": SZ.vkey.encode(), "good": good, "bad": made}


def entry() -> Vectors:
    hidden = blind(SALT, ORIGIN, SHA256, DIGESTS.sha256)
    name = "json-jcs/1"
    everything = replace(
        PLAIN_ENTRY,
        sm3=DIGESTS.sm3,
        valid_until=MADE_AT + 1,
        supersedes=7,
        canonical=((name, SALT),),
    )
    made: dict[str, Attestation | Revocation | Commitment | Adoption] = {
        "attestation": PLAIN_ENTRY,
        "attestation with SM3": replace(PLAIN_ENTRY, sm3=DIGESTS.sm3),
        "attestation with an end": replace(PLAIN_ENTRY, valid_until=MADE_AT + 86400000),
        "attestation with everything but blinding": everything,
        "blinded attestation": replace(
            PLAIN_ENTRY, made_at=MADE_AT - MADE_AT % 60_000, sha256=hidden, blinded=True
        ),
        "revocation": Revocation(MADE_AT, 7, 4),
        "consent": Commitment(MADE_AT, 3, SALT),
        "use": Commitment(MADE_AT, 4, SALT),
        "audit": Commitment(MADE_AT, 5, SALT),
        "adoption": Adoption(MADE_AT, 12, SALT),
    }
    good = [described(name, encode_entry(value), value) for name, value in made.items()]
    good += [described(name, encode_cbor(value), seen) for name, (value, seen) in odd().items()]
    return {
        "document": DOCUMENT.hex(),
        "good": good,
        "bad": [{"name": n, "hex": d.hex(), "code": c} for n, (d, c) in bad_entries().items()],
        "blinding": {
            "salt": SALT.hex(),
            "origin": ORIGIN,
            "digests": [
                {"algorithm": key, "digest": value.hex(), "blinded": blinded(key, value)}
                for key, value in (
                    (SHA256, DIGESTS.sha256),
                    (SM3, DIGESTS.sm3 or b""),
                    (name, SALT),
                )
            ],
            "seed": {
                "hsm": SALT.hex(),
                "system": SALT[::-1].hex(),
                "number": 7,
                "seed": (seed := extract_seed(SALT, SALT[::-1], 7)).hex(),
                "salts": {n: derive_salts(seed, n, 1)[0].hex() for n in (0, 1, 63, 64, 1_000_000)},
            },
        },
    }


BASE = {0: 1, 1: 1, 2: MADE_AT, 3: {SHA256: DIGESTS.sha256}, 4: "bank-statement"}


def odd() -> dict[str, tuple[object, Entry]]:
    """Entries that we do not create, but read."""
    unknown = UnknownFormat(DIGESTS.sha256)
    return {
        "unknown negative key": (BASE | {-1: [1, None]}, PLAIN_ENTRY),
        "unknown positive key": (BASE | {9: 1}, unknown),
        "unknown text key": (BASE | {"x": 1}, unknown),
        "unknown algorithm": (BASE | {3: {SHA256: DIGESTS.sha256, -43: bytes(48)}}, unknown),
        "another version": (BASE | {0: 2}, unknown),
        "another type": (BASE | {1: 7}, UnknownFormat()),
        "canonical name that begins with a byte order mark": (
            BASE | {8: {"\ufeffx": SALT}},
            replace(PLAIN_ENTRY, canonical=(("\ufeffx", SALT),)),
        ),
    }


def bad_entries() -> dict[str, tuple[bytes, str]]:
    good = encode_entry(PLAIN_ENTRY)
    values: dict[str, object] = {
        "no kind": {key: value for key, value in BASE.items() if key != 4},
        "no SHA-256": BASE | {3: {SM3: bytes(32)}},
        "digest of 31 bytes": BASE | {3: {SHA256: bytes(31)}},
        "kind in capitals": BASE | {4: "Bank-Statement"},
        "kind of 33 characters": BASE | {4: "k" * 33},
        "time before 1970": BASE | {2: -1},
        "time beyond 63 bits": BASE | {2: 2**63},
        "blinded is false": BASE | {6: False},
        "blinded is 1": BASE | {6: 1},
        "no canonical digests": BASE | {8: {}},
        "canonical name of 17 bytes": BASE | {8: {"n" * 17: bytes(32)}},
        "revocation without a reason": {0: 1, 1: 2, 2: MADE_AT, 3: 7},
        "consent of 31 bytes": {0: 1, 1: 3, 2: MADE_AT, 3: bytes(31)},
        "more than 240 bytes": BASE | {-1: bytes(200)},
        "an array": [1, 1],
    }
    raw = {
        "nothing": b"",
        "a byte too many": good + b"\x00",
        "a byte too few": good[:-1],
        "version in two bytes": good[:2] + b"\x18\x01" + good[3:],
        "keys in another order": good[:1] + good[3:5] + good[1:3] + good[5:],
        "indefinite map": b"\xbf" + good[1:] + b"\xff",
        "tagged": b"\xd9\xd9\xf7" + good,
        "a float": encode_cbor(BASE | {-1: 0})[:-1] + b"\xf9\x00\x00",
    }
    made = {name: (encode_cbor(value), "malformed-entry") for name, value in values.items()}
    return made | {name: (data, "malformed-cbor") for name, data in raw.items()}


def package() -> Vectors:
    entries = [b"entry %d" % index for index in range(300)]
    good = [packed(entries, *run) for run in ((0, 1, 1), (1, 3, 5), (255, 256, 300))]
    one = good[1]
    more = replace(one, bundle=encode_bundle(entries[1:4]))
    bad = {
        "entry changed": (replace(one, bundle=flipped(one.bundle, 70)), "bad-package"),
        "hash before changed": (replace(one, left=flipped(one.left)), "bad-package"),
        "hash after changed": (replace(one, right=flipped(one.right)), "bad-package"),
        "hash too many": (replace(one, right=one.right + bytes(32)), "bad-range"),
        "hash missing": (replace(one, left=b""), "bad-range"),
        "hash cut short": (replace(one, left=one.left[:-1]), "malformed-package"),
        "another start": (replace(one, start=2), "bad-range"),
        "an entry too many": (more, "bad-range"),
        "beyond the checkpoint": (replace(one, note=good[0].note), "bad-package"),
        "no entries": (replace(one, bundle=b""), "malformed-package"),
        "two bundles": (packed(entries, 255, 257, 300), "malformed-package"),
        "bundle cut short": (replace(one, bundle=one.bundle[:-1]), "malformed-bundle"),
        "an entry of 241 bytes": (
            replace(one, bundle=encode_bundle([bytes(241)])),
            "malformed-package",
        ),
        "another origin": (replace(one, origin=ORIGIN + "x"), "bad-package"),
        "note not signed by the log": (
            replace(one, note=one.note.replace(LOG.name.encode() + b" ", b"x ")),
            "no-known-signature",
        ),
    }
    return {
        "log": LOG.vkey.encode(),
        "good": [
            {
                "package": based(made.encode()),
                "start": made.start,
                "entries": [value.hex() for value in entries[made.start : end]],
                "size": size,
            }
            for made, end, size in zip(good, (1, 3, 256), (1, 5, 300), strict=True)
        ],
        "bad": [
            {"name": name, "package": based(made.encode()), "code": code}
            for name, (made, code) in bad.items()
        ],
    }


def packed(entries: list[bytes], start: int, end: int, size: int) -> Package:
    leaves = [trees.leaf(value) for value in entries[:size]]
    nodes = trees.Nodes(leaves)
    left, right = (
        b"".join(nodes(*node) for node in range_nodes(*run)) for run in ((0, start), (end, size))
    )
    head = sign_head(Checkpoint(ORIGIN, size, trees.root(leaves)), LOG)
    return Package(ORIGIN, start, encode_bundle(entries[start:end]), left, right, head)


def compact() -> Vectors:
    log = compactlog.made(-3, 5, -2, 4, 6, -1)
    end, (first, *_, last) = log.end(), log.runs
    ranges = end.beside
    answers: dict[str, tuple[list[Run | End], str]] = {
        "hash before changed": ([*log.runs, with_range(end, 0, flipped(ranges[0]))], "bad-compact"),
        "hash between changed": (
            [*log.runs, with_range(end, 1, flipped(ranges[1]))],
            "bad-compact",
        ),
        "hash after missing": ([*log.runs, with_range(end, 2, b"")], "bad-compact"),
        "a range too few": ([*log.runs, replace(end, beside=ranges[:-1])], "bad-compact"),
        "another time": ([*log.runs[:-1], replace(last, made_at=1), end], "bad-compact"),
        "another index": ([*log.runs[:-1], replace(last, start=15), end], "bad-compact"),
        "a run missing": ([*log.runs[:-1], end], "bad-compact"),
        "runs in another order": ([*log.runs[1:], first, end], "malformed-compact"),
        "beyond the checkpoint": (
            [*log.runs, replace(end, note=compactlog.made(-3, 5).note())],
            "bad-compact",
        ),
        "note not signed by the log": (
            [*log.runs, replace(end, note=end.note.replace(b"\n21\n", b"\n22\n"))],
            "bad-signature",
        ),
        "cut short": ([*log.runs], "malformed-compact"),
        "two ends": ([*log.runs, end, end], "malformed-compact"),
    }
    limited = compactlog.made(-3, 5)
    unlimited = replace(limited.add_run(2, MADE_AT + 1000), valid_until=None)
    whole = Header(compactlog.REQUEST, "k", MADE_AT, with_sm3=True, offset=2, total=9)
    hidden = Header(compactlog.REQUEST, "k", with_sm3=True, blinded=True)
    secret = compactlog.CompactLog(hidden)
    secret.add_others(3)
    for count, seed in ((5, SALT), (70, SALT[::-1])):
        secret.add_run(count, seed=seed)
    open_run, other = replace(secret.runs[0], seed=None), replace(secret.runs[0], seed=SALT[::-1])
    return {
        "log": compactlog.LOG.vkey.encode(),
        "headers": [
            {
                "hex": made.encode().hex(),
                "fields": json.loads(json.dumps(asdict(made), default=bytes.hex)),
            }
            for made in (log.header, whole, hidden)
        ],
        "bad_headers": [
            {"name": name, "hex": encode_cbor(value).hex(), "code": code}
            for name, (value, code) in bad_headers().items()
        ],
        "digests": log.digests.hex(),
        "answer": answered([*log.runs, end]),
        "proofs": [proven.encode().decode() for proven in prove(log).proofs()],
        "validity_set": {
            "digests": limited.digests.hex(),
            "answer": answered([*limited.runs, limited.end()]),
            "proofs": [proven.encode().decode() for proven in prove(limited).proofs()],
            "bad": answered([limited.runs[0], unlimited, limited.end()]),
        },
        "blinded": {
            "header": hidden.encode().hex(),
            "digests": secret.digests.hex(),
            "answer": answered([*secret.runs, secret.end()]),
            "proofs": {n: prove(secret).proof(n).encode().decode() for n in (0, 4, 5, 63, 64, 74)},
            "bad": {
                "seed missing": answered([open_run, secret.runs[1], secret.end()]),
                "another seed": answered([other, secret.runs[1], secret.end()]),
            },
        },
        "others": {
            "not signed in time": answered([first, Unsigned()]),
            "failed": answered([first, Failure("queue-full", "too many", "send less", 1)]),
        },
        "bad": [
            {"name": name, "answer": answered(records), "code": code}
            for name, (records, code) in answers.items()
        ],
    }


def prove(log: compactlog.CompactLog) -> RunProver:
    return RunProver(log.header, log.digests, log.runs, log.end(), compactlog.open_note)


def with_range(end: End, at: int, joined: bytes) -> End:
    return replace(end, beside=(*end.beside[:at], joined, *end.beside[at + 1 :]))


def answered(records: Sequence[Record]) -> str:
    return b"".join(record.encode() for record in records).hex()


def bad_headers() -> dict[str, tuple[object, str]]:
    good = {0: 1, 1: compactlog.REQUEST, 2: "k", 4: [SHA256], 5: 0}
    changes: dict[str, dict[int, object]] = {
        "another version": {0: 2},
        "request id of 15 bytes": {1: bytes(15)},
        "kind in capitals": {2: "K"},
        "validity before 1970": {3: -1},
        "SM3 alone": {4: [SM3]},
        "SM3 first": {4: [SM3, SHA256]},
        "offset beyond the total": {5: 3, 6: 2},
        "blinded is false": {7: False},
        "unknown key": {8: 1},
        "unknown negative key": {-1: True},
    }
    made = {name: (good | change, "malformed-compact") for name, change in changes.items()}
    lacking = {key: value for key, value in good.items() if key != 5}
    return {
        **made,
        "no offset": (lacking, "malformed-compact"),
    }


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


POLICY = Policy((LOG.vkey,), {"sz": SZ.vkey, "mo": MO.vkey}, {"peers": (2, ("sz", "mo"))}, "peers")


def proof() -> Vectors:
    data = encode_entry(PLAIN_ENTRY)
    leaves = [trees.leaf(data if index == 3 else b"entry %d" % index) for index in range(7)]
    head = Checkpoint(ORIGIN, 7, trees.root(leaves))
    both = sign_head(head, LOG, {SZ: TIME, MO: TIME + 5})
    extra = Extra(data, length=LENGTH).encode()
    made = Proof(3, tuple(trees.path(3, leaves)), both, extra)
    single = Checkpoint(ORIGIN, 1, trees.leaf(data))
    text = made.encode().decode()
    first = text.split("\n")[1]
    bad = {
        "entry changed": (swapped(made, Extra(flipped(data)).encode()), "bad-inclusion"),
        "hash changed": (replaced(made, flipped(made.hashes[0])), "bad-inclusion"),
        "hash missing": (replaced(made), "bad-inclusion"),
        "another index": (text.replace("index 3", "index 2"), "bad-inclusion"),
        "index beyond the log": (text.replace("index 3", "index 7"), "bad-inclusion"),
        "root changed": (text.replace(based(head.root), based(bytes(32))), "bad-signature"),
        "size changed": (text.replace("\n7\n", "\n8\n"), "bad-signature"),
        "no entry": (swapped(made, None), "malformed-proof"),
        "null in extra": (swapped(made, encode_cbor({0: data, 1: None})), "malformed-proof"),
        "unknown key in extra": (swapped(made, encode_cbor({0: data, 4: 1})), "malformed-proof"),
        "empty extra": (text.replace(first, "extra "), "malformed-proof"),
        "two extra lines": (text.replace(first, f"{first}\n{first}"), "malformed-proof"),
        "no index": (text.replace("index 3\n", ""), "malformed-proof"),
        "index with a zero in front": (text.replace("index 3", "index 03"), "malformed-number"),
        "another version": (text.replace("@v1", "@v2", 1), "malformed-proof"),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-proof"),
        "64 hashes": (replace(made, hashes=(bytes(32),) * 64).encode().decode(), "malformed-proof"),
    }
    whole = PLAIN_ENTRY.made_at - PLAIN_ENTRY.made_at % 60_000
    commitment = blind(SALT, ORIGIN, SHA256, DIGESTS.sha256)
    hidden = encode_entry(replace(PLAIN_ENTRY, made_at=whole, sha256=commitment, blinded=True))
    held = [trees.leaf(hidden) if index == 3 else one for index, one in enumerate(leaves)]
    secret = Proof(
        3,
        tuple(trees.path(3, held)),
        sign_head(Checkpoint(ORIGIN, 7, trees.root(held)), LOG, {SZ: TIME, MO: TIME + 5}),
        Extra(hidden, SALT, LENGTH).encode(),
    )
    partly = replace(made, note=sign_head(head, LOG, {SZ: TIME}))
    alone = replace(made, index=0, hashes=(), note=sign_head(single, LOG))
    return {
        "policy": POLICY.encode(),
        "good": [
            proved("witnessed", made, data, quorum=True, existed_by=TIME + 5),
            proved("one cosignature of two", partly, data, quorum=False, existed_by=None),
            proved("the only entry of a log", alone, data, quorum=False, existed_by=None),
            proved("blinded", secret, hidden, quorum=True, existed_by=TIME + 5),
        ],
        "salt": SALT.hex(),
        "bad": [{"name": name, "proof": bad[name][0], "code": bad[name][1]} for name in bad],
    }


def swapped(made: Proof, extra: bytes | None) -> str:
    return replace(made, extra=extra).encode().decode()


def replaced(made: Proof, *first: bytes) -> str:
    return replace(made, hashes=(*first, *made.hashes[1:])).encode().decode()


def proved(name: str, made: Proof, data: bytes, *, quorum: bool, existed_by: int | None) -> Vectors:
    text = made.encode().decode()
    told = {"index": made.index, "entry": data.hex(), "quorum": quorum, "existed_by": existed_by}
    return {"name": name, "proof": text} | told


def policy() -> Vectors:
    sz, mo = SZ.vkey.encode(), MO.vkey.encode()
    two = f"witness sz {sz}\nwitness mo {mo}\n"
    log = f"log {LOG.vkey.encode()}\n"
    notary = "# chopmark/notary/v1"
    good = {
        "two of two": (POLICY.encode(), [["sz", "mo"]], [[], ["sz"], ["mo"]]),
        "none": (f"{log}quorum none\n", [[]], []),
        "one witness": (f"{two}quorum mo\n", [["mo"], ["sz", "mo"]], [[], ["sz"]]),
        "any": (f"{two}group g any sz mo\nquorum g\n", [["sz"], ["mo"]], [[]]),
        "group of a group": (
            f"{two}group g 1 sz\ngroup h all g mo\nquorum h\n",
            [["sz", "mo"]],
            [["sz"], ["mo"]],
        ),
        "comments, tabs and URLs": (
            f"# ü\n\n \t{log.strip()} https://log.example/\t\nquorum none\n",
            [[]],
            [],
        ),
    }
    bad = {
        "no quorum": log,
        "two quorums": "quorum none\nquorum none\n",
        "last line without its end": "quorum none",
        "carriage returns": "quorum none\r\n",
        "name used before its line": f"quorum sz\n{two}",
        "name defined twice": f"witness sz {sz}\nwitness sz {mo}\nquorum none\n",
        "witness called none": f"witness none {sz}\nquorum none\n",
        "key of a witness twice": f"witness sz {sz}\nwitness mo {sz}\nquorum none\n",
        "key of a log twice": f"{log}{log}quorum none\n",
        "log with a cosigner's key": f"log {sz}\nquorum none\n",
        "witness with a log's key": f"witness sz {LOG.vkey.encode()}\nquorum none\n",
        "member of two groups": f"{two}group g any sz\ngroup h any sz mo\nquorum none\n",
        "member twice": f"{two}group g any sz sz\nquorum none\n",
        "threshold 0": f"{two}group g 0 sz mo\nquorum none\n",
        "threshold beyond the members": f"{two}group g 3 sz mo\nquorum none\n",
        "group without members": "group g any\nquorum none\n",
        "unknown word": "notary sz\nquorum none\n",
        "notaries not defined": f"{two}{notary} diploma 1 hk\nquorum sz\n",
        "notaries of a kind twice": f"{two}{notary} k 1 sz\n{notary} k 1 mo\nquorum sz\n",
    }
    notarised = f"{two}{notary} diploma 1 sz mo\n{notary} deed 2 sz mo\nquorum sz\n"
    return {
        "good": [
            {"name": name, "policy": text, "reached_by": enough, "not_reached_by": few}
            for name, (text, enough, few) in good.items()
        ],
        "notaries": [
            {"policy": notarised, "kind": kind, "reached_by": enough, "not_reached_by": few}
            for kind, enough, few in (
                ("diploma", [["sz"], ["sz", "mo"]], [[], ["mo"]]),
                ("deed", [["sz", "mo"]], [["sz"], ["mo"]]),
                ("letter", [["sz"]], [["mo"]]),
            )
        ],
        "bad": [{"name": n, "policy": t, "code": "malformed-policy"} for n, t in bad.items()],
    }


def tiles() -> Vectors:
    leaves = trees.numbered(7)
    return {
        "leaves": [value.hex() for value in leaves],
        "roots": [trees.root(leaves[:size]).hex() for size in range(8)],
        "inclusion": [
            {"index": i, "size": s, "proof": [value.hex() for value in trees.path(i, leaves[:s])]}
            for s in range(1, 8)
            for i in range(s)
        ],
        "consistency": [
            {"old": m, "new": n, "proof": [value.hex() for value in trees.proof(m, leaves[:n])]}
            for n in range(1, 8)
            for m in range(1, n + 1)
        ],
        "names": {
            "tile/0/000": [0, 0, 256],
            "tile/0/x001/x234/067": [0, 1234067, 256],
            "tile/1/001.p/17": [1, 1, 17],
            "tile/entries/273.p/112": [None, 273, 112],
        },
        "bad_names": [
            *("tile/0/0", "tile/0/x000/001", "tile/00/000", "tile/8/000", "tile/0/000.p/0"),
            *("tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000/", "/tile/0/000", "tile/0/٠٠٠"),
        ],
        "bundle": {"hex": encode_bundle([b"", b"a", b"bc"]).hex(), "entries": ["", "61", "6263"]},
        "bad_bundles": ["00", "0001", "00016100", "ffff61"],
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


def evidence() -> Vectors:
    one, other = (history(at) for at in (None, 2))
    sizes = make_evidence(Subject.SIZE, 5, grown(one, 5, 7), grown(other, 5, 5))
    entries = make_evidence(Subject.ENTRY, 2, placed(one, 2, 7), placed(other, 2, 4))
    text = sizes.encode().decode()
    stranger = log_key(ORIGIN, 9)
    thief = differing_heads(headed(one, 7), sign_head(Checkpoint(ORIGIN, 7, bytes(32)), stranger))
    honest = make_evidence(Subject.SIZE, 5, grown(one, 5, 7), grown(one, 5, 6))
    good = {
        "two heads of one size": differing_heads(headed(one, 7), headed(other, 7)),
        "a smaller head": sizes,
        "two larger heads": make_evidence(Subject.SIZE, 3, grown(one, 3, 7), grown(other, 3, 6)),
        "another entry": entries,
    }
    first = sizes.branches[0]
    bad = {
        "both heads say the same": (honest, "no-fork"),
        "a head signed by another key": (thief, "no-known-signature"),
        "value changed": (at_first(sizes, replace(first, value=bytes(32))), "bad-consistency"),
        "hash too many": (at_first(sizes, replace(first, hashes=(bytes(32),))), "bad-consistency"),
        "about another size": (replace(sizes, number=4), "bad-consistency"),
        "about another entry": (replace(entries, number=1), "bad-inclusion"),
        "larger head first": (replace(sizes, branches=sizes.branches[::-1]), "malformed-evidence"),
        "unknown subject": (text.replace("size 5\n\n", "root 5\n\n"), "malformed-evidence"),
        "another version": (text.replace("/v1", "/v2", 1), "malformed-evidence"),
        "one branch": (text[: text.rindex("\nbranch ")], "malformed-evidence"),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-evidence"),
    }
    return {
        "log": LOG.vkey.encode(),
        "good": [convicting(name, made) for name, made in good.items()],
        "bad": [{"name": n, "evidence": written(made), "code": c} for n, (made, c) in bad.items()],
    }


def history(at: int | None) -> list[bytes]:
    """Leaves of a log that says something else at an entry."""
    return [trees.leaf(b"another" if n == at else b"entry %d" % n) for n in range(7)]


def headed(leaves: list[bytes], size: int) -> bytes:
    return sign_head(Checkpoint(ORIGIN, size, trees.root(leaves[:size])), LOG)


def grown(leaves: list[bytes], size: int, head: int) -> Branch:
    proven = tuple(trees.proof(size, leaves[:head]))
    return Branch(trees.root(leaves[:size]), proven, headed(leaves, head))


def placed(leaves: list[bytes], index: int, head: int) -> Branch:
    return Branch(leaves[index], tuple(trees.path(index, leaves[:head])), headed(leaves, head))


def at_first(made: Evidence, branch: Branch) -> Evidence:
    return replace(made, branches=(branch, made.branches[1]))


def written(made: Evidence | str) -> str:
    return made if isinstance(made, str) else made.encode().decode()


def convicting(name: str, made: Evidence) -> Vectors:
    sizes = [branch.head().size for branch in made.branches]
    told = {"subject": str(made.subject), "number": made.number, "sizes": sizes}
    return {"name": name, "evidence": written(made), **told}


def described(name: str, data: bytes, value: Entry) -> Vectors:
    return {"name": name, "hex": data.hex(), "type": type(value).__name__, "fields": plain(value)}


def plain(value: Entry) -> Vectors:
    """An entry's fields as JSON has them."""
    return json.loads(json.dumps(asdict(value), default=bytes.hex))  # type: ignore[no-any-return]


def blinded(algorithm: int | str, digest: bytes) -> str:
    return blind(SALT, ORIGIN, algorithm, digest).hex()


def hexed(head: Checkpoint) -> str:
    return head.root.hex()


def based(data: bytes) -> str:
    return b64encode(data).decode()


def encode(vectors: Vectors) -> str:
    """The file's text."""
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, vectors in make_all().items():
        (FOLDER / f"{name}.json").write_text(encode(vectors), "utf-8")

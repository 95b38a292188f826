"""Vectors of signed notes and of checkpoints."""

from dataclasses import replace

import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note, Signature
from softkeys import p256_cosigner, sign_head
from vectorparts import LOG, ORIGIN, PLAIN, SZ, TIME, Vectors, based, hexed


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

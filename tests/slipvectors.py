"""The vectors of docs/formats/slip.md."""

from dataclasses import replace
from typing import Any

import trees
from chopmark.core.base45 import decode_base45, encode_base45
from chopmark.core.blinding import blind
from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import digest_stream
from chopmark.core.entry import SHA256, Attestation, Revocation, encode_entry
from chopmark.core.merkle import root_from_inclusion
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof
from chopmark.core.slip import PREFIX
from chopmark.core.slip_making import make_slip, reduce_proof
from mutations import flipped
from softkeys import SoftKey, cosigner, log_key, p256_cosigner, sign_head

ORIGIN = "bank-hk.example/hk-1"
LOG = log_key(ORIGIN)
SZ = cosigner("bank-sz.example/sz-1/cosigner", 3)
MO = p256_cosigner("bank-mo.example/mo-1/cosigner", 6)
GD = cosigner("bank-gd.example/witness", 5)
MADE_AT = 1795305600123
TIME = 1795305602
SALT = bytes(range(32))
DOCUMENT = b"a bank statement\n"
DIGESTS, LENGTH = digest_stream([DOCUMENT])
ENTRY = Attestation(MADE_AT, DIGESTS.sha256, "bank-statement", DIGESTS.sm3)
KEYS = (SZ, MO, GD)
NAMES = tuple(key.name for key in KEYS)
ODD = log_key("bank-hk.example/cosigner", 2)
POLICY = Policy(
    (LOG.vkey, ODD.vkey),
    {key.name: key.vkey for key in KEYS},
    {"quorum": (2, NAMES)},
    "quorum",
)
TEXTS = {
    "": "",
    "AB": "BB8",
    "Hello!!": "%69 VD92EX0",
    "base-45": "UJCLQE7W581",
    "ietf!": "QED8WEX0",
}
"""Those of RFC 9285, §4.3."""


def proven(
    entry: bytes,
    cosigned: dict[SoftKey, int],
    index: int = 3,
    size: int = 7,
    log: SoftKey = LOG,
    **extra: Any,
) -> Proof:
    """A proof of an entry among others of which nobody knows more than the hashes."""
    depth = len(trees.path(index, [bytes(32)] * size)) if size < 99 else (size - 1).bit_length()
    path = tuple(trees.leaf(b"hash %d" % number) for number in range(depth))
    root = root_from_inclusion(trees.leaf(entry), index, size, path)
    note = sign_head(Checkpoint(log.name, size, root), log, cosigned)
    return Proof(index, path, note, Extra(entry, **extra).encode())


ALL = {SZ: TIME + 5, GD: TIME, MO: TIME + 3}
GOOD = {
    "the two of three who came first": proven(encode_entry(ENTRY), ALL, length=LENGTH),
    "blinded": proven(
        encode_entry(
            replace(
                ENTRY,
                made_at=MADE_AT - MADE_AT % 60_000,
                sha256=blind(SALT, ORIGIN, SHA256, DIGESTS.sha256),
                sm3=None,
                blinded=True,
            )
        ),
        {SZ: TIME, MO: TIME},
        salt=SALT,
    ),
    "the only entry of its log": proven(encode_entry(ENTRY), ALL, 0, 1),
    "an origin that ends as a key's name does": proven(encode_entry(ENTRY), ALL, log=ODD),
    "a log beyond 53 bits": proven(encode_entry(ENTRY), ALL, 2**62 + 1, 2**63 - 1),
}


def slip() -> dict[str, Any]:
    """Proofs and their slips, and texts that are none."""
    return {
        "policy": POLICY.encode(),
        "base45": [{"text": text, "base45": coded} for text, coded in TEXTS.items()],
        "good": [
            {
                "name": name,
                "source": made.encode().decode(),
                "slip": make_slip(made, POLICY),
                "proof": reduce_proof(made, POLICY).encode().decode(),
            }
            for name, made in GOOD.items()
        ],
        "provisional": proven(encode_entry(ENTRY), {SZ: TIME}).encode().decode(),
        "no_attestation": proven(encode_entry(Revocation(MADE_AT, 1, 4)), ALL).encode().decode(),
        "bad": [
            {"name": name, "slip": text, "code": code} for name, (text, code) in _bad().items()
        ],
    }


def _bad() -> dict[str, tuple[str, str]]:
    good = make_slip(GOOD["blinded"], POLICY)
    value = decode_cbor(decode_base45(good.removeprefix(PREFIX)))
    if not isinstance(value, dict):
        raise TypeError
    lines = value[5]
    changes: dict[str, tuple[dict[int, object], str]] = {
        "another index": ({0: 2}, "malformed-slip"),
        "index beyond the log": ({0: 7}, "malformed-slip"),
        "negative index": ({0: -1}, "malformed-slip"),
        "size beyond 63 bits": ({1: 2**63}, "malformed-slip"),
        "size is true": ({1: True}, "malformed-slip"),
        "hash changed": ({2: flipped(value[2])}, "malformed-slip"),
        "hash missing": ({2: value[2][32:]}, "malformed-slip"),
        "hash too many": ({2: value[2] + bytes(32)}, "malformed-slip"),
        "hash of 31 bytes": ({2: value[2][1:]}, "malformed-slip"),
        "hashes as text": ({2: "hash"}, "malformed-slip"),
        "64 hashes": ({2: bytes(32 * 64)}, "malformed-slip"),
        "another origin": ({3: ORIGIN + "x"}, "malformed-slip"),
        "origin in capitals": ({3: ORIGIN.upper()}, "malformed-origin"),
        "reserved origin": ({3: "chopmark/x"}, "malformed-origin"),
        "origin as bytes": ({3: ORIGIN.encode()}, "malformed-slip"),
        "entry changed": ({4: flipped(value[4])}, "malformed-slip"),
        "entry of 241 bytes": ({4: bytes(241)}, "malformed-slip"),
        "no signature": ({5: []}, "malformed-slip"),
        "signature without a name": ({5: [*lines, lines[0]]}, "malformed-slip"),
        "signature changed": ({5: [flipped(lines[0]), *lines[1:]]}, "malformed-slip"),
        "signature of 4 bytes": ({5: [lines[0][:4]]}, "malformed-slip"),
        "signature as text": ({5: ["x"]}, "malformed-slip"),
        "key name with a space": ({5: [lines[0], "a b", lines[2]]}, "malformed-key-name"),
        "key name as bytes": ({5: [lines[0], b"a", lines[2]]}, "malformed-slip"),
        "check changed": ({6: flipped(value[6])}, "malformed-slip"),
        "check of 5 bytes": ({6: value[6] + b"\0"}, "malformed-slip"),
        "salt of 31 bytes": ({7: SALT[1:]}, "malformed-slip"),
        "salt is null": ({7: None}, "malformed-slip"),
        "unknown key": ({8: 1}, "malformed-slip"),
        "negative key": ({-1: 1}, "malformed-slip"),
    }
    made = {name: (_text(value | change), code) for name, (change, code) in changes.items()}
    spelt = {**value, 5: [lines[0], f"{lines[1]}cosigner", *lines[2:]]}
    raw = encode_cbor(value)
    return made | {
        "no salt": (_text({key: value[key] for key in range(7)}), "malformed-slip"),
        "no origin": (_text({k: v for k, v in value.items() if k != 3}), "malformed-slip"),
        "a name that is not shortened": (_text(spelt), "malformed-slip"),
        "an array": (PREFIX + encode_base45(b"\x80"), "malformed-slip"),
        "a byte too many": (PREFIX + encode_base45(raw + b"\0"), "malformed-cbor"),
        "cut short": (PREFIX + encode_base45(raw[:-1]), "malformed-cbor"),
        "a character alone": (PREFIX + "0", "malformed-base45"),
        "lower case": (good.lower(), "malformed-slip"),
        "a lower-case letter": (good[:40] + "a" + good[41:], "malformed-base45"),
        "a group beyond two bytes": (PREFIX + ":::", "malformed-base45"),
        "a group beyond one byte": (PREFIX + "::", "malformed-base45"),
        "a line feed in it": (good[:40] + "\n" + good[40:], "malformed-base45"),
        "another version": (good.replace("1:", "2:", 1), "malformed-slip"),
        "another text": ("HTTPS://BANK.EXAMPLE/1", "malformed-slip"),
        "nothing": ("", "malformed-slip"),
        "more than a code holds": (PREFIX + "0" * 4287, "malformed-slip"),
    }


def _text(value: dict[Any, object]) -> str:
    return PREFIX + encode_base45(encode_cbor(value))

"""Vectors of consents and uses: bodies, commitments, and the proofs that show them."""

from dataclasses import replace
from typing import Any

import trees
from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.consent import (
    CONSENT,
    USE,
    Body,
    Consent,
    Use,
    add_records,
    commit,
    seal,
    show,
)
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof, parse_extra
from mutations import flipped
from softkeys import SoftKey, log_key, sign_head
from vectorparts import LENGTH, LOG, MADE_AT, MO, ORIGIN, PLAIN_ENTRY, SALT, SZ, TIME, Vectors

RECEIVER = log_key("bank-sz.example/sz-1", 31)
DATA = encode_entry(PLAIN_ENTRY)
GIVEN = Consent(
    ORIGIN, 3, trees.leaf(DATA), RECEIVER.name, "sme-loan", MADE_AT + 86_400_000, "sme-loan-hk-sz"
)
POLICY = Policy(
    (LOG.vkey, RECEIVER.vkey),
    {"sz": SZ.vkey, "mo": MO.vkey},
    {"peers": (1, ("sz", "mo"))},
    "peers",
)
_PLACE = {CONSENT: 5, USE: 1}


def entry_of(body: Body, salt: bytes = SALT, made_at: int = MADE_AT + 1000) -> bytes:
    kind = CONSENT if isinstance(body, Consent) else USE
    return encode_entry(Commitment(made_at, kind, commit(salt, body.encode())))


def prove(data: bytes, index: int, log: SoftKey = LOG, size: int = 7) -> Proof:
    """An entry of a log that has the attestation at 3."""
    known = {3: DATA} if log is LOG else {}
    leaves = [trees.leaf((known | {index: data}).get(at, b"entry %d" % at)) for at in range(size)]
    head = Checkpoint(log.name, size, trees.root(leaves))
    note = sign_head(head, log, {SZ: TIME, MO: TIME + 5})
    return Proof(index, tuple(trees.path(index, leaves)), note, Extra(data).encode())


def used() -> Use:
    return Use(
        *(ORIGIN, 3, trees.leaf(DATA), RECEIVER.name, "sme-loan", "sme-loan-hk-sz"),
        consent=(5, trees.leaf(entry_of(GIVEN))),
    )


def shown_consent() -> Proof:
    return seal(prove(entry_of(GIVEN), 5), SALT, GIVEN)


def shown_use() -> Proof:
    return seal(prove(entry_of(used()), 1, RECEIVER), SALT, used())


def document() -> Proof:
    """The document's own proof, without consents."""
    made = prove(DATA, 3)
    return replace(made, extra=Extra(DATA, length=LENGTH).encode())


def consent() -> Vectors:
    consented, using, proof = shown_consent(), shown_use(), document()
    carrying = add_records(proof, [show(consented), show(using)])
    return {
        "policy": POLICY.encode(),
        "salt": SALT.hex(),
        "bodies": [_told(name, body) for name, body in _bodies().items()],
        "bad bodies": [
            {"name": name, "hex": encode_cbor(value).hex(), "code": code}
            for name, (value, code) in _bad_bodies().items()
        ],
        "good": [
            {"name": name, "proof": one.encode().decode(), "index": one.index}
            for name, one in (("consent", consented), ("use", using))
        ],
        "bad": [
            {"name": name, "proof": one.encode().decode(), "code": code}
            for name, (one, code) in _bad_proofs().items()
        ],
        "carrying": {
            "bare": proof.encode().decode(),
            "proof": carrying.encode().decode(),
            "records": [consented.encode().decode(), using.encode().decode()],
        },
        "bad carrying": [
            {"name": name, "hex": encode_cbor(value).hex(), "code": code}
            for name, (value, code) in _bad_lists().items()
        ],
    }


def _bodies() -> dict[str, Body]:
    return {
        "consent": GIVEN,
        "consent of a roster without scenarios": replace(GIVEN, scenario=None),
        "use": used(),
        "use where no consent is demanded": replace(used(), consent=None),
    }


def _told(name: str, body: Body) -> dict[str, Any]:
    data = body.encode()
    fields = {
        "origin": body.origin,
        "index": body.index,
        "leaf": body.leaf.hex(),
        "receiver": body.receiver,
        "purpose": body.purpose,
        "scenario": body.scenario,
        "until": body.until if isinstance(body, Consent) else None,
    }
    return {"name": name, "hex": data.hex(), "commitment": commit(SALT, data).hex()} | fields


def _bad_bodies() -> dict[str, tuple[object, str]]:
    good: dict[int, object] = {
        0: 1,
        1: 3,
        2: ORIGIN,
        3: 3,
        4: bytes(32),
        5: RECEIVER.name,
        6: "sme-loan",
        8: MADE_AT,
    }
    using: dict[int, object] = {
        **{key: value for key, value in good.items() if key != 8},
        1: 4,
        9: 5,
        10: bytes(32),
    }
    return {
        "another version": (good | {0: 2}, "malformed-body"),
        "version as a flag": (good | {0: True}, "malformed-body"),
        "of an attestation": (good | {1: 1}, "malformed-body"),
        "consent without an end": (using | {1: 3}, "malformed-body"),
        "use with an end": (using | {8: MADE_AT}, "malformed-body"),
        "a field more": (good | {11: 1}, "malformed-body"),
        "no attestation": ({k: v for k, v in good.items() if k != 4}, "malformed-body"),
        "hash of 31 bytes": (good | {4: bytes(31)}, "malformed-body"),
        "index below zero": (good | {3: -1}, "malformed-body"),
        "index as a text": (good | {3: "3"}, "malformed-body"),
        "end as a flag": (good | {8: True}, "malformed-body"),
        "purpose of two words": (good | {6: "sme loan"}, "malformed-purpose"),
        "purpose as a number": (good | {6: 1}, "malformed-body"),
        "no purpose": (good | {6: ""}, "malformed-purpose"),
        "scenario with capitals": (good | {7: "SME"}, "malformed-purpose"),
        "receiver that is no origin": (good | {5: "Bank of SZ"}, "malformed-origin"),
        "half of a consent": ({k: v for k, v in using.items() if k != 10}, "malformed-body"),
        "an array": (list(good.values()), "malformed-body"),
        "too long": (good | {5: "a" * 1100}, "malformed-body"),
    }


def _bad_proofs() -> dict[str, tuple[Proof, str]]:
    good, using = shown_consent(), shown_use()
    entry, body = entry_of(GIVEN), GIVEN.encode()
    other = replace(GIVEN, purpose="mortgage").encode()

    def extra(made: Extra) -> Proof:
        return replace(good, extra=made.encode())

    elsewhere = seal_unseen(prove(entry_of(GIVEN), 5, RECEIVER), GIVEN)
    early = replace(GIVEN, index=6)
    type4 = encode_entry(Commitment(MADE_AT, USE, commit(SALT, body)))
    return {
        "another purpose": (extra(Extra(entry, SALT, bodies=other)), "bad-commitment"),
        "another salt": (extra(Extra(entry, flipped(SALT), bodies=body)), "bad-commitment"),
        "body of a use in a consent": (
            extra(Extra(entry, SALT, bodies=used().encode())),
            "bad-commitment",
        ),
        "consent in the entry of a use": (
            seal_unseen(prove(type4, 5), GIVEN),
            "bad-commitment",
        ),
        "consent in another log": (elsewhere, "bad-commitment"),
        "use in another log": (
            seal_unseen(prove(entry_of(used()), 5), used()),
            "bad-commitment",
        ),
        "consent before its attestation": (
            seal_unseen(prove(entry_of(early), 5), early),
            "bad-commitment",
        ),
        "no salt": (extra(Extra(entry, bodies=body)), "malformed-body"),
        "no body": (extra(Extra(entry, SALT)), "malformed-body"),
        "attestation": (extra(Extra(DATA, SALT, bodies=body)), "malformed-body"),
        "entry changed": (
            extra(Extra(entry[:-1] + bytes([entry[-1] ^ 1]), SALT, bodies=body)),
            "bad-commitment",
        ),
        "another index": (replace(good, index=4), "bad-inclusion"),
        "hash changed": (
            replace(using, hashes=(flipped(using.hashes[0]), *using.hashes[1:])),
            "bad-inclusion",
        ),
    }


def seal_unseen(proof: Proof, body: Body) -> Proof:
    """As `seal`, without its checks."""
    entry = parse_extra(proof.extra).entry
    return replace(proof, extra=Extra(entry, SALT, bodies=body.encode()).encode())


def _bad_lists() -> dict[str, tuple[object, str]]:
    good = shown_consent().encode()
    return {
        "a map": ({0: good}, "malformed-body"),
        "nothing": ([], "malformed-body"),
        "a text": ([good.decode()], "malformed-body"),
        "too many": ([good] * 49, "malformed-body"),
        "a document's proof": ([document().encode()], "malformed-body"),
        "cut short": ([good[:-1]], "malformed-note"),
    }

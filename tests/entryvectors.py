"""Vectors of entries."""

from dataclasses import replace

from chopmark.core.blinding import blind, derive_salts, extract_seed
from chopmark.core.cbor import encode_cbor
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
from vectorparts import DIGESTS, DOCUMENT, MADE_AT, ORIGIN, PLAIN_ENTRY, SALT, Vectors, plain


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


def described(name: str, data: bytes, value: Entry) -> Vectors:
    return {"name": name, "hex": data.hex(), "type": type(value).__name__, "fields": plain(value)}


def blinded(algorithm: int | str, digest: bytes) -> str:
    return blind(SALT, ORIGIN, algorithm, digest).hex()

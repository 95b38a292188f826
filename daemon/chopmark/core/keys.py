"""Verifier keys of signed notes (C2SP signed-note, tlog-cosignature): vkeys, key ids, checks.

A key is the pair of a name and a public key of one type. Types that we read: 0x01 Ed25519,
0x02 ECDSA P-256 with SHA-256, 0x04 timestamped Ed25519 cosignature, and 0xff with our identifier
`chopmark/cosignature-p256/v1`: the same by a P-256 key, for HSMs without Ed25519.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from chopmark.core.errors import MalformedError
from chopmark.core.text import MAX_INT, encode_base64, parse_base64

ED25519: Final = 0x01
ECDSA_P256: Final = 0x02
COSIGNATURE: Final = 0x04
OTHER: Final = 0xFF
"""A type that C2SP has not assigned: an identifier follows it."""
COSIGNATURE_P256: Final = b"chopmark/cosignature-p256/v1"

_ECDSA_SHA256: Final = ECDSA(SHA256())

MAX_NAME: Final = 128
"""Characters in the name of a key that we know."""
_KEY_NAME: Final = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")
"""No Unicode space, no plus, no control character, and no half of a surrogate pair."""
_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y of Ed25519's points of small order: OpenSSL takes them, and anyone can sign by them."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key.

    Attributes:
        name: key name; for a log it is the log's origin.
        type: signature type byte; 0xff stands for our P-256 cosignature.
        public: 32 raw bytes for Ed25519 types, DER SubjectPublicKeyInfo for ECDSA.
    """

    name: str
    type: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, identify the key (C2SP signed-note, §Signatures)."""
        return _key_id(self.name, self.type, self.identifier + self.public)

    @property
    def is_cosigner(self) -> bool:
        """Whether its signatures are cosignatures, which bear a time."""
        return self.type in (COSIGNATURE, OTHER)

    @property
    def is_p256(self) -> bool:
        """Whether it is an ECDSA key, and its signatures are DER."""
        return self.type in (ECDSA_P256, OTHER)

    @property
    def identifier(self) -> bytes:
        """What follows the type byte of a type that C2SP has not assigned."""
        return COSIGNATURE_P256 + b"\n" if self.type == OTHER else b""

    def encode(self) -> str:
        """The vkey text: name, hexadecimal key id and base64 of type and key, joined by `+`."""
        body = encode_base64(bytes([self.type]) + self.identifier + self.public)
        return f"{self.name}+{self.key_id.hex()}+{body}"

    def verify(self, text: bytes, payload: bytes) -> int | None:
        """Check one signature payload over a note's text.

        Returns:
            The signed time in seconds since the Unix epoch for a cosignature, otherwise 0;
            None if the signature is not good.
        """
        if self.is_cosigner:
            return _verify_cosignature(self, text, payload)
        verify = _verify_ecdsa if self.type == ECDSA_P256 else _verify_ed25519
        return 0 if verify(self.public, text, payload) else None


@lru_cache(maxsize=1024)
def _key_id(name: str, kind: int, public: bytes) -> bytes:
    """Hashed once for each key: every line of every note is looked up by it."""
    if kind == ECDSA_P256:
        return hashlib.sha256(public).digest()[:4]
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey.

    Raises:
        MalformedError: `malformed-vkey`, and `unknown-key-type` for types that we do not read.
    """
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise MalformedError("malformed-vkey", f"not a vkey `name+hash+key`: {text[:80]!r}")
    name, key_hash, body = parts
    check_key_name(name)
    if len(name) > MAX_NAME or not name.isprintable():
        raise MalformedError("malformed-key-name", f"not a name that we can show: {name[:80]!r}")
    blob = parse_base64(body, "the key of a vkey")
    key = _read_key(name, blob)
    _check_public(key)
    if key.key_id.hex() != key_hash:
        raise MalformedError("malformed-vkey", f"the key hash of vkey {name!r} does not match")
    return key


def check_key_name(name: str) -> None:
    """Refuse key names that the note format does not allow (C2SP signed-note, §Format).

    Raises:
        MalformedError: `malformed-key-name`.
    """
    if not _KEY_NAME.fullmatch(name):
        raise MalformedError("malformed-key-name", f"not a key name: {name[:80]!r}")


def cosigned_message(time: int, text: bytes) -> bytes:
    """The bytes that a cosignature signs (C2SP tlog-cosignature, type 0x04).

    Args:
        time: seconds since the Unix epoch.
        text: the checkpoint's whole note text.
    """
    return b"cosignature/v1\ntime %d\n" % time + text


def encode_spki(key: EllipticCurvePublicKey) -> bytes:
    """DER SubjectPublicKeyInfo of a P-256 public key."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read_key(name: str, blob: bytes) -> VerifierKey:
    """The key in the body of a vkey; of a type that we do not know whatever it says."""
    ours = bytes([OTHER]) + COSIGNATURE_P256 + b"\n"
    if blob.startswith(ours):
        return VerifierKey(name, OTHER, blob.removeprefix(ours))
    known = blob and blob[0] != OTHER
    return VerifierKey(name, blob[0] if known else -1, blob[1:])


def _check_public(key: VerifierKey) -> None:
    if key.type in (ED25519, COSIGNATURE):
        if not _is_ed25519(key.public):
            raise MalformedError("malformed-vkey", f"key {key.name!r} is no Ed25519 public key")
    elif key.is_p256:
        if _load_p256(key.public) is None:
            raise MalformedError("malformed-vkey", f"key {key.name!r} is no P-256 public key")
    else:
        message = f"key {key.name!r} has a type that this version does not read"
        raise MalformedError("unknown-key-type", message, hint="update the software")


def _is_ed25519(public: bytes) -> bool:
    """Whether a key is spelt as RFC 8032 §5.1.2 has it, and not of small order."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return len(public) == 32 and y < _FIELD and y not in _SMALL_ORDER


@lru_cache(maxsize=256)
def _load_p256(spki: bytes) -> EllipticCurvePublicKey | None:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        return None
    p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    if not p256 or encode_spki(key) != spki:  # type: ignore[arg-type]  # p256 narrows it
        return None
    return key  # type: ignore[return-value]  # p256 narrows it


def _verify_ecdsa(spki: bytes, message: bytes, payload: bytes) -> bool:
    key = _load_p256(spki)
    if key is None:
        return False
    try:
        key.verify(payload, message, _ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


def _verify_ed25519(public: bytes, message: bytes, payload: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(payload, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_cosignature(key: VerifierKey, text: bytes, payload: bytes) -> int | None:
    time = int.from_bytes(payload[:8], "big")
    if len(payload) <= 8 or not 0 < time <= MAX_INT:
        return None
    verify = _verify_ecdsa if key.is_p256 else _verify_ed25519
    return time if verify(key.public, cosigned_message(time, text), payload[8:]) else None

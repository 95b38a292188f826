"""Vectors of support bundles, by another HPKE: RFC 9180 written out, with fixed keys."""

import hashlib
import hmac
import json
import zlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

MAGIC = b"chopmark/bundle/v1\n"
KEM = b"KEM\x00\x20"
SUITE = b"HPKE\x00\x20\x00\x01\x00\x02"
"""DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (RFC 9180 §7)."""
OFFICE = X25519PrivateKey.from_private_bytes(bytes([7]) * 32)
OTHER = X25519PrivateKey.from_private_bytes(bytes([8]) * 32)
EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes([9]) * 32)
FILES = {"about.json": '{"format": 1}', "log.txt": "a line\nand 一行\n"}


def hpke_seal(text: bytes, key: X25519PublicKey, info: bytes, own: X25519PrivateKey) -> bytes:
    """RFC 9180 §5.1.1 and §5.2: `enc` and then what AES-256-GCM gives."""
    enc = own.public_key().public_bytes_raw()
    context = enc + key.public_bytes_raw()
    prk = _extract(KEM, b"", b"eae_prk", own.exchange(key))
    shared = _expand(KEM, prk, b"shared_secret", context, 32)
    hashes = _extract(SUITE, b"", b"psk_id_hash", b""), _extract(SUITE, b"", b"info_hash", info)
    schedule = b"\x00" + b"".join(hashes)
    secret = _extract(SUITE, shared, b"secret", b"")
    aead = AESGCM(_expand(SUITE, secret, b"key", schedule, 32))
    return enc + aead.encrypt(_expand(SUITE, secret, b"base_nonce", schedule, 12), text, b"")


def key_id(key: X25519PublicKey) -> bytes:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()[:8]


def pem(key: X25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def make(text: bytes, key: X25519PrivateKey = OFFICE) -> bytes:
    """A bundle of these bytes, packed or not."""
    head = MAGIC + key_id(key.public_key())
    return head + hpke_seal(text, key.public_key(), head, EPHEMERAL)


def pack(files: object) -> bytes:
    text = json.dumps({"files": files}, ensure_ascii=False, sort_keys=True).encode()
    return zlib.compress(text, 0)  # stored: the same whatever zlib there is


def bundle() -> dict[str, Any]:
    good = make(pack(FILES))
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    bad = {
        "another header": b"chopmark/bundle/v2\n" + good[19:],
        "cut off": good[:-20],
        "one bit flipped": flipped,
        "for another key": make(pack(FILES), OTHER),
        "another key's number": MAGIC + key_id(OFFICE.public_key()) + make(pack(FILES), OTHER)[27:],
        "a name with a folder": make(pack({"../about.json": "x"})),
        "a text that is no text": make(pack({"about.json": 1})),
        "no list of texts": make(zlib.compress(b"{}", 0)),
        "something behind what is packed": make(pack(FILES) + b"x"),
        "not packed": make(b"{}"),
    }
    return {
        "private_key": pem(OFFICE),
        "good": [{"name": "two texts", "hex": good.hex(), "files": FILES}],
        "bad": [{"name": name, "hex": data.hex()} for name, data in bad.items()],
    }


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    block = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01"
    return hmac.digest(prk, block, "sha256")[:length]

"""Texts of configurations for tests: a good one, and keys for it."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chopmark.core.keys import COSIGNATURE, ECDSA_P256, ED25519, VerifierKey, encode_spki

BASE = """\
[gateway]
id = "hk-1"
origin = "bank-hk.example/hk-1"
institution = "Bank of Hong Kong (example)"
jurisdiction = "HK"

[hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"
token_label = "hk-1"

[[broker]]
host = "127.0.0.1"
"""
TLS = """\
[broker.tls]
ca = "/ca.pem"
certificate = "/hk-1.pem"
key = "/hk-1.key"
"""


def ed25519(name: str, seed: str, type_: int = ED25519) -> VerifierKey:
    """An Ed25519 verifier key from a word."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    return VerifierKey(name, type_, private.public_key().public_bytes_raw())


def cosigner(name: str, seed: str) -> VerifierKey:
    """A cosigner's verifier key from a word."""
    return ed25519(name, seed, COSIGNATURE)


def p256(name: str, secret: int) -> VerifierKey:
    """A P-256 verifier key from a number."""
    spki = encode_spki(derive_private_key(secret, SECP256R1()).public_key())
    return VerifierKey(name, ECDSA_P256, spki)


def peer_block(**changes: str) -> str:
    """A `[[peer]]` block for sz-1; `changes` replace values, in TOML."""
    origin = "bank-sz.example/sz-1"
    return _block("sz-1", p256(origin, 7), cosigner(f"{origin}/cosigner", "sz"), changes)


def other_peer(**changes: str) -> str:
    """A `[[peer]]` block for mo-1, which shares nothing with sz-1."""
    origin = "bank-mo.example/mo-1"
    return _block("mo-1", ed25519(origin, "mo"), cosigner(f"{origin}/cosigner", "mo-c"), changes)


def _block(id_: str, log: VerifierKey, second: VerifierKey, changes: dict[str, str]) -> str:
    values = {
        "id": f'"{id_}"',
        "origin": f'"{log.name}"',
        "log_vkey": f'"{log.encode()}"',
        "cosigner_vkey": f'"{second.encode()}"',
        "institution": '"Bank of Shenzhen (example)"',
        "jurisdiction": '"CN"',
        "kinds": '["*"]',
    }
    lines = [f"{key} = {value}" for key, value in (values | changes).items()]
    return "\n".join(["", "[[peer]]", *lines, ""])

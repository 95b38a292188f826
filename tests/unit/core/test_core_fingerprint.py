"""Fingerprints of keys are those that other tools print."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import VerifierKey
from configs import cosigner, ed25519, p256

KEYS = [
    p256("log.example/a", 3),
    ed25519("log.example/a", "a"),
    cosigner("log.example/a/cosigner", "a"),
]


@pytest.mark.parametrize("key", KEYS)
def test_fingerprint_of_a_key_is_that_of_its_spki(key: VerifierKey, tmp_path: Path) -> None:
    spki = encode_public(key)
    load_der_public_key(spki)
    path = tmp_path / "key.der"
    path.write_bytes(spki)
    made = subprocess.run(
        ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", path, "-outform", "DER"],
        check=True,
        capture_output=True,
    )
    assert Fingerprint(spki).hex == hashlib.sha256(made.stdout).hexdigest()


def test_fingerprint_is_matched_in_hexadecimal_and_in_words() -> None:
    made = Fingerprint(b"some bytes")
    assert len(made.words.split("-")) == 8
    assert made.matches(made.words.upper().replace("-", " "))
    assert made.matches(made.hex)
    assert not made.matches(made.words[:-1])

"""Fingerprints: what people compare, by eye or over a telephone, in place of the thing itself."""

import hashlib
from typing import Final

from chopmark.core.keys import VerifierKey
from chopmark.core.proquint import spell

_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 §4)."""


class Fingerprint:
    """SHA-256 of some bytes in hexadecimal, and in words: its first 16 bytes as eight proquints."""

    def __init__(self, data: bytes) -> None:
        self.digest = hashlib.sha256(data).digest()

    @property
    def hex(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self.digest.hex()

    @property
    def words(self) -> str:
        """Eight words of five letters."""
        return spell(self.digest[:16])

    def matches(self, said: str) -> bool:
        """Whether an operator's fingerprint, in hexadecimal or in words, is this one."""
        plain = "-".join(said.lower().split())
        return plain.replace("-", "") == self.hex or plain == self.words


def encode_public(key: VerifierKey) -> bytes:
    """DER SubjectPublicKeyInfo of a verifier key: the same whatever name and type it goes by.

    The fingerprint of a key is that of these bytes, as other tools print it too:
    `openssl pkey -pubin -outform DER | sha256sum`.
    """
    return key.public if key.is_p256 else _ED25519_SPKI + key.public

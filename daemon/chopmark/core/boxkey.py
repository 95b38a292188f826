"""The key of a gateway's box: head office seals to it what only this box may know.

Written as a line `name+hash+key`, as a vkey is (docs/formats/enrolment.md). Sealing is HPKE
(RFC 9180, base mode) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM; what is sealed
is the encapsulated key and the ciphertext, one behind the other.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.text import encode_base64, parse_base64

IDENTIFIER: Final = b"chopmark/box-x25519/v1\n"
"""What stands before the key where it is hashed; not in the line, which fits into a terminal's."""
SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_KEY: Final = 32


@dataclass(frozen=True, slots=True)
class BoxKey:
    """The public half: the box's name, such as its serial number, and 32 bytes of X25519."""

    name: str
    public: bytes

    def encode(self) -> str:
        """The line."""
        hashed = self.name.encode() + b"\n" + IDENTIFIER + self.public
        short = hashlib.sha256(hashed).hexdigest()[:8]
        return f"{self.name}+{short}+{encode_base64(self.public)}"

    def seal(self, secret: bytes, about: bytes) -> bytes:
        """Encrypt for this box; `about` must be known to open it. Each time something else."""
        return SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(self.public), about)


def box_key_of(name: str, private: X25519PrivateKey) -> BoxKey:
    """The public half of a key."""
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return BoxKey(name, public)


def parse_box_key(text: str) -> BoxKey:
    """Read a line.

    Raises:
        MalformedError: `malformed-box-key`, `malformed-base64`.
    """
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise _malformed(f"not the key of a box `name+hash+key`: {text[:80]!r}")
    name, _, body = parts
    check_box_name(name)
    public = parse_base64(body, "the key of a box")
    if len(public) != _KEY:
        raise _malformed(f"{name} has no X25519 key of a box")
    key = BoxKey(name, public)
    if key.encode() != text:
        raise _malformed(f"the hash in the key of the box {name} does not match")
    return key


def check_box_name(name: str) -> None:
    """Refuse what is no name of a box.

    Raises:
        MalformedError: `malformed-box-key`.
    """
    if not _NAME.fullmatch(name):
        raise _malformed("the name of a box is 1 to 64 of A-Z, a-z, 0-9, . _ and -")


def unseal(sealed: bytes, private: X25519PrivateKey, about: bytes) -> bytes:
    """Open what was sealed to a box.

    Raises:
        RefusedError: `not-for-this-box`: sealed to another key, about something else, or altered.
    """
    try:
        return SUITE.decrypt(sealed, private, about)
    except (InvalidTag, ValueError) as error:
        message = "what is sealed in this file does not open with the key of this box"
        hint = "have it made anew for this box: `show technicians` has its key"
        raise RefusedError("not-for-this-box", message, hint=hint) from error


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-box-key", message)

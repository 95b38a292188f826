"""The support bundle: texts, packed and encrypted to head office (docs/formats/bundle.md).

HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Whoever has the
public key can make one: what is in it is its maker's claim, and is read with care.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from chopmark.core.errors import MalformedError, RefusedError

MAGIC: Final = b"chopmark/bundle/v1\n"
MAX_BUNDLE: Final = 1024 * 1024
"""Bytes of a bundle: a minute and a half on a line of 115,200 baud."""
MAX_FILES: Final = 64
MAX_UNPACKED: Final = 16 * 1024 * 1024
MAX_KEY: Final = 16 * 1024
"""Bytes of a file with a key."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\.(?:json|txt|toml)", re.ASCII)
_ID: Final = 8
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal(files: Mapping[str, str], key: X25519PublicKey) -> bytes:
    """Pack and encrypt texts by name.

    Raises:
        RefusedError: `bundle-too-large`.
    """
    if len(files) > MAX_FILES or any(not _NAME.fullmatch(name) for name in files):
        raise ValueError("not names of a bundle's texts")
    text = json.dumps({"files": dict(files)}, ensure_ascii=False, sort_keys=True).encode()
    packed = zlib.compress(text, 9)
    head = MAGIC + key_id(key)
    data = head + _SUITE.encrypt(packed, key, info=head)
    if len(text) > MAX_UNPACKED or len(data) > MAX_BUNDLE:
        message = f"a bundle of {len(data)} bytes, where {MAX_BUNDLE} are the most"
        raise RefusedError("bundle-too-large", message, hint="collect fewer lines of the log")
    return data


def open_bundle(data: bytes, key: X25519PrivateKey) -> dict[str, str]:
    """Decrypt and unpack; gives texts by names that are plain file names.

    Raises:
        MalformedError: `malformed-bundle`.
        RefusedError: `bundle-not-ours`: it was made for another key, or was changed.
    """
    head, rest = data[: len(MAGIC) + _ID], data[len(MAGIC) + _ID :]
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + _ID or len(data) > MAX_BUNDLE:
        raise _malformed("no support bundle of a version that is known here")
    if head[len(MAGIC) :] != key_id(key.public_key()):
        message = f"it is encrypted to the key {head[len(MAGIC) :].hex()}"
        hint = f"this is the key {key_id(key.public_key()).hex()}"
        raise RefusedError("bundle-not-ours", message, hint=hint)
    try:
        packed = _SUITE.decrypt(rest, key, info=head)
    except (InvalidTag, ValueError) as error:
        hint = "have it sent again, and compare lengths"
        message = "it was changed on the way, or cut off"
        raise RefusedError("bundle-not-ours", message, hint=hint) from error
    return _unpack(packed)


def key_id(key: X25519PublicKey) -> bytes:
    """The first 8 bytes of the SHA-256 of a key's DER SubjectPublicKeyInfo."""
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).digest()[:_ID]


def parse_public(data: bytes) -> X25519PublicKey:
    """Head office's public key, from PEM (RFC 8410).

    Raises:
        MalformedError: `malformed-key`.
    """
    try:
        key = load_pem_public_key(data[:MAX_KEY])
    except ValueError as error:
        raise _bad_key("public") from error
    if not isinstance(key, X25519PublicKey):
        raise _bad_key("public")
    return key


def parse_private(data: bytes, password: bytes | None = None) -> X25519PrivateKey:
    """Head office's private key, from PEM (PKCS#8); raises as `parse_public`."""
    try:
        key = load_pem_private_key(data[:MAX_KEY], password)
    except (ValueError, TypeError) as error:
        raise _bad_key("private") from error
    if not isinstance(key, X25519PrivateKey):
        raise _bad_key("private")
    return key


def _unpack(packed: bytes) -> dict[str, str]:
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, MAX_UNPACKED)
        if not unpacking.eof or unpacking.unused_data:
            raise _malformed("what is packed in it is too large, or cut off")
        files = json.loads(text)["files"]
    except (zlib.error, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _malformed("what is packed in it is damaged") from error
    if not isinstance(files, dict) or len(files) > MAX_FILES:
        raise _malformed("it has no list of texts, or too many")
    for name, one in files.items():
        if not _NAME.fullmatch(name) or not isinstance(one, str):
            raise _malformed(f"it has something of the name {name[:60]!r}")
    return files


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-bundle", message, hint="is the file whole?")


def _bad_key(half: str) -> MalformedError:
    hint = "`openssl genpkey -algorithm X25519` makes one (docs/formats/bundle.md)"
    return MalformedError("malformed-key", f"no {half} X25519 key in PEM", hint=hint)

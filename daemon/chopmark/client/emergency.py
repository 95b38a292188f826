"""The offline emergency key of a member: a file in a safe, which can suspend that member."""

import time
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chopmark.client.files import read_bounded, write_new
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.member import check_member_id
from chopmark.core.note import Note, Signature
from chopmark.core.suspension import Suspension, emergency_name

MODE: Final = 0o600
_MAX_KEY: Final = 4096


def make_emergency_key(origin: str, path: Path) -> str:
    """Make a key and write it, as unencrypted PKCS#8; gives its vkey.

    Raises:
        MalformedError: `malformed-origin`.
        ExistsError: `file-exists`; nothing is ever overwritten.
    """
    check_origin(origin)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(path, pem, MODE)
    return _verifier(origin, key).encode()


def write_suspension(member: str, origin: str, key: Path, path: Path) -> str:
    """Write the note by which a member's emergency key suspends it; gives its text.

    Raises:
        MalformedError: `malformed-key` if the file holds no Ed25519 key.
        ExistsError: `file-exists`.
    """
    check_member_id(member)
    check_origin(origin)
    private = _read(key)
    text = Suspension(member, origin, int(time.time())).encode()
    verifier = _verifier(origin, private)
    line = Signature(verifier.name, verifier.key_id, private.sign(text.encode()))
    note = Note(text, (line,)).encode()
    write_new(path, note)
    return note.decode()


def _verifier(origin: str, key: Ed25519PrivateKey) -> VerifierKey:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return VerifierKey(emergency_name(origin), ED25519, public)


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_bounded(path, _MAX_KEY), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("malformed-key", f"{path} holds no Ed25519 private key in PEM")
    return key

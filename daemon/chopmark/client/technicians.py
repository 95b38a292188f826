"""What head office keeps to let technicians in: its console key, and a file for each technician.

Both are secret, and lie where the emergency keys lie: on a machine without a network, or in a safe.
"""

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pyotp import HOTP, TOTP

from chopmark.client.files import PRIVATE_MODE, read_bounded, write_new
from chopmark.core.boxkey import parse_box_key
from chopmark.core.enrolment import (
    SECRET,
    Duty,
    Enrolment,
    Heading,
    Person,
    Secret,
    check_authority,
    check_id,
    make_enrolment,
    parse_enrolment,
)
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.note import Note, Signature

_MAX_FILE: Final = 4096
_ISSUER: Final = "chopmark console"
_LEAST, _MOST = 6, 12
"""Digits of a PIN."""
_VARIETY: Final = 3
"""Digits that differ."""
_RUNS: Final = "01234567890123456789", "98765432109876543210"


class TechnicianFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One technician, with what that one signs in with; secrets in standard base64."""

    version: Literal[1]
    id: str
    role: Duty
    hash: str
    totp: bytes
    hotp: bytes

    def __repr__(self) -> str:
        return f"TechnicianFile({self.id!r}, ***)"


def check_pin(pin: str) -> None:
    """Refuse a PIN that is guessed first.

    Raises:
        RefusedError: `weak-pin`. The PIN is not in it.
    """
    good = pin.isascii() and pin.isdigit() and _LEAST <= len(pin) <= _MOST
    if not good or len(set(pin)) < _VARIETY or any(pin in run for run in _RUNS):
        message = f"a PIN has {_LEAST} to {_MOST} digits, not in a row and not all the same"
        raise RefusedError("weak-pin", message, hint="take another one; no birthday either")


def make_console_key(name: str, path: Path) -> VerifierKey:
    """Make head office's console key and write it, as unencrypted PKCS#8.

    Raises:
        MalformedError: `malformed-enrolment`, for another name than `…/console`.
        ExistsError: `file-exists`.
    """
    private = Ed25519PrivateKey.generate()
    key = _verifier(name, private)
    check_authority(key)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(path, pem, PRIVATE_MODE)
    return key


def make_technician(name: str, role: Duty, hashed: str, path: Path) -> tuple[str, str]:
    """Make a technician's file; gives what an authenticator takes in, by clock and by counter.

    Raises:
        MalformedError: `malformed-enrolment`; ExistsError: `file-exists`.
    """
    check_id(name)
    totp, hotp = (secrets.token_bytes(SECRET) for _ in range(2))
    write_new(
        path,
        msgspec.json.format(msgspec.json.encode(TechnicianFile(1, name, role, hashed, totp, hotp))),
        PRIVATE_MODE,
    )
    by_clock = TOTP(_base32(totp), name=f"{name} (clock)", issuer=_ISSUER)
    by_counter = HOTP(_base32(hotp), name=f"{name} (counter)", issuer=_ISSUER)
    return by_clock.provisioning_uri(), by_counter.provisioning_uri()


def read_technician(path: Path) -> TechnicianFile:
    """Read a technician's file.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-technician`.
    """
    data = read_bounded(path, _MAX_FILE)
    try:
        return msgspec.json.decode(data, type=TechnicianFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Without its cause, which may quote what is in it.
        message = f"{path} is not the file of a technician"
        raise MalformedError("malformed-technician", message) from None


def write_enrolment(
    path: Path,
    box: str,
    version: int,
    days: int,
    key: tuple[str, Path],
    people: Sequence[TechnicianFile],
    successor: VerifierKey | None = None,
    now: Callable[[], float] = time.time,
) -> Enrolment:
    """Write the file by which technicians may sign in at one box.

    Args:
        path: where.
        box: the line with its key.
        version: above that of the file before for this box.
        days: until it expires.
        key: name of the console key, and its file.
        people: the technicians.
        successor: the key that signs the next file, if it is another one.
        now: gives seconds since the Unix epoch.

    Raises:
        MalformedError: what is wrong with one of them; ExistsError: `file-exists`.
    """
    private = _read_key(key[1])
    verifier = _verifier(key[0], private)
    check_authority(verifier)
    issued = int(now())
    order = sorted(people, key=lambda one: one.id)
    heading = Heading(
        parse_box_key("".join(box.split())),  # a terminal may have put it on two lines
        version,
        issued,
        issued + days * 86_400,
        successor or verifier,
        tuple(Person(one.id, one.role) for one in order),
    )
    made = make_enrolment(heading, [Secret(one.hash, one.totp, one.hotp) for one in order])
    text = made.encode()
    line = Signature(verifier.name, verifier.key_id, private.sign(text.encode()))
    data = Note(text, (line,)).encode()
    parse_enrolment(data)
    write_new(path, data)
    return made


def _verifier(name: str, key: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey(name, ED25519, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_bounded(path, _MAX_FILE), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("malformed-key", f"{path} holds no Ed25519 private key in PEM")
    return key


def _base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode()

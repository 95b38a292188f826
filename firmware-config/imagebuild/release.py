"""An update: a RAUC bundle of a slot's files, signed by the release key, and the note to it.

| file of the folder of keys | what |
| --- | --- |
| `release.key`, `release.pem` | release key and certificate: the CMS signature that RAUC checks |
| `note.key`, `note.vkey` | the second key: signs the note over the bundle's SHA-256 |

Two people keep the two private keys, and an image carries the two public parts. Where a folder has
none, keys for trials are made.
"""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.note import Note, Signature
from imagebuild.tools import digest_of_file, run, say

PUBLIC: Final = {"release.pem": "etc/rauc/keyring.pem", "note.vkey": "etc/rauc/note.vkey"}
"""Where the public parts lie in an image."""
NAME: Final = "chopmark/firmware-trials"
_FORMS: Final = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
_LIFE: Final = timedelta(days=3650)


def ensure_keys(folder: Path) -> None:
    """Make keys for trials where there are no public parts."""
    if all((folder / name).exists() for name in PUBLIC):
        return
    say(f"making keys FOR TRIALS in {folder}: whoever has them can make updates for these images")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_release_key(folder)
    key = Ed25519PrivateKey.generate()
    _write_secret(folder / "note.key", key.private_bytes(*_FORMS))
    (folder / "note.vkey").write_text(_verifier(key).encode() + "\n")


def make_bundle(
    files: Mapping[str, Path], about: tuple[str, str], keys: Path, output: Path
) -> None:
    """The bundle of `system` and `boot`, for `about`: what it is for, and its version."""
    work = output.parent / "work/bundle"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    lines = [f"[update]\ncompatible={about[0]}\nversion={about[1]}\n\n[bundle]\nformat=verity\n"]
    for name, path in sorted(files.items()):
        shutil.copy(path, work / f"{name}.img")
        lines.append(f"\n[image.{name}]\nfilename={name}.img\n")
    (work / "manifest.raucm").write_text("".join(lines))
    output.unlink(missing_ok=True)
    signed = (f"--cert={keys / 'release.pem'}", f"--key={keys / 'release.key'}")
    # The images are compressed, and hold nothing that compresses again.
    run("rauc", *signed, "--mksquashfs-args=-noI -noD -noF -noX", "bundle", work, output)


def make_note(bundle: Path, about: tuple[str, str], ledger: int, keys: Path) -> bytes:
    """The second key's note over a bundle."""
    text = f"chopmark/firmware/v1\n{about[0]} {about[1]}\n"
    text += f"sha256 {digest_of_file(bundle)}\nledger {ledger}\n"
    key = load_pem_private_key((keys / "note.key").read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("note.key is no Ed25519 key")
    verifier = _verifier(key)
    signature = Signature(verifier.name, verifier.key_id, key.sign(text.encode()))
    return Note(text, (signature,)).encode()


def _make_release_key(folder: Path) -> None:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chopmark releases, for trials")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    _write_secret(folder / "release.key", key.private_bytes(*_FORMS))
    (folder / "release.pem").write_bytes(made.public_bytes(Encoding.PEM))


def _verifier(key: Ed25519PrivateKey) -> VerifierKey:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return VerifierKey(NAME, ED25519, raw)


def _write_secret(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)

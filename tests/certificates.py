"""Certificates for tests: an authority, and what it signs, as PEM files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, into files under `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = generate_private_key(SECP256R1())
        self._name = _name(name)
        self.certificate = folder / f"{name}.crt"
        self.certificate.write_bytes(self._sign(self._name, self._key.public_key(), ca=True))

    def issue(self, name: str, days: int = 30, *, file: str = "") -> Pair:
        """A certificate for a name; with `days` below 0 one that has expired."""
        key = generate_private_key(SECP256R1())
        pair = Pair(self._folder / f"{file or name}.crt", self._folder / f"{file or name}.key")
        pair.certificate.write_bytes(self._sign(_name(name), key.public_key(), days=days))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pair.key.write_bytes(pem)
        pair.key.chmod(0o600)
        return pair

    def _sign(self, name: x509.Name, public: object, *, days: int = 30, ca: bool = False) -> bytes:
        now = datetime.now(UTC)
        (common,) = name.get_attributes_for_oid(NameOID.COMMON_NAME)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(str(common.value))]), critical=False
            )
        )
        return made.sign(self._key, SHA256()).public_bytes(Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

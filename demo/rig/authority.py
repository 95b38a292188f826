"""A small CA, and the certificates that it makes: for tests, benchmarks and demonstrations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
_LOOPBACK = ip_address("127.0.0.1")
USES = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path
    x509: x509.Certificate


@dataclass(frozen=True)
class Authority:
    """A CA whose files are in a folder."""

    folder: Path
    name: str = "test CA"

    @cached_property
    def key(self) -> EllipticCurvePrivateKey:
        """Its private key."""
        return generate_private_key(SECP256R1())

    @cached_property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        name = _name(self.name)
        builder = _begin(name, name, self.key, 3650 * DAY)
        ca = x509.BasicConstraints(ca=True, path_length=None)
        return builder.add_extension(ca, critical=True).sign(self.key, SHA256())

    @cached_property
    def path(self) -> Path:
        """The file with that."""
        path = self.folder / f"{self.name.replace(' ', '-')}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(
        self,
        name: str,
        life: timedelta = 90 * DAY,
        file: str | None = None,
        *,
        hosts: Sequence[str] = ("localhost",),
        uses: Sequence[x509.ObjectIdentifier] = tuple(USES),
    ) -> Pair:
        """A certificate for clients and for a server on this machine; without `hosts` for none."""
        key = generate_private_key(SECP256R1())
        builder = _begin(_name(name), self.certificate.subject, key, life)
        names = [*map(x509.DNSName, hosts), x509.IPAddress(_LOOPBACK)]
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = x509.ExtendedKeyUsage(uses)
        made = builder.add_extension(usage, critical=False).sign(self.key, SHA256())
        stem = self.folder / (file or name)
        pair = Pair(stem.with_suffix(".pem"), stem.with_suffix(".key"), made)
        pair.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        pair.key.touch(mode=0o600)
        forms = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pair.key.write_bytes(key.private_bytes(*forms))
        return pair

    def revoke(self, revoked: Sequence[Pair] = (), life: timedelta = 7 * DAY) -> Path:
        """The list of what is revoked, in its file."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - DAY)
            .next_update(now + life)
        )
        for pair in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(pair.x509.serial_number)
            builder = builder.add_revoked_certificate(one.revocation_date(now).build())
        path = self.folder / "crl.pem"
        path.write_bytes(builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM))
        return path


def _begin(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

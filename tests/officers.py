"""Officers with certificates of their own making, and what they sign."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chopmark.core.officers import fingerprint
from chopmark.core.release import OfficerSignature, Release, SignedRelease
from chopmark.core.roster import Officer
from softkeys import p256_of

DAY = timedelta(days=1)
ISSUED = datetime(2020, 1, 1, tzinfo=UTC)
_DETERMINISTIC = ec.ECDSA(SHA256(), deterministic_signing=True)


@dataclass(frozen=True)
class Person:
    """An officer; `seed` is that of the P-256 key, always the same for the same seed."""

    name: str
    seed: int
    bank: str = "bank-hk"
    days: int = 10_900

    @cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        return p256_of(self.seed)

    @cached_property
    def certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        made = (
            x509.CertificateBuilder(name, name, self.key.public_key(), self.seed)
            .not_valid_before(ISSUED)
            .not_valid_after(ISSUED + self.days * DAY)
            .sign(self.key, SHA256(), ecdsa_deterministic=True)
        )
        return made.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def listed(self) -> Officer:
        return Officer(
            name=self.name, institution=self.bank, certificate=fingerprint(self.certificate)
        )

    def sign(self, text: str) -> OfficerSignature:
        signature = self.key.sign(text.encode(), _DETERMINISTIC)
        return OfficerSignature(self.certificate, signature)


CHAN, LEE, HO = Person("Chan Tai Man", 1), Person("Lee Siu Ming", 2), Person("Ho Ka Yan", 3)
OFFICERS = (CHAN.listed, LEE.listed)


def signed_by(release: Release, *people: Person) -> SignedRelease:
    """A release with their signatures."""
    text = release.encode()
    return SignedRelease(release, tuple(one.sign(text) for one in people))

"""Officers: who they are is said by the roster, which names their certificates by SHA-256.

Rules, for a release by two of them (docs/formats/release.md):
1. Every signature below the text is good, and by a certificate that the roster names.
2. Each certificate is in force at the time that the text names. Who has issued it does not matter:
   the roster names the certificate itself.
3. Two of them at least are two people: other names or institutions, and other keys.

Approvals of a key ceremony (`ceremony_rules`) keep the same rules, with certificates that the
protocol names itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.release import OfficerSignature, SignedRelease
from chopmark.core.roster import Officer

NEEDED: Final = 2
MIN_RSA: Final = 2048
MIN_CURVE: Final = 256


@dataclass(frozen=True, slots=True)
class Signatory:
    """Somebody whose signature is good: a person, and the public key (DER)."""

    name: str
    institution: str
    public: bytes

    def is_other_than(self, other: "Signatory") -> bool:
        """Whether they are two people: other names or institutions, and other keys."""
        return _person(self) != _person(other) and self.public != other.public


PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def check_officers(signed: SignedRelease, officers: Sequence[Officer]) -> tuple[Officer, ...]:
    """Who has signed a release; two different officers at least.

    Raises:
        MalformedError: `malformed-certificate`.
        RefusedError: `unknown-officer`, `bad-signature`, `certificate-expired`, `officers-missing`.
    """
    known = {one.certificate: one for one in officers}
    found = [_check(signed, one, known) for one in signed.signatures]
    if not are_enough([signatory for _, signatory in found], NEEDED):
        names = " and ".join(sorted({one.name for one, _ in found})) or "nobody"
        message = f"a release needs two different officers: signed by {names}"
        hint = "each signs with a certificate and a key of their own: `chopmark evidence sign`"
        raise RefusedError("officers-missing", message, hint=hint)
    return tuple(dict.fromkeys(one for one, _ in found))


def are_enough(found: Sequence[Signatory], need: int) -> bool:
    """Whether so many of them are different people; of 16 at most, as combinations are tried."""
    return any(
        all(a.is_other_than(b) for a, b in combinations(some, 2))
        for some in combinations(found, need)
    )


def check_in_force(certificate: x509.Certificate, time: int, name: str, what: str) -> None:
    """Refuse a certificate that is not in force at a time, in seconds since the Unix epoch.

    Raises:
        RefusedError: `certificate-expired`.
    """
    at = datetime.fromtimestamp(time, UTC)
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        message = f"the certificate of {name} is not in force at the time of the {what}"
        raise RefusedError("certificate-expired", message, hint="name the new one")


def identify(certificate: x509.Certificate, name: str, institution: str) -> Signatory:
    """The person whose certificate this is.

    Raises:
        MalformedError: `malformed-certificate`.
    """
    public = find_key(certificate).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Signatory(name, institution, public)


def check_signature(text: str, one: OfficerSignature) -> x509.Certificate:
    """Check one signature over a text by the certificate beside it; gives that.

    Raises:
        MalformedError: `malformed-certificate`.
        RefusedError: `bad-signature`.
    """
    certificate = open_certificate(one.certificate)
    key = find_key(certificate)
    try:
        _verify(key, one.signature, text.encode())
    except InvalidSignature as error:
        message = f"a signature is not by the certificate beside it: {describe(certificate)}"
        lines = text.count("\n")
        hint = f"the {lines} lines of the text are signed, with SHA-256, and nothing after them"
        raise RefusedError("bad-signature", message, hint=hint) from error
    return certificate


def open_certificate(data: bytes) -> x509.Certificate:
    """Read a certificate in DER.

    Raises:
        MalformedError: `malformed-certificate`.
    """
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise _malformed("an officer's certificate cannot be read") from error


def find_key(certificate: x509.Certificate) -> PublicKey:
    """Its public key, of a sort that may sign a release.

    Raises:
        MalformedError: `malformed-certificate`.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _malformed("the key of an officer's certificate cannot be read") from error
    good = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= MIN_CURVE)
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not good or not isinstance(key, PublicKey):
        raise _malformed("an officer's key is neither ECDSA, Ed25519 nor RSA of 2048 bits or more")
    return key


def fingerprint(certificate: bytes) -> str:
    """What the roster names it by: SHA-256 of its DER bytes, in hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def describe(certificate: x509.Certificate) -> str:
    """Its subject, for people."""
    return certificate.subject.rfc4514_string()[:80]


def _check(
    signed: SignedRelease, one: OfficerSignature, known: dict[str, Officer]
) -> tuple[Officer, Signatory]:
    """Rules 1 and 2; gives the officer, and who that is."""
    officer = known.get(fingerprint(one.certificate))
    if officer is None:
        message = f"the roster names no officer with the certificate {fingerprint(one.certificate)}"
        hint = "`[[officer]]` in the roster in force: `chopmark roster show --note`"
        raise RefusedError("unknown-officer", message, hint=hint)
    certificate = check_signature(signed.release.encode(), one)
    check_in_force(certificate, signed.release.time, officer.name, "release")
    return officer, identify(certificate, officer.name, officer.institution)


def _verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, PKCS1v15(), SHA256())
    else:
        key.verify(signature, data, ec.ECDSA(SHA256()))


def _person(officer: Signatory) -> tuple[str, str]:
    return " ".join(officer.name.casefold().split()), officer.institution


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-certificate", message)

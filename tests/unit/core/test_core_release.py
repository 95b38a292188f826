"""Releases of frozen replicas: the text, and who must have signed it."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from chopmark.client.officers import add_signature, read_release
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.officers import check_officers, fingerprint
from chopmark.core.release import OfficerSignature, Release, SignedRelease, parse_release
from chopmark.core.roster import Officer
from officers import CHAN, DAY, HO, ISSUED, LEE, OFFICERS, Person, signed_by

TIME = 1_800_000_000
RELEASE = Release(b"e" * 32, Checkpoint("bank-sz.example/sz-1", 7, b"r" * 32), TIME, "an old disk")
GOOD = signed_by(RELEASE, CHAN, LEE)


def test_release_is_read_as_it_was_written() -> None:
    assert parse_release(GOOD.encode()) == GOOD
    assert parse_release(SignedRelease(RELEASE).encode()) == SignedRelease(RELEASE)
    assert RELEASE.encode().count("\n") == 6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("release/v1", "release/v2"),
        ("keep 7 ", "keep 07 "),
        ("keep 7 ", "keep 7  "),
        ("evidence 6", "evidence G"),
        ("2027-01-15T08:00:00Z", "2027-01-15 08:00:00"),
        ("2027-01-15T08:00:00Z", "2027-1-15T08:00:00Z"),
        ("reason an old disk", "reason "),
        ("reason an old disk", "reason an old disk "),
        ("reason an old disk", f"reason {'x' * 201}"),
        ("reason an old disk", "reason a\x07bell"),
        ("officer ", "officer  "),
        ("officer ", "person "),
        ("\n\nofficer", "\nofficer"),
        ("origin bank", "origin Bank"),
    ],
)
def test_release_rejects_other_spellings(old: str, new: str) -> None:
    text = GOOD.encode().decode()
    assert old in text
    with pytest.raises(MalformedError):
        parse_release(text.replace(old, new, 1).encode())


@pytest.mark.parametrize("data", [b"", b"\n\n", GOOD.encode() + b"\n", GOOD.encode()[:-1]])
def test_release_rejects_what_is_cut_or_longer(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_release(data)


def test_release_rejects_too_many_signatures_and_too_many_bytes() -> None:
    with pytest.raises(MalformedError):
        parse_release(replace(GOOD, signatures=GOOD.signatures * 5).encode())
    with pytest.raises(MalformedError):
        parse_release(GOOD.encode() + b"x" * 40_000)


def test_two_officers_suffice_and_are_named() -> None:
    assert check_officers(GOOD, OFFICERS) == OFFICERS


TWIN = Person("chan  tai man", 9)
SAME_KEY = Person("Somebody Else", 1)
EXPIRED = Person("Lee Siu Ming", 8, days=1)
LATER = replace(RELEASE, reason="another one")
FLIPPED = OfficerSignature(LEE.certificate, LEE.sign(LATER.encode()).signature)

CASES = {
    "nobody": (SignedRelease(RELEASE), OFFICERS, "officers-missing"),
    "one officer": (signed_by(RELEASE, CHAN), OFFICERS, "officers-missing"),
    "one officer twice": (signed_by(RELEASE, CHAN, CHAN), OFFICERS, "officers-missing"),
    "one person with two certificates": (
        signed_by(RELEASE, CHAN, TWIN),
        (CHAN.listed, TWIN.listed),
        "officers-missing",
    ),
    "two certificates of one key": (
        signed_by(RELEASE, CHAN, SAME_KEY),
        (CHAN.listed, SAME_KEY.listed),
        "officers-missing",
    ),
    "not in the roster": (signed_by(RELEASE, CHAN, HO), OFFICERS, "unknown-officer"),
    "a stranger beside two": (signed_by(RELEASE, CHAN, LEE, HO), OFFICERS, "unknown-officer"),
    "no officers at all": (GOOD, (), "unknown-officer"),
    "altered text": (replace(GOOD, release=LATER), OFFICERS, "bad-signature"),
    "altered branch": (
        replace(GOOD, release=replace(RELEASE, kept=replace(RELEASE.kept, size=8))),
        OFFICERS,
        "bad-signature",
    ),
    "a signature of another text": (
        replace(signed_by(RELEASE, CHAN), signatures=(*GOOD.signatures[:1], FLIPPED)),
        OFFICERS,
        "bad-signature",
    ),
    "an expired certificate": (
        signed_by(RELEASE, CHAN, EXPIRED),
        (CHAN.listed, EXPIRED.listed),
        "certificate-expired",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_release_is_refused(name: str) -> None:
    signed, officers, code = CASES[name]
    with pytest.raises(RefusedError) as caught:
        check_officers(signed, officers)
    assert caught.value.code == code


def test_junk_for_a_certificate_is_refused() -> None:
    junk = Officer(name="x", institution="bank-hk", certificate=fingerprint(b"junk"))
    signed = replace(GOOD, signatures=(OfficerSignature(b"junk", b"s"), *GOOD.signatures))
    with pytest.raises(MalformedError) as caught:
        check_officers(signed, (*OFFICERS, junk))
    assert caught.value.code == "malformed-certificate"


def openssl(*arguments: object, stdin: bytes = b"") -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "sort", ["ec -pkeyopt ec_paramgen_curve:P-256", "rsa -pkeyopt rsa_keygen_bits:2048"]
)
def test_officer_may_sign_with_openssl(tmp_path: Path, sort: str) -> None:
    """As docs/formats/release.md says: the first six lines, SHA-256."""
    key, certificate, made = tmp_path / "key", tmp_path / "crt", tmp_path / "sig"
    openssl("genpkey", "-algorithm", *sort.split(), "-out", key)
    subject = "/CN=Lee Siu Ming"
    openssl("req", "-x509", "-key", key, "-subj", subject, "-days", 900, "-out", certificate)
    file = tmp_path / "release"
    # openssl lets a certificate begin today, whenever that is.
    later = int(max(datetime.now(UTC) + DAY, ISSUED + DAY).timestamp())
    file.write_bytes(signed_by(replace(RELEASE, time=later), CHAN).encode())
    text = b"".join(file.read_bytes().splitlines(keepends=True)[:6])
    made.write_bytes(openssl("dgst", "-sha256", "-sign", key, stdin=text))
    signed = add_signature(file, certificate, None, made)
    assert read_release(file) == signed
    der = openssl("x509", "-in", certificate, "-outform", "DER")
    lee = Officer(name="Lee Siu Ming", institution="bank-hk", certificate=fingerprint(der))
    assert check_officers(signed, (CHAN.listed, lee)) == (CHAN.listed, lee)
    assert lee.certificate == fingerprint(signed.signatures[1].certificate)
    made.write_bytes(openssl("dgst", "-sha256", "-sign", key, stdin=text + b"x"))
    with pytest.raises(RefusedError):
        add_signature(file, certificate, None, made)


def certify(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Lee")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    made = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = made.not_valid_before(ISSUED).not_valid_after(ISSUED + 10_900 * DAY)
    return made.sign(key, algorithm).public_bytes(Encoding.DER)


def with_third(certificate: bytes, signature: bytes) -> tuple[SignedRelease, tuple[Officer, ...]]:
    lee = Officer(name="Lee", institution="bank-hk", certificate=fingerprint(certificate))
    one = OfficerSignature(certificate, signature)
    return signed_by(RELEASE, CHAN).with_signature(one), (CHAN.listed, lee)


def test_officer_may_have_an_ed25519_key() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    good = with_third(certify(key), key.sign(RELEASE.encode().encode()))
    assert len(check_officers(*good)) == 2
    with pytest.raises(RefusedError):
        check_officers(*with_third(certify(key), key.sign(b"another text")))


def test_officer_needs_a_key_of_size() -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too small on purpose
    signature = key.sign(RELEASE.encode().encode(), PKCS1v15(), SHA256())
    with pytest.raises(MalformedError) as caught:
        check_officers(*with_third(certify(key), signature))
    assert caught.value.code == "malformed-certificate"


def test_certificate_with_a_key_of_an_unknown_sort_is_refused() -> None:
    sort = bytes.fromhex("06072a8648ce3d0201")
    assert CHAN.certificate.count(sort) == 1
    strange = CHAN.certificate.replace(sort, sort[:-1] + b"\x7f")
    with pytest.raises(MalformedError) as caught:
        check_officers(*with_third(strange, b"s"))
    assert caught.value.code == "malformed-certificate"

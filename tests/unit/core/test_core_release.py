"""Releases of frozen replicas: the text, and who must have signed it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from chopmark.client.officers import add_signature, read_release
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError
from chopmark.core.officers import check_officers, fingerprint
from chopmark.core.release import OfficerSignature, Release, SignedRelease, parse_release
from chopmark.core.roster import Officer
from officers import CHAN, HO, LEE, OFFICERS, Person, signed_by

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
    now = replace(RELEASE, time=1_800_000_000)
    file.write_bytes(signed_by(now, CHAN).encode())
    text = b"".join(file.read_bytes().splitlines(keepends=True)[:6])
    made.write_bytes(openssl("dgst", "-sha256", "-sign", key, stdin=text))
    signed = add_signature(file, certificate, None, made)
    assert read_release(file) == signed
    der = openssl("x509", "-in", certificate, "-outform", "DER")
    lee = Officer(name="Lee Siu Ming", institution="bank-hk", certificate=fingerprint(der))
    # The certificate begins today, whenever that is.
    with pytest.raises(ChopmarkError) as caught:
        check_officers(replace(signed, signatures=signed.signatures), (CHAN.listed,))
    assert caught.value.code == "unknown-officer"
    assert lee.certificate == fingerprint(signed.signatures[1].certificate)
    made.write_bytes(openssl("dgst", "-sha256", "-sign", key, stdin=text + b"x"))
    with pytest.raises(RefusedError):
        add_signature(file, certificate, None, made)

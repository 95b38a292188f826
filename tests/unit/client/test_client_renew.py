"""A blinded proof that is completed keeps the salt that only it has."""

from dataclasses import replace

import pytest

from chopmark.client.proofs import names_document, renew
from chopmark.core.blinding import blind
from chopmark.core.entry import SHA256, Attestation, encode_entry
from chopmark.core.errors import MalformedError, UnreachableError
from chopmark.core.proof import Extra, Proof, parse_extra, parse_proof
from softlog import NOW, SoftLog, digests_of

SALT = bytes(range(32))
DOCUMENT = b"a guessable document"


@pytest.fixture
def log() -> SoftLog:
    made = SoftLog()
    hidden = blind(SALT, made.origin, SHA256, digests_of(DOCUMENT).sha256)
    made.append(encode_entry(Attestation(NOW, hidden, "kyc", blinded=True)))
    return made


def salted(log: SoftLog, **more: int) -> Proof:
    """The proof that the issuer has given."""
    bare = parse_proof(log.proof(0))
    return replace(bare, extra=Extra(log.entries[0], SALT, **more).encode())


def test_newer_proof_gets_the_salt_of_the_older_one(log: SoftLog) -> None:
    old = salted(log, length=20)
    log.attest(b"another")
    new = renew(old, log.proof(0, cosigned=True))
    assert new.checkpoint().size == 2
    assert parse_extra(new.extra) == Extra(log.entries[0], SALT, 20)
    assert names_document(new, digests_of(DOCUMENT))
    assert not names_document(parse_proof(log.proof(0)), digests_of(DOCUMENT))


def test_proof_of_another_entry_is_no_newer_one(log: SoftLog) -> None:
    old = salted(log)
    log.attest(b"another")
    for wrong in (log.proof(1), b"no proof"):
        with pytest.raises(UnreachableError) as caught:
            renew(old, wrong)
        assert caught.value.code == "bad-answer"
    other = SoftLog()
    other.attest(b"another")
    with pytest.raises(UnreachableError):
        renew(old, other.proof(0))
    emptied = replace(parse_proof(log.proof(0)), extra=None).encode()
    with pytest.raises(UnreachableError):
        renew(old, emptied)


def test_older_proof_that_is_none_of_ours_is_told(log: SoftLog) -> None:
    with pytest.raises(MalformedError):
        renew(replace(salted(log), extra=None), log.proof(0))

from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.blinding import blind
from chopmark.core.cbor import encode_cbor
from chopmark.core.check import NO_ATTESTATION, UNKNOWN_FORMAT, compare, facts_from_proof
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import Digests, digest_stream
from chopmark.core.entry import SHA256, SM3, Attestation, Revocation, encode_entry
from chopmark.core.errors import MalformedError
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof
from chopmark.core.verdict import Facts, Issuer, Match, Source
from mutations import flipped
from softkeys import SoftKey, cosigner, log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
HK = cosigner("bank-b.example/hk-1/cosigner", 3)
POLICY = Policy((LOG.vkey,), {"hk": HK.vkey}, {}, "hk")
ISSUER = Issuer("sz-1", ORIGIN, "Bank A", "CN")
NOW = 1795305600123
SALT = b"s" * 32
DOCUMENT, _ = digest_stream([b"a document"])
ENTRY = Attestation(NOW, DOCUMENT.sha256, "document")
BOTH = replace(ENTRY, sm3=DOCUMENT.sm3)


def facts(
    entry: bytes,
    *,
    digests: Digests | None = DOCUMENT,
    policy: Policy = POLICY,
    cosigned: dict[SoftKey, int] | None = None,
    salt: bytes | None = None,
    issuer: Issuer = ISSUER,
    kinds: str = "document",
) -> Facts:
    """Facts from the proof of the only entry of a log."""
    head = Checkpoint(ORIGIN, 1, trees.leaf(entry))
    note = sign_head(head, LOG, {HK: 7} if cosigned is None else cosigned)
    proof = Proof(0, (), note, Extra(entry, salt).encode())
    return facts_from_proof(proof, policy, digests, issuer, lambda kind: kind == kinds)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_digest_stream_hashes_all_pieces(chunks: list[bytes]) -> None:
    told: list[int] = []
    digests, length = digest_stream(chunks, told.append)
    sm3 = hashes.Hash(hashes.SM3())
    sm3.update(b"".join(chunks))
    assert digests == Digests(sha256(b"".join(chunks)).digest(), sm3.finalize())
    assert length == sum(told) == len(b"".join(chunks))
    assert told == [len(chunk) for chunk in chunks]


def test_digest_of_abc_is_that_of_the_standards() -> None:
    digests, _ = digest_stream([b"abc"])
    assert digests.sha256.hex().startswith("ba7816bf8f01cfea")
    assert digests.sm3 is not None
    assert digests.sm3.hex().startswith("66c7f0f462eeedd9")


def test_blinded_digest_depends_on_all_that_goes_in() -> None:
    whole = blind(SALT, ORIGIN, SHA256, b"d" * 32)
    assert len(whole) == 32
    others = {
        blind(b"t" * 32, ORIGIN, SHA256, b"d" * 32),
        blind(SALT, ORIGIN + "x", SHA256, b"d" * 32),
        blind(SALT, ORIGIN, SM3, b"d" * 32),
        blind(SALT, ORIGIN, "json-jcs/1", b"d" * 32),
        blind(SALT, ORIGIN, SHA256, b"e" * 32),
    }
    assert len(others - {whole}) == 5


def blinded(entry: Attestation) -> Attestation:
    sm3 = entry.sm3 and blind(SALT, ORIGIN, SM3, entry.sm3)
    hidden = blind(SALT, ORIGIN, SHA256, entry.sha256)
    return replace(entry, sha256=hidden, sm3=sm3, blinded=True)


OTHER = Digests(flipped(DOCUMENT.sha256), DOCUMENT.sm3)
OTHER_SM3 = Digests(DOCUMENT.sha256, flipped(DOCUMENT.sm3 or b""))
ONLY_SHA256 = Digests(DOCUMENT.sha256)


@pytest.mark.parametrize(
    ("entry", "digests", "salt", "match"),
    [
        (ENTRY, None, None, Match.NO_DOCUMENT),
        (ENTRY, DOCUMENT, None, Match.ALL),
        (ENTRY, DOCUMENT, SALT, Match.ALL),
        (ENTRY, ONLY_SHA256, None, Match.ALL),
        (ENTRY, OTHER, None, Match.DIFFERS),
        (ENTRY, OTHER_SM3, None, Match.ALL),
        (BOTH, None, None, Match.NO_DOCUMENT),
        (BOTH, DOCUMENT, None, Match.ALL),
        (BOTH, ONLY_SHA256, None, Match.MISSING),
        (BOTH, OTHER, None, Match.DIFFERS),
        (BOTH, OTHER_SM3, None, Match.DIFFERS),
        (BOTH, Digests(OTHER.sha256), None, Match.DIFFERS),
        (blinded(BOTH), None, SALT, Match.NO_DOCUMENT),
        (blinded(BOTH), DOCUMENT, None, Match.BLINDED),
        (blinded(BOTH), DOCUMENT, SALT, Match.ALL),
        (blinded(BOTH), DOCUMENT, b"t" * 32, Match.DIFFERS),
        (blinded(BOTH), ONLY_SHA256, SALT, Match.MISSING),
        (blinded(BOTH), OTHER_SM3, SALT, Match.DIFFERS),
        (blinded(ENTRY), ONLY_SHA256, SALT, Match.ALL),
    ],
)
def test_compare_demands_every_digest_that_is_named(
    entry: Attestation, digests: Digests | None, salt: bytes | None, match: Match
) -> None:
    assert compare(entry, digests, ORIGIN, salt) == match


def test_compare_binds_blinded_digests_to_the_log() -> None:
    assert compare(blinded(ENTRY), DOCUMENT, ORIGIN + "x", SALT) == Match.DIFFERS


JCS = ("json-jcs/1", b"j" * 32)
PAGES = ("pdf-pages/1", b"p" * 32)


def test_compare_leaves_canonical_digests_out() -> None:
    named = replace(ENTRY, sha256=bytes(32), canonical=(("jcs", DOCUMENT.sha256),))
    assert compare(named, DOCUMENT, ORIGIN) == Match.DIFFERS
    assert compare(replace(ENTRY, canonical=(JCS,)), DOCUMENT, ORIGIN) == Match.ALL


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((JCS,), Match.RESAVED),
        ((PAGES, JCS), Match.RESAVED),
        ((), Match.DIFFERS),
        ((PAGES,), Match.DIFFERS),
        (((JCS[0], flipped(JCS[1])),), Match.DIFFERS),
        ((("json-jcs/2", JCS[1]),), Match.DIFFERS),
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_compare_tells_a_file_that_was_saved_again(
    given: tuple[tuple[str, bytes], ...], match: Match, *, hidden: bool
) -> None:
    digests = replace(OTHER, canonical=given)
    entry = replace(ENTRY, canonical=(JCS,))
    if hidden:
        secret = blind(SALT, ORIGIN, *JCS)
        entry = replace(blinded(entry), canonical=((JCS[0], secret),))
    assert compare(entry, digests, ORIGIN, SALT) == match
    assert compare(entry, None, ORIGIN, SALT) == Match.NO_DOCUMENT


def test_compare_demands_that_all_canonical_digests_agree() -> None:
    entry = replace(ENTRY, canonical=(JCS, PAGES))
    one_differs = replace(OTHER, canonical=(JCS, (PAGES[0], flipped(PAGES[1]))))
    assert compare(entry, one_differs, ORIGIN) == Match.DIFFERS
    assert compare(entry, replace(OTHER, canonical=(JCS, PAGES)), ORIGIN) == Match.RESAVED


def test_content_of_a_file_never_makes_up_for_an_sm3_digest_that_differs() -> None:
    entry = replace(BOTH, canonical=(JCS,))
    assert compare(entry, replace(OTHER_SM3, canonical=(JCS,)), ORIGIN) == Match.DIFFERS


def test_facts_from_proof_are_those_of_the_entry() -> None:
    assert facts(encode_entry(BOTH)) == Facts(
        ISSUER,
        0,
        BOTH,
        Source.PROOF,
        Match.ALL,
        referred=True,
        quorum="reached",
        existed_by=7000,
        witnesses=((HK.name, 7000),),
    )


@pytest.mark.parametrize(
    ("policy", "cosigned", "quorum", "existed_by"),
    [
        (POLICY, {}, "missing", None),
        (POLICY, {HK: 9}, "reached", 9000),
        (replace(POLICY, quorum="none"), {HK: 9}, "none", None),
        (Policy((LOG.vkey,)), {}, "none", None),
    ],
)
def test_facts_from_proof_tell_the_quorum(
    policy: Policy, cosigned: dict[SoftKey, int], quorum: str, existed_by: int | None
) -> None:
    found = facts(encode_entry(ENTRY), policy=policy, cosigned=cosigned)
    assert (found.problem, found.quorum, found.existed_by) == (None, quorum, existed_by)


def test_facts_from_proof_of_a_blinded_attestation_use_its_salt() -> None:
    data = encode_entry(blinded(BOTH))
    assert facts(data, salt=SALT).match == Match.ALL
    assert facts(data).match == Match.BLINDED
    assert facts(data, digests=None, salt=SALT).match == Match.NO_DOCUMENT


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (b"", "CBOR is cut short"),
        (b"\xa0", "an entry has no version"),
        (encode_cbor({0: 2}), UNKNOWN_FORMAT),
        (encode_entry(Revocation(NOW, 0, 5)), NO_ATTESTATION),
    ],
)
def test_facts_from_proof_of_no_attestation_name_the_problem(entry: bytes, problem: str) -> None:
    found = facts(entry)
    assert (found.entry, found.problem, found.referred) == (None, problem, True)


def test_facts_from_proof_name_a_kind_that_the_issuer_may_not_attest() -> None:
    found = facts(encode_entry(ENTRY), kinds="diploma")
    assert found.problem == "Bank A is not entitled to attest the kind document"
    assert found.entry == ENTRY


def test_facts_from_proof_of_another_log_than_the_issuers_name_the_problem() -> None:
    found = facts(encode_entry(ENTRY), issuer=replace(ISSUER, origin="bank-b.example/hk-1"))
    assert found.problem == f"the proof is from {ORIGIN}, another log"
    assert found.entry is None


def test_facts_from_proof_that_fails_name_the_problem() -> None:
    found = facts(encode_entry(ENTRY), policy=Policy(()))
    assert found.problem == f"the proof is from {ORIGIN}, which the policy does not name"


def test_facts_from_proof_without_an_entry_cannot_be_had() -> None:
    note = sign_head(Checkpoint(ORIGIN, 1, bytes(32)), LOG)
    with pytest.raises(MalformedError):
        facts_from_proof(Proof(0, (), note), POLICY, DOCUMENT, ISSUER, lambda _: True)


MO = cosigner("bank-c.example/mo-1/cosigner", 4)
NOTARISED = Policy(
    (LOG.vkey,), {"hk": HK.vkey, "mo": MO.vkey}, {}, "hk", {"document": (1, ("mo",))}
)


@pytest.mark.parametrize(
    ("cosigned", "quorum", "notaries"),
    [
        ({HK: 7, MO: 9}, "reached", None),
        ({HK: 7}, "missing", "1 of mo"),
        ({MO: 9}, "missing", None),
    ],
)
def test_proof_of_a_kind_with_notaries_needs_them_besides_the_quorum(
    cosigned: dict[SoftKey, int], quorum: str, notaries: str | None
) -> None:
    found = facts(encode_entry(ENTRY), policy=NOTARISED, cosigned=cosigned)
    assert (found.quorum, found.notaries) == (quorum, notaries)


def test_proof_of_another_kind_needs_no_notary() -> None:
    entry = encode_entry(replace(ENTRY, kind="letter"))
    assert facts(entry, policy=NOTARISED, kinds="letter").quorum == "reached"


def test_notaries_make_a_quorum_where_the_policy_demands_no_other() -> None:
    policy = replace(NOTARISED, quorum="none")
    assert facts(encode_entry(ENTRY), policy=policy).quorum == "missing"
    assert facts(encode_entry(ENTRY), policy=policy, cosigned={MO: 9}).quorum == "reached"

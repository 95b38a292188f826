"""Checks without a gateway, by policies that were exported under an older roster."""

import hashlib

import pytest
from msgspec.structs import replace

import trees
from chopmark.client.offline import verify_offline
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, encode_entry
from chopmark.core.proof import Extra, Proof
from chopmark.core.quorum import generate_policy
from chopmark.core.roster import (
    CatalogueKind,
    ListedKey,
    NotaryGroup,
    Roster,
    Witness,
    WitnessGroup,
)
from chopmark.core.roster_rules import check_roster
from chopmark.core.text import encode_base64
from chopmark.core.verdict import Question, Verdict, Word
from mutations import flipped
from rosters import GZ, HK, ISSUED, MO, SZ, following, founding, with_member
from softkeys import SoftKey, cosigner, log_key, sign_head

NOW = 1_795_352_400_000
SECONDS = NOW // 1000
DOCUMENT = Digests(hashlib.sha256(b"a document").digest())
ENTRY = encode_entry(Attestation(NOW, DOCUMENT.sha256, "deed"))
HEAD = Checkpoint(HK.origin, 1, trees.leaf(ENTRY))
NEW_LOG = log_key(HK.origin, 200)
NEW_SZ = cosigner(f"{SZ.origin}/cosigner-2", 201)
NEW_MO = cosigner(f"{MO.origin}/cosigner-2", 202)


def ended(key: SoftKey, state: str = "retired", **last: object) -> ListedKey:
    return ListedKey(vkey=key.vkey.encode(), state=state, **last)  # type: ignore[arg-type]


def active(key: SoftKey) -> ListedKey:
    return ListedKey(vkey=key.vkey.encode())


def rotated(sz_state: str = "retired") -> Roster:
    """Version 2: other keys of Hong Kong's log and of the others' cosigners."""
    first = founding()
    last = {"last_size": 1, "last_root": encode_base64(HEAD.root)}
    for name, changes in (
        ("hk-1", {"log_key": (ended(HK.log, **last), active(NEW_LOG))}),
        ("sz-1", {"cosigner_key": (ended(SZ.cosigner, sz_state, since=ISSUED), active(NEW_SZ))}),
        ("mo-1", {"cosigner_key": (ended(MO.cosigner, since=ISSUED), active(NEW_MO))}),
    ):
        first = replace(first, member=with_member(first, name, **changes))
    made = following(founding(), member=first.member)
    check_roster(made)
    return made


def export(roster: Roster) -> bytes:
    """What `chopmark roster export-policy hk-1` printed while this version was in force."""
    members = roster.members()
    voters = [member for member in members if member.is_active]
    return generate_policy(members[1], voters, roster.rule()).encode().encode()


def prove(log: SoftKey, *cosigners: SoftKey) -> bytes:
    note = sign_head(HEAD, log, dict.fromkeys(cosigners, SECONDS))
    return Proof(0, (), note, Extra(ENTRY).encode()).encode()


OLD_PROOF = prove(HK.log, SZ.cosigner, MO.cosigner)
NEW_PROOF = prove(NEW_LOG, NEW_SZ, NEW_MO)


def ask(proof: bytes, policy: bytes) -> Verdict:
    return verify_offline(DOCUMENT, proof, policy, Question(NOW))


@pytest.mark.parametrize("policy", [founding(), rotated()], ids=["old policy", "new policy"])
def test_proof_of_older_keys_stays_good(policy: Roster) -> None:
    verdict = ask(OLD_PROOF, export(policy))
    assert verdict.word == Word.VALID_AS_OF
    assert verdict.judgements[0].facts.quorum == "reached"


def test_policy_of_older_keys_is_not_enough_for_a_proof_of_newer_ones() -> None:
    assert ask(NEW_PROOF, export(rotated())).word == Word.VALID_AS_OF
    assert ask(NEW_PROOF, export(founding())).word == Word.UNTRUSTED


def test_older_policy_demands_its_own_quorum() -> None:
    policy = export(founding())
    assert ask(prove(HK.log, SZ.cosigner), policy).word == Word.UNWITNESSED
    assert ask(prove(HK.log, SZ.cosigner, NEW_MO), policy).word == Word.UNWITNESSED


@pytest.mark.parametrize("at", range(-60, -3))
def test_changed_proof_is_not_good_by_an_older_policy(at: int) -> None:
    whole = OLD_PROOF.rstrip(b"\n")
    letter = b"A" if whole[at : at + 1] != b"A" else b"B"
    changed = whole[:at] + letter + whole[at + 1 :] + b"\n"
    assert ask(changed, export(founding())).word == Word.UNTRUSTED


def test_compromised_cosigner_counts_no_more_by_the_newer_policy() -> None:
    policy = export(rotated("compromised"))
    assert ask(OLD_PROOF, policy).word == Word.UNWITNESSED
    assert ask(OLD_PROOF, export(founding())).word == Word.VALID_AS_OF


def test_institution_that_joins_takes_nothing_from_the_older_policy() -> None:
    """By the newer one it may be among those that must have cosigned: keep the older one."""
    first = founding()
    grown = following(
        first,
        member=(*first.member, GZ.listed()),
        institution=(*first.institution, GZ.institution()),
    )
    assert ask(OLD_PROOF, export(first)).word == Word.VALID_AS_OF
    assert ask(OLD_PROOF, export(grown)).word == Word.UNWITNESSED


def test_exported_policy_demands_the_notaries_of_a_kind() -> None:
    first = founding((SZ, HK, MO, GZ))
    group = WitnessGroup(jurisdictions=("CN", "MO"), threshold="majority")
    notary = NotaryGroup(institutions=("bank-gz",), threshold=1)
    made = replace(
        first,
        witness=Witness(group=(group, WitnessGroup(jurisdictions=("HK",), threshold=1))),
        kind=(CatalogueKind(name="deed", notary=notary),),
        member=with_member(first, "gz-1", kinds=("letter",)),
    )
    policy = export(made)
    assert ask(prove(HK.log, SZ.cosigner, GZ.cosigner), policy).word == Word.VALID_AS_OF
    lacking = ask(OLD_PROOF, policy)
    assert lacking.word == Word.UNWITNESSED
    assert "(1 of bank-gz.example/gz-1)" in lacking.sentence
    assert ask(OLD_PROOF, export(replace(made, kind=()))).word == Word.VALID_AS_OF


def test_other_entry_than_the_one_signed_is_untrusted_by_every_policy() -> None:
    for roster in (founding(), rotated()):
        note = sign_head(HEAD, HK.log, {SZ.cosigner: SECONDS, MO.cosigner: SECONDS})
        other = encode_entry(Attestation(NOW, flipped(DOCUMENT.sha256), "deed"))
        proof = Proof(0, (), note, Extra(other).encode()).encode()
        assert ask(proof, export(roster)).word == Word.UNTRUSTED

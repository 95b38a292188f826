"""Vectors of what members and their people sign and keep: policies, rosters, audit, ceremonies."""

from dataclasses import asdict
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import trees
from chopmark.core.armour import ArmourReader
from chopmark.core.audit import START, Day, encode_record, link, parse_record, salted_leaf
from chopmark.core.audit_proof import parse_audit_proof, verify_audit_proof
from chopmark.core.ceremony_rules import check_file
from chopmark.core.ceremony_text import parse_file
from chopmark.core.enrolment import open_enrolment
from chopmark.core.keys import parse_vkey
from chopmark.core.officers import check_officers
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.release import parse_release
from chopmark.core.roster import Officer
from chopmark.core.roster_follow import SignedRoster, check_successor, open_roster
from chopmark.core.suspension import open_suspension
from vectorcases import VECTORS, Case, cases, code_of


@pytest.mark.parametrize("case", cases("policy", "good"))
def test_policy_vector(case: Case) -> None:
    policy = parse_policy(case["policy"].encode())
    for sort, expected in (("reached_by", True), ("not_reached_by", False)):
        for names in case[sort]:
            assert policy.is_satisfied(policy.witnesses[name] for name in names) is expected


@pytest.mark.parametrize("case", cases("policy", "notaries"))
def test_policy_vector_of_a_kind(case: Case) -> None:
    policy = parse_policy(case["policy"].encode())
    for sort, expected in (("reached_by", True), ("not_reached_by", False)):
        for names in case[sort]:
            keys = [policy.witnesses[name] for name in names]
            assert policy.for_kind(case["kind"]).is_satisfied(keys) is expected


@pytest.mark.parametrize("case", cases("policy", "bad"))
def test_bad_policy_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_policy(bad["policy"].encode()), case) == case["code"]


def read_roster(case: Case) -> SignedRoster:
    if case.get("before", "") is None:
        return open_roster(case["note"].encode())
    before = open_roster((case.get("before") or VECTORS["roster"]["before"]).encode())
    opened = open_roster(case["note"].encode(), before.roster)
    check_successor(opened, before)
    return opened


@pytest.mark.parametrize("case", cases("roster", "good"))
def test_roster_vector(case: Case) -> None:
    opened = read_roster(case)
    assert opened.encode() == case["note"].encode()
    assert (opened.fingerprint.hex, opened.fingerprint.words) == (case["hex"], case["words"])


@pytest.mark.parametrize("case", cases("roster", "bad"))
def test_bad_roster_vector(case: Case) -> None:
    assert code_of(read_roster, case) == case["code"]


def test_suspension_vector() -> None:
    vectors = VECTORS["roster"]
    roster = open_roster(vectors["before"].encode()).roster
    signed = open_suspension(vectors["suspension"].encode(), roster)
    assert signed.suspension.member == "hk-1"


def read_audit_proof(case: Case) -> dict[str, Any]:
    policy = Policy((parse_vkey(VECTORS["audit"]["log"]),))
    proof = parse_audit_proof(case["proof"].encode())
    proven = verify_audit_proof(proof, policy)
    return {"record": asdict(proven.record), "entry": proven.proven.index}


def test_audit_proof_vector() -> None:
    case = VECTORS["audit"]["good"][0]
    found = read_audit_proof(case)
    record = VECTORS["audit"]["records"][case["record"]]["fields"]
    assert found == {"record": record, "entry": case["entry"]}


@pytest.mark.parametrize("case", cases("audit", "bad"))
def test_bad_audit_proof_vector(case: Case) -> None:
    assert code_of(read_audit_proof, case) == case["code"]


def test_audit_record_vectors() -> None:
    for case in VECTORS["audit"]["records"]:
        record = parse_record(bytes.fromhex(case["hex"]))
        assert asdict(record) == case["fields"]
        assert encode_record(record).hex() == case["hex"]


def test_audit_chain_and_day_vectors() -> None:
    chain, leaves = START, []
    for case in VECTORS["audit"]["leaves"]:
        leaves.append(salted_leaf(bytes.fromhex(case["salt"]), bytes.fromhex(case["record"])))
        chain = link(chain, leaves[-1])
        assert (leaves[-1].hex(), chain.hex()) == (case["leaf"], case["chain"])
    for case in VECTORS["audit"]["days"]:
        root = trees.root(leaves[case["first"] : case["first"] + case["count"]])
        last = VECTORS["audit"]["leaves"][case["first"] + case["count"] - 1]
        assert (root.hex(), last["chain"]) == (case["root"], case["chain"])
        hashes = (bytes.fromhex(case["root"]), bytes.fromhex(case["chain"]))
        day = Day(case["number"], case["date"], case["first"], case["count"], *hashes)
        assert day.value().hex() == case["value"]


def read_enrolment(case: Case) -> Any:
    return open_enrolment(case["enrolment"].encode(), parse_vkey(VECTORS["enrolment"]["authority"]))


@pytest.mark.parametrize("case", cases("enrolment", "good"))
def test_good_enrolment_is_taken_and_opened(case: Case) -> None:
    made, box = read_enrolment(case), bytes.fromhex(VECTORS["enrolment"]["box_private"])
    top = made.heading
    assert (top.box.encode(), top.version) == (case["box"], case["version"])
    assert (top.issued, top.expires) == (case["issued"], case["expires"])
    opened = made.unseal(X25519PrivateKey.from_private_bytes(box))
    for one, told in zip(top.people, case["technicians"], strict=True):
        secret = opened[one.id]
        assert (one.id, one.duty, secret.hash) == (told["id"], told["role"], told["hash"])
        codes = (secret.totp.hex(), secret.hotp.hex(), secret.counter)
        assert codes == (told["totp"], told["hotp"], told["counter"])


@pytest.mark.parametrize("case", cases("enrolment", "bad"))
def test_bad_enrolment_is_refused(case: Case) -> None:
    assert code_of(read_enrolment, case) == case["code"]


RELEASERS = [Officer(**one) for one in VECTORS["release"]["officers"]]


@pytest.mark.parametrize("case", cases("release", "good"))
def test_good_release_is_taken(case: Case) -> None:
    signed = parse_release(case["release"].encode())
    release = signed.release
    assert list(check_officers(signed, RELEASERS)) == RELEASERS
    assert release.encode() == case["signed"]
    assert (release.kept.origin, release.evidence.hex()) == (case["origin"], case["evidence"])
    assert (release.kept.size, release.kept.root.hex()) == (case["size"], case["root"])
    assert (release.time, release.reason) == (case["time"], case["reason"])


@pytest.mark.parametrize("case", cases("release", "bad"))
def test_bad_release_is_refused(case: Case) -> None:
    def read(one: Case) -> None:
        check_officers(parse_release(one["release"].encode()), RELEASERS)

    assert code_of(read, case) == case["code"]


@pytest.mark.parametrize("case", cases("ceremony", "good"))
def test_good_ceremony_is_taken(case: Case) -> None:
    file = parse_file(case["protocol"].encode())
    ceremony = file.ceremony
    assert [one.encode() for one in check_file(file)] == case["keys"]
    assert (ceremony.origin, ceremony.approval_text(4)) == (
        case["origin"],
        case["approval_of_step_4"],
    )
    numbers = range(1, len(ceremony.steps) + 1)
    assert [ceremony.hash_of(number).hex() for number in numbers] == case["hashes"]


@pytest.mark.parametrize("case", cases("ceremony", "bad"))
def test_bad_ceremony_is_refused(case: Case) -> None:
    def read(one: Case) -> None:
        check_file(parse_file(one["protocol"].encode()))

    assert code_of(read, case) == case["code"]


@pytest.mark.parametrize("case", cases("armour", "logs"))
def test_armour_vector(case: Case) -> None:
    reader = ArmourReader(10_000)
    for line in case["lines"]:
        reader.feed(line)
    file = VECTORS["armour"]["file"]
    found = list(reader.files.values())
    assert [one.missing() for one in found] == [case["missing"]][case["missing"] is None :]
    if case["missing"] == []:
        assert (found[0].header.name, found[0].data().hex()) == (file["name"], file["hex"])


def test_empty_armour_vector() -> None:
    reader = ArmourReader(0)
    for line in VECTORS["armour"]["empty"]:
        reader.feed(line)
    assert [one.data() for one in reader.files.values()] == [b""]

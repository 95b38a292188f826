"""docs/formats/vectors: the script makes them again, and the code takes and refuses as they say."""

import json
from base64 import b64decode
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import make_vectors
import trees
from chopmark.core.armour import ArmourReader
from chopmark.core.audit import START, Day, encode_record, link, parse_record, salted_leaf
from chopmark.core.audit_proof import parse_audit_proof, verify_audit_proof
from chopmark.core.blinding import blind, extract_seed, parse_salt_key, salt_at
from chopmark.core.ceremony_rules import check_file
from chopmark.core.ceremony_text import parse_file
from chopmark.core.check import compare
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import AnswerReader, End, Failure, Header, Unsigned, parse_header
from chopmark.core.digest import Digests
from chopmark.core.enrolment import open_enrolment
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.evidence import check_evidence, parse_evidence
from chopmark.core.keys import parse_vkey
from chopmark.core.mark import parse_mark
from chopmark.core.merkle import root_from_inclusion, verify_consistency
from chopmark.core.note import parse_note, verify_note
from chopmark.core.officers import check_officers
from chopmark.core.package import parse_package, verify_package
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import parse_extra, parse_proof, verify_proof
from chopmark.core.prover import RunProver
from chopmark.core.release import parse_release
from chopmark.core.roster import Officer
from chopmark.core.roster_follow import SignedRoster, check_successor, open_roster
from chopmark.core.submission import parse_submission
from chopmark.core.suspension import open_suspension
from chopmark.core.tiles import parse_bundle, parse_tile_name
from chopmark.core.verdict import Match
from vectorparts import plain

FILES = [
    "note",
    "checkpoint",
    "entry",
    "package",
    "compact",
    "proof",
    "policy",
    "tiles",
    "head-mark",
    "salt-key",
    "evidence",
    "roster",
    "witness",
    "audit",
    "release",
    "ceremony",
    "slip",
    "enrolment",
    "armour",
    "bundle",
]
PAGES = make_vectors.FOLDER.parent
VECTORS = {
    name: json.loads((make_vectors.FOLDER / f"{name}.json").read_text("utf-8")) for name in FILES
}
Case = dict[str, Any]


def cases(file: str, sort: str) -> list[Any]:
    found = VECTORS[file][sort]
    return [pytest.param(case, id=case.get("name", str(at))) for at, case in enumerate(found)]


def code_of(read: Any, case: Case) -> str:
    with pytest.raises(MalformedError) as caught:
        read(case)
    return caught.value.code


@pytest.mark.parametrize("name", FILES)
def test_vectors_are_what_the_script_makes(name: str) -> None:
    made = make_vectors.make_all()[name]
    assert (make_vectors.FOLDER / f"{name}.json").read_text("utf-8") == make_vectors.encode(made)


def read_note(case: Case) -> list[list[Any]]:
    keys = [parse_vkey(key) for key in VECTORS["note"]["keys"]]
    note = parse_note(case["note"].encode())
    assert note.encode() == case["note"].encode()
    return [[one.key.name, one.time] for one in verify_note(note, keys)]


@pytest.mark.parametrize("case", cases("witness", "cases"))
def test_witness_vector(case: Case) -> None:
    vectors = VECTORS["witness"]
    assert status_of(case["request"].encode(), vectors) == case["status"]
    if case["name"] == "larger size":
        note = case["request"].partition("\n\n")[2] + vectors["answer"]["line"]
        key = parse_vkey(vectors["witness"])
        verified = verify_note(parse_note(note.encode()), (key,))
        assert [one.time for one in verified] == [vectors["answer"]["time"]]


def status_of(request: bytes, vectors: dict[str, Any]) -> int:
    key, last = parse_vkey(vectors["log"]), vectors["cosigned"]
    try:
        asked = parse_submission(request)
        if asked.checkpoint.origin != key.name:
            return 404
        asked.check_signature([key])
        asked.check_step(last["size"], bytes.fromhex(last["root"]))
    except ChopmarkError as error:
        return error.status
    return 200


@pytest.mark.parametrize("case", cases("note", "good"))
def test_note_vector(case: Case) -> None:
    assert read_note(case) == case["verified"]
    assert parse_note(case["note"].encode()).text == case["text"]


@pytest.mark.parametrize("case", cases("note", "bad"))
def test_bad_note_vector(case: Case) -> None:
    assert code_of(read_note, case) == case["code"]


@pytest.mark.parametrize("case", cases("note", "bad_keys"))
def test_bad_vkey_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_vkey(bad["vkey"]), case) == "malformed-vkey"


def read_checkpoint(case: Case) -> dict[str, Any]:
    keys = [parse_vkey(VECTORS["checkpoint"][name]) for name in ("log", "cosigner")]
    head = open_checkpoint(case["note"].encode(), keys[0], (keys[1],)).checkpoint
    return {"note": case["note"], "size": head.size, "root": head.root.hex()}


@pytest.mark.parametrize("case", cases("checkpoint", "good"))
def test_checkpoint_vector(case: Case) -> None:
    assert read_checkpoint(case) == case


@pytest.mark.parametrize("case", cases("checkpoint", "bad"))
def test_bad_checkpoint_vector(case: Case) -> None:
    assert code_of(read_checkpoint, case) == case["code"]


@pytest.mark.parametrize("case", cases("entry", "good"))
def test_entry_vector(case: Case) -> None:
    entry = parse_entry(bytes.fromhex(case["hex"]))
    assert type(entry).__name__ == case["type"]
    assert plain(entry) == case["fields"]


@pytest.mark.parametrize("case", cases("entry", "bad"))
def test_bad_entry_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_entry(bytes.fromhex(bad["hex"])), case) == case["code"]


def test_blinding_vectors() -> None:
    vectors = VECTORS["entry"]["blinding"]
    for case in vectors["digests"]:
        digest = bytes.fromhex(case["digest"])
        salt = bytes.fromhex(vectors["salt"])
        made = blind(salt, vectors["origin"], case["algorithm"], digest)
        assert made.hex() == case["blinded"]
    told = vectors["seed"]
    parts = bytes.fromhex(told["hsm"]), bytes.fromhex(told["system"])
    seed = extract_seed(*parts, told["number"])
    assert seed.hex() == told["seed"]
    for number, salt in told["salts"].items():
        assert salt_at(seed, int(number)).hex() == salt


def read_package(case: Case) -> dict[str, Any]:
    key = parse_vkey(VECTORS["package"]["log"])
    data = b64decode(case["package"])
    package = parse_package(data)
    assert package.encode() == data
    verified = verify_package(package, lambda note: open_checkpoint(note, key))
    return {
        "package": case["package"],
        "start": verified.start,
        "entries": [entry.hex() for entry in verified.entries],
        "size": verified.head.checkpoint.size,
    }


@pytest.mark.parametrize("case", cases("package", "good"))
def test_package_vector(case: Case) -> None:
    assert read_package(case) == case


@pytest.mark.parametrize("case", cases("package", "bad"))
def test_bad_package_vector(case: Case) -> None:
    assert code_of(read_package, case) == case["code"]


def read_answer(answer: str, digests: str | None = None, header: Header | None = None) -> RunProver:
    vectors = VECTORS["compact"]
    key = parse_vkey(vectors["log"])
    if header is None:
        header = parse_header(bytes.fromhex(vectors["headers"][0]["hex"])[4:])
    reader = AnswerReader(0)
    runs = list(reader.feed(bytes.fromhex(answer)))
    last = reader.finish()
    assert isinstance(last, End)
    data = bytes.fromhex(digests or vectors["digests"])
    return RunProver(header, data, runs, last, lambda note: open_checkpoint(note, key))


@pytest.mark.parametrize("case", cases("compact", "headers"))
def test_compact_header_vector(case: Case) -> None:
    data = bytes.fromhex(case["hex"])
    header = parse_header(data[4:])
    assert header.encode() == data
    assert json.loads(json.dumps(asdict(header), default=bytes.hex)) == case["fields"]


@pytest.mark.parametrize("case", cases("compact", "bad_headers"))
def test_bad_compact_header_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_header(bytes.fromhex(bad["hex"])), case) == case["code"]


def test_compact_vector() -> None:
    vectors = VECTORS["compact"]
    made = [proof.encode().decode() for proof in read_answer(vectors["answer"]).proofs()]
    assert made == vectors["proofs"]
    policy = Policy((parse_vkey(vectors["log"]),))
    for text in made:
        verify_proof(parse_proof(text.encode()), policy)


def test_compact_vector_with_a_validity_that_the_gateway_has_set() -> None:
    case = VECTORS["compact"]["validity_set"]
    prover = read_answer(case["answer"], case["digests"])
    assert [proof.encode().decode() for proof in prover.proofs()] == case["proofs"]
    with pytest.raises(MalformedError) as caught:
        read_answer(case["bad"], case["digests"])
    assert caught.value.code == "bad-compact"


def test_compact_vector_of_blinded_attestations() -> None:
    case = VECTORS["compact"]["blinded"]
    header = parse_header(bytes.fromhex(case["header"])[4:])
    prover = read_answer(case["answer"], case["digests"], header)
    for number, proof in case["proofs"].items():
        made = prover.proof(int(number))
        assert made.encode().decode() == proof
        at = int(number) * header.width
        pair = bytes.fromhex(case["digests"])[at : at + header.width]
        extra = parse_extra(made.extra)
        entry = parse_entry(extra.entry)
        assert isinstance(entry, Attestation)
        digests = Digests(pair[:32], pair[32:])
        assert compare(entry, digests, made.checkpoint().origin, extra.salt) == Match.ALL
    for bad in case["bad"].values():
        with pytest.raises(MalformedError) as caught:
            read_answer(bad, case["digests"], header)
        assert caught.value.code == "bad-compact"


@pytest.mark.parametrize("case", cases("compact", "bad"))
def test_bad_compact_vector(case: Case) -> None:
    assert code_of(lambda bad: read_answer(bad["answer"]), case) == case["code"]


def test_compact_vectors_of_answers_that_end_otherwise() -> None:
    for answer in VECTORS["compact"]["others"].values():
        reader = AnswerReader(0)
        assert len(list(reader.feed(bytes.fromhex(answer)))) == 1
        assert isinstance(reader.finish(), Unsigned | Failure)


def read_proof(case: Case) -> dict[str, Any]:
    policy = parse_policy(VECTORS["proof"]["policy"].encode())
    proof = parse_proof(case["proof"].encode())
    assert proof.encode() == case["proof"].encode()
    proven = verify_proof(proof, policy)
    told = {"index": proven.index, "entry": proven.extra.entry.hex()}
    return told | {"quorum": proven.quorum, "existed_by": proven.existed_by}


def test_proof_vector_of_a_blinded_attestation_needs_its_salt() -> None:
    case = next(case for case in VECTORS["proof"]["good"] if case["name"] == "blinded")
    proof = parse_proof(case["proof"].encode())
    extra = parse_extra(proof.extra)
    entry = parse_entry(extra.entry)
    assert isinstance(entry, Attestation)
    assert extra.salt is not None
    assert extra.salt.hex() == VECTORS["proof"]["salt"]
    document = bytes.fromhex(VECTORS["entry"]["document"])
    digests = Digests(sha256(document).digest())
    origin = proof.checkpoint().origin
    assert compare(entry, digests, origin, extra.salt) == Match.ALL
    assert compare(entry, digests, origin) == Match.BLINDED


@pytest.mark.parametrize("case", cases("proof", "good"))
def test_proof_vector(case: Case) -> None:
    expected = {key: case[key] for key in ("index", "entry", "quorum", "existed_by")}
    assert read_proof(case) == expected


def read_evidence(case: Case) -> dict[str, Any]:
    evidence = parse_evidence(case["evidence"].encode())
    assert evidence.encode() == case["evidence"].encode()
    fork = check_evidence(evidence, parse_vkey(VECTORS["evidence"]["log"]))
    sizes = [head.checkpoint.size for head in (fork.first, fork.second)]
    told = {"subject": evidence.subject, "number": evidence.number, "sizes": sizes}
    return {"name": case["name"], "evidence": case["evidence"]} | told


@pytest.mark.parametrize("case", cases("evidence", "good"))
def test_evidence_vector(case: Case) -> None:
    assert read_evidence(case) == case


@pytest.mark.parametrize("case", cases("evidence", "bad"))
def test_bad_evidence_vector(case: Case) -> None:
    assert code_of(read_evidence, case) == case["code"]


@pytest.mark.parametrize("case", cases("proof", "bad"))
def test_bad_proof_vector(case: Case) -> None:
    assert code_of(read_proof, case) == case["code"]


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


def test_tree_vectors() -> None:
    vectors = VECTORS["tiles"]
    leaves = [bytes.fromhex(value) for value in vectors["leaves"]]
    roots = [bytes.fromhex(value) for value in vectors["roots"]]
    assert roots == [trees.root(leaves[:size]) for size in range(8)]
    for case in vectors["inclusion"]:
        path = [bytes.fromhex(value) for value in case["proof"]]
        leaf = leaves[case["index"]]
        assert root_from_inclusion(leaf, case["index"], case["size"], path) == roots[case["size"]]
    for case in vectors["consistency"]:
        path = [bytes.fromhex(value) for value in case["proof"]]
        old, new = case["old"], case["new"]
        verify_consistency(old, new, roots[old], roots[new], path)


def test_tile_vectors() -> None:
    vectors = VECTORS["tiles"]
    for path, (level, index, width) in vectors["names"].items():
        name = parse_tile_name(path)
        assert (name.level, name.index, name.width) == (level, index, width)
    entries = parse_bundle(bytes.fromhex(vectors["bundle"]["hex"]))
    assert [entry.hex() for entry in entries] == vectors["bundle"]["entries"]


@pytest.mark.parametrize("path", VECTORS["tiles"]["bad_names"])
def test_bad_tile_name_vector(path: str) -> None:
    with pytest.raises(MalformedError):
        parse_tile_name(path)


@pytest.mark.parametrize("data", VECTORS["tiles"]["bad_bundles"])
def test_bad_bundle_vector(data: str) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(bytes.fromhex(data))


EXAMPLES = {
    "note": VECTORS["note"]["good"][0]["note"],
    "checkpoint": VECTORS["checkpoint"]["good"][0]["note"],
    "entry": VECTORS["entry"]["good"][0]["hex"],
    "package": VECTORS["package"]["good"][0]["package"],
    "compact": VECTORS["compact"]["headers"][0]["hex"],
    "proof": VECTORS["proof"]["good"][0]["proof"],
    "policy": VECTORS["policy"]["good"][0]["policy"],
    "roster": VECTORS["roster"]["good"][0]["note"],
    "audit": VECTORS["audit"]["good"][0]["proof"],
    "tiles": "tile/0/x001/x234/067",
    "head-mark": VECTORS["head-mark"]["good"][0]["hex"],
    "salt-key": VECTORS["salt-key"]["good"]["hex"],
    "witness": VECTORS["witness"]["cases"][-1]["request"],
    "evidence": VECTORS["evidence"]["good"][1]["evidence"],
    "release": VECTORS["release"]["good"][0]["release"],
    "ceremony": VECTORS["ceremony"]["good"][0]["protocol"],
    "slip": VECTORS["slip"]["good"][2]["slip"],
    "enrolment": VECTORS["enrolment"]["good"][0]["enrolment"],
    "armour": "\n".join(VECTORS["armour"]["example"]),
    "bundle": VECTORS["bundle"]["good"][0]["hex"],
}


@pytest.mark.parametrize("name", FILES)
def test_page_begins_with_an_example_that_is_a_vector(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    example = page.split("```")[1].partition("\n")[2]
    text = {
        "note",
        "checkpoint",
        "proof",
        "policy",
        "witness",
        "evidence",
        "audit",
        "roster",
        "release",
        "ceremony",
        "slip",
        "enrolment",
        "armour",
    }
    shown = example if name in text else "".join(example.split())
    assert EXAMPLES[name] in shown
    assert f"vectors/{name}.json" in page


def test_salt_key_vectors() -> None:
    vectors = VECTORS["salt-key"]
    good = vectors["good"]
    key = parse_salt_key(bytes.fromhex(good["hex"]))
    assert (key.since, key.key.hex(), key.encode().hex()) == (
        *(good["since"], good["key"]),
        good["hex"],
    )
    sealed = vectors["sealed"]
    box = bytes.fromhex(sealed["box"])
    assert key.open(box, sealed["first"]).hex() == sealed["seed"]
    for wrong, first in ((box[:-1], 5), (box, 4), (box[:11], 5), (b"", 5)):
        with pytest.raises(MalformedError) as caught:
            key.open(wrong, first)
        assert caught.value.code == "damaged-seed"
    for bad in vectors["bad"]:
        with pytest.raises(MalformedError):
            parse_salt_key(bytes.fromhex(bad["hex"]))


def read_mark(case: Case) -> dict[str, Any]:
    mark = parse_mark(bytes.fromhex(case["hex"]))
    assert mark.encode().hex() == case["hex"]
    head = mark.head
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "counter": mark.counter,
        "epoch": mark.epoch.hex(),
        "clean": mark.clean,
    }


@pytest.mark.parametrize("case", cases("head-mark", "good"))
def test_mark_vector(case: Case) -> None:
    assert read_mark(case).items() <= case.items()


@pytest.mark.parametrize("case", cases("head-mark", "bad"))
def test_bad_mark_vector(case: Case) -> None:
    assert code_of(read_mark, case) == case["code"]


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

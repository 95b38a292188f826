"""Vectors of what shows an attestation or a fork: compact answers, proofs, evidence."""

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import pytest

from chopmark.core.check import compare
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import AnswerReader, End, Failure, Header, Unsigned, parse_header
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import MalformedError
from chopmark.core.evidence import check_evidence, parse_evidence
from chopmark.core.keys import parse_vkey
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import parse_extra, parse_proof, verify_proof
from chopmark.core.prover import RunProver
from chopmark.core.verdict import Match
from vectorcases import VECTORS, Case, cases, code_of


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

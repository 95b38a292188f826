"""Proofs of a compact request: all of them right, and none from an answer that is not."""

from dataclasses import replace

import pytest

from chopmark.core.compact import End, Run
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import Policy
from chopmark.core.proof import parse_extra, parse_proof, verify_proof
from chopmark.core.prover import RunProver
from compactlog import LOG, CompactLog, made, open_note
from mutations import flipped

POLICY = Policy((LOG.vkey,))
SHAPES = [
    (1,),
    (2,),
    (7,),
    (256,),
    (-1, 1),
    (-1, 2, -1),
    (-3, 5, -2, 4, 6, -1),
    (3, 3, 3),
    (-300, 300, -1, 17),
    (-5, 1, -1, 1, -1, 1, -9),
]


def prover(log: CompactLog) -> RunProver:
    return RunProver(log.header, log.digests, log.runs, log.end(), open_note)


def check_all(log: CompactLog) -> None:
    made_proofs = list(prover(log).proofs())
    indexes = [run.start + at for run in log.runs for at in range(run.count)]
    assert len(made_proofs) == len(prover(log)) == len(indexes)
    width = log.header.width
    for number, (index, proof) in enumerate(zip(indexes, made_proofs, strict=True)):
        assert parse_proof(proof.encode()) == proof
        assert verify_proof(proof, POLICY).index == index
        entry = parse_entry(parse_extra(proof.extra).entry)
        assert isinstance(entry, Attestation)
        found = entry.sha256 + (entry.sm3 or b"")
        assert found == log.digests[number * width : (number + 1) * width]
        assert (entry.kind, entry.valid_until) == (log.header.kind, log.header.valid_until)


@pytest.mark.parametrize("shape", SHAPES)
def test_prover_makes_every_proof(shape: tuple[int, ...]) -> None:
    check_all(made(*shape))


def test_prover_makes_every_proof_of_all_small_logs() -> None:
    for before in range(5):
        for between in range(4):
            for count in range(1, 6):
                for after in range(3):
                    shape = (-before, count, -between, 2, -after)
                    check_all(made(*(part for part in shape if part)))


def test_prover_knows_sm3_and_validity() -> None:
    check_all(made(-2, 5, -1, 3, with_sm3=True, valid_until=2**41))


def test_prover_of_a_later_part_numbers_as_the_request_does() -> None:
    log = made()
    log.header = replace(log.header, offset=5)
    log.add_others(3)
    log.add_run(4)
    proofs = prover(log)
    assert verify_proof(proofs.proof(6), POLICY).index == 4
    for number in (4, 9, -1):
        with pytest.raises(IndexError):
            proofs.proof(number)


def test_prover_of_no_digests_checks_the_head() -> None:
    log = made(-5)
    assert list(prover(log).proofs()) == []
    assert prover(log).checkpoint.size == 5
    with pytest.raises(IndexError):
        prover(log).proof(0)
    empty = made()
    assert prover(empty).checkpoint.size == 0


LOG_OF_ALL = made(-3, 5, -2, 4, 6, -1)


def prove(log: CompactLog, **changes: object) -> RunProver:
    parts = {"header": log.header, "digests": log.digests, "runs": log.runs, "end": log.end()}
    return RunProver(**(parts | changes), open_note=open_note)  # type: ignore[arg-type]


def refused(**changes: object) -> str:
    with pytest.raises(RefusedError) as caught:
        prove(LOG_OF_ALL, **changes)
    return caught.value.code


@pytest.mark.parametrize("at", range(0, 15 * 32, 31))
def test_prover_refuses_any_other_digest(at: int) -> None:
    assert refused(digests=flipped(LOG_OF_ALL.digests, 8 * at)) == "bad-compact"


def test_prover_refuses_another_number_of_digests() -> None:
    for changed in (LOG_OF_ALL.digests[:-32], LOG_OF_ALL.digests + bytes(32), b""):
        assert refused(digests=changed) == "bad-compact"


def test_prover_refuses_any_other_hash_beside() -> None:
    end = LOG_OF_ALL.end()
    for at, joined in enumerate(end.beside):
        for changed in [flipped(joined, 8 * at) for at in range(0, len(joined), 32)]:
            ranges = (*end.beside[:at], changed, *end.beside[at + 1 :])
            assert refused(end=replace(end, beside=ranges)) == "bad-compact"
        for changed in (joined + bytes(32), joined[32:] if joined else bytes(32)):
            ranges = (*end.beside[:at], changed, *end.beside[at + 1 :])
            assert refused(end=replace(end, beside=ranges)) == "bad-compact"
    for ranges in (end.beside[:-1], (*end.beside, b""), ()):
        assert refused(end=replace(end, beside=ranges)) == "bad-compact"


def test_prover_refuses_any_other_runs() -> None:
    runs = LOG_OF_ALL.runs
    changes: list[list[Run]] = [
        [*runs[:-1], replace(runs[-1], made_at=runs[-1].made_at + 1)],
        [*runs[:-1], replace(runs[-1], start=runs[-1].start + 1)],
        [*runs[:-1], replace(runs[-1], first=runs[-1].first + 1)],
        [*runs[:-1], replace(runs[-1], count=0)],
        [replace(runs[0], count=runs[0].count + 1), *runs[1:]],
        [runs[0], replace(runs[1], start=2), runs[2]],
        [*runs[:-1], replace(runs[-1], start=2**40)],
        runs[:-1],
        runs[1:],
        [runs[1], runs[0], runs[2]],
        [],
    ]
    assert {refused(runs=changed) for changed in changes} == {"bad-compact"}


def test_prover_refuses_another_kind_or_validity() -> None:
    header = LOG_OF_ALL.header
    for changed in (replace(header, kind="document"), replace(header, valid_until=1)):
        assert refused(header=changed) == "bad-compact"


def test_prover_refuses_a_head_that_is_not_the_logs() -> None:
    end = LOG_OF_ALL.end()
    text = end.note.replace(b"\n21\n", b"\n22\n")
    assert refused(end=End(text, end.beside)) == "bad-signature"
    with pytest.raises(MalformedError):
        prove(LOG_OF_ALL, end=End(b"", end.beside))
    older = made(-3, 5).end()
    assert refused(end=older) == "bad-compact"

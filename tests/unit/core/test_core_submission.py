"""What a witness is asked, and the rules of C2SP tlog-witness, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, ForbiddenError, MalformedError, RefusedError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note
from chopmark.core.submission import StaleSizeError, Submission, parse_submission
from chopmark.core.text import encode_base64
from softkeys import SoftKey, ed25519_key, log_key, sign_head

ORIGIN = "example.com/behind-the-sofa"
LOG = ed25519_key(ORIGIN, 7)
OTHER = ed25519_key(ORIGIN, 8)
LEAVES = trees.numbered(70)
ROOTS = [trees.root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


def note(size: int, root: bytes | None = None, key: SoftKey = LOG, origin: str = ORIGIN) -> bytes:
    return sign_head(Checkpoint(origin, size, ROOTS[size] if root is None else root), key)


def body(old: int, new: int, proof: list[bytes] | None = None, signed: bytes = b"") -> bytes:
    if proof is None:
        proof = trees.proof(old, LEAVES[:new]) if 0 < old <= new else []
    lines = "".join(f"{encode_base64(one)}\n" for one in proof)
    return f"old {old}\n{lines}\n".encode() + (signed or note(new))


def step(asked: Submission, last: int) -> None:
    asked.check_step(last, ROOTS[last])


def test_example_of_the_specification_is_read() -> None:
    """The request on c2sp.org/tlog-witness, whose signatures are made up."""
    lines = ["PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="] * 4
    signature = (
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5"
        "/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
    )
    root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    text = f"{ORIGIN}\n20852163\n{root}\n\n— {ORIGIN} {signature}\n"
    example = "\n".join(["old 20852014", *lines, "", text])
    asked = parse_submission(example.encode())
    assert (asked.old, len(asked.proof), asked.checkpoint.size) == (20852014, 4, 20852163)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"old 1",
        b"old 1\n",
        b"old 1\n\n",
        note(3),
        body(1, 3).replace(b"old 1", b"old  1"),
        body(1, 3).replace(b"old 1", b"Old 1"),
        body(1, 3).replace(b"old 1", b"old 01"),
        body(1, 3).replace(b"old 1", b"old -1"),
        body(1, 3).replace(b"old 1", b"old 1 "),
        body(1, 3).replace(b"old 1", "old ١".encode()),
        body(1, 3).replace(b"old 1\n", b"old 1\r\n"),
        body(1, 3).replace(b"old 1\n", b"\nold 1\n"),
        body(1, 3, [b"x" * 31]),
        body(1, 3, [b"x" * 33]),
        body(1, 3, ROOTS[:64]),
        body(1, 3)[:-1],
        body(1, 3) + b"\n",
        body(0, 3, signed=note(3).replace(b"\n3\n", b"\n03\n")),
        body(0, 3, signed=note(3).replace(b"\n3\n", b"\n3\nextension\n")),
        body(0, 3, signed=note(3).replace(ORIGIN.encode(), b"", 1)),
        body(0, 3, signed=note(3).replace(ORIGIN.encode(), b"a\x00b", 1)),
        body(0, 3, signed=note(3).replace(ORIGIN.encode(), b"chopmark/roster/v1", 1)),
        body(0, 3, signed=Note(Checkpoint(ORIGIN, 3, ROOTS[3]).encode(), ()).encode()),
        body(0, 3) + b"x" * 65_536,
        body(4, 3, []),
    ],
)
def test_malformed_submission_is_refused_with_400(broken: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_submission(broken)
    assert caught.value.status == 400


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 8))
def test_parser_raises_nothing_else(junk: bytes, at: int, cut: int) -> None:
    good = body(3, 7)
    for data in (junk, good[:at] + junk + good[at + cut :]):
        try:
            asked = parse_submission(data)
        except MalformedError:
            continue
        assert asked.old <= asked.checkpoint.size


def test_origin_of_another_log_may_be_what_c2sp_allows() -> None:
    origin = "Go sum database tree (ünïcode)"
    asked = parse_submission(body(0, 3, signed=note(3, origin=origin)))
    assert asked.checkpoint.origin == origin


@pytest.mark.parametrize(
    "signed",
    [
        note(3, key=OTHER),
        note(3, key=ed25519_key("other.example/log", 7)),
        note(3).replace(b"\n3\n", b"\n2\n"),
    ],
    ids=["another key", "another name", "another text"],
)
def test_checkpoint_that_the_log_has_not_signed_is_403(signed: bytes) -> None:
    asked = parse_submission(body(0, 2, signed=signed))
    with pytest.raises(ForbiddenError) as caught:
        asked.check_signature([LOG.vkey])
    assert caught.value.status == 403


def test_bad_signature_of_one_trusted_key_voids_that_of_another() -> None:
    good = parse_submission(body(0, 3)).note
    bad = OTHER.sign("another text\n")
    asked = parse_submission(body(0, 3, signed=good.with_signature(bad).encode()))
    assert asked.check_signature([LOG.vkey]).signatures == good.signatures
    with pytest.raises(ForbiddenError):
        asked.check_signature([LOG.vkey, OTHER.vkey])


def test_ecdsa_key_of_a_log_is_as_good() -> None:
    key = log_key(ORIGIN, 9)
    asked = parse_submission(body(0, 3, signed=note(3, key=key)))
    assert len(asked.check_signature([key.vkey]).signatures) == 1


def test_old_size_must_be_the_cosigned_one() -> None:
    for old, last in ((0, 2), (2, 0), (2, 3), (3, 2)):
        with pytest.raises(StaleSizeError) as caught:
            step(parse_submission(body(old, 5)), last)
        assert (caught.value.status, caught.value.size) == (409, last)


def test_empty_log_has_the_root_of_the_empty_tree() -> None:
    step(parse_submission(body(0, 0, signed=note(0, EMPTY_ROOT))), 0)
    with pytest.raises(RefusedError) as caught:
        step(parse_submission(body(0, 0, signed=note(0, b"x" * 32))), 0)
    assert caught.value.status == 422


def test_same_size_is_taken_again_and_with_another_root_refused() -> None:
    step(parse_submission(body(5, 5, [])), 5)
    for asked in (body(5, 5, [], note(5, b"x" * 32)), body(5, 5, [ROOTS[5]])):
        with pytest.raises(RefusedError):
            step(parse_submission(asked), 5)


def test_from_size_zero_there_must_be_no_proof() -> None:
    step(parse_submission(body(0, 5)), 0)
    with pytest.raises(RefusedError):
        step(parse_submission(body(0, 5, [ROOTS[1]])), 0)


def test_every_consistency_proof_is_taken_and_every_twin_of_it_refused() -> None:
    """All pairs of sizes; each proof with a flipped bit, a hash less, a hash more, another root."""
    for new in range(1, 24):
        for old in range(1, new + 1):
            proof = trees.proof(old, LEAVES[:new])
            step(parse_submission(body(old, new)), old)
            twins = [proof[:-1], [*proof, ROOTS[1]], proof[::-1]]
            twins += [[*proof[:i], _flip(proof[i], i), *proof[i + 1 :]] for i in range(len(proof))]
            for twin in twins:
                if twin != proof:
                    _must_refuse(parse_submission(body(old, new, twin)), old)
            _must_refuse(parse_submission(body(old, new, signed=note(new, b"x" * 32))), old)
            _must_refuse(parse_submission(body(old, new)), old, b"y" * 32)


def test_proof_of_a_forked_log_is_refused() -> None:
    fork = [*LEAVES[:9], *trees.numbered(30, seed=1)]
    for old in range(10, 30):
        proof = trees.proof(old, fork[:39])
        signed = note(39, trees.root(fork[:39]))
        _must_refuse(parse_submission(body(old, 39, proof, signed)), old)


def _must_refuse(asked: Submission, last: int, root: bytes | None = None) -> None:
    with pytest.raises(ChopmarkError) as caught:
        asked.check_step(last, ROOTS[last] if root is None else root)
    assert caught.value.status == 422


def _flip(value: bytes, bit: int) -> bytes:
    return bytes([value[0] ^ 1 << bit % 8]) + value[1:]

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import Policy
from chopmark.core.proof import (
    HEADER,
    MAX_PATH,
    MAX_PROOF,
    Extra,
    Proof,
    parse_extra,
    parse_proof,
    verify_proof,
)
from chopmark.core.text import MAX_INT, encode_base64
from mutations import flipped, is_canonical, mutated
from softkeys import SoftKey, cosigner, log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
OLD = log_key(ORIGIN, 9)
HK = cosigner("bank-b.example/hk-1/cosigner", 3)
MO = cosigner("bank-c.example/mo-1/cosigner", 4)
POLICY = Policy((LOG.vkey,), {"hk": HK.vkey, "mo": MO.vkey}, {"both": (2, ("hk", "mo"))}, "both")
ENTRIES = [b"entry %d" % index for index in range(300)]
LEAVES = [trees.leaf(entry) for entry in ENTRIES]
HASHES = st.binary(min_size=32, max_size=32)


def proof(
    index: int, size: int, cosigned: dict[SoftKey, int] | None = None, log: SoftKey = LOG
) -> Proof:
    head = Checkpoint(ORIGIN, size, trees.root(LEAVES[:size]))
    path = tuple(trees.path(index, LEAVES[:size]))
    note = sign_head(head, log, {HK: 20, MO: 10} if cosigned is None else cosigned)
    return Proof(index, path, note, Extra(ENTRIES[index]).encode())


def refuses(bad: Proof, policy: Policy = POLICY) -> bool:
    try:
        verify_proof(parse_proof(bad.encode()), policy)
    except MalformedError:
        return True
    return False


NOTE = proof(0, 1).note
PROOFS = st.builds(
    Proof,
    st.integers(0, MAX_INT),
    st.lists(HASHES, max_size=MAX_PATH).map(tuple),
    st.just(NOTE),
    st.none() | st.binary(min_size=1, max_size=300),
)
EXTRAS = st.builds(
    Extra,
    st.binary(max_size=240),
    st.none() | HASHES,
    st.none() | st.integers(0, MAX_INT),
    st.none() | st.binary(max_size=99),
)


@given(PROOFS)
def test_proof_round_trip(made: Proof) -> None:
    assert parse_proof(made.encode()) == made


@given(st.sampled_from([(0, 1), (3, 7)]).flatmap(lambda at: mutated(proof(*at).encode())))
def test_proof_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_proof, Proof.encode)


@given(mutated(proof(3, 7).encode()))
def test_proof_mutations_prove_the_same_entry_or_none(data: bytes) -> None:
    try:
        proven = verify_proof(parse_proof(data), POLICY)
    except MalformedError:
        return
    assert (proven.index, proven.extra.entry) == (3, ENTRIES[3])


@given(EXTRAS)
def test_extra_round_trip(extra: Extra) -> None:
    assert parse_extra(extra.encode()) == extra


@given(EXTRAS.flatmap(lambda extra: mutated(extra.encode())))
def test_extra_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_extra, Extra.encode)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"entry",
        [],
        {},
        {1: bytes(32)},
        {0: "entry"},
        {0: None},
        {0: b"", 1: None},
        {0: b"", 1: bytes(31)},
        {0: b"", 1: "x" * 32},
        {0: b"", 2: True},
        {0: b"", 2: -1},
        {0: b"", 2: 2**63},
        {0: b"", 2: "7"},
        {0: b"", 3: "body"},
        {0: b"", 3: []},
        {0: b"", 4: 0},
        {0: b"", -1: 0},
        {0: b"", "x": 0},
    ],
    ids=repr,
)
def test_extra_refuses(value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_extra(encode_cbor(value))
    assert caught.value.code == "malformed-proof"


@pytest.mark.parametrize("data", [None, b"", b"age-v1.2.1-darwin-arm64.tar.gz"])
def test_extra_of_other_software_is_refused(data: bytes | None) -> None:
    with pytest.raises(MalformedError):
        parse_extra(data)


TAIL = "\n" + NOTE.decode()
ONE = encode_base64(bytes(32))
BAD = {
    "nothing": "",
    "header alone": f"{HEADER}\n",
    "header without a version": f"c2sp.org/tlog-proof\nindex 0\n{TAIL}",
    "another version": f"c2sp.org/tlog-proof@v2\nindex 0\n{TAIL}",
    "space in front": f" {HEADER}\nindex 0\n{TAIL}",
    "space behind": f"{HEADER} \nindex 0\n{TAIL}",
    "carriage returns": f"{HEADER}\r\nindex 0\r\n\r\n{NOTE.decode()}",
    "no index": f"{HEADER}\n{TAIL}",
    "extra without an index": f"{HEADER}\nextra AA==\n{TAIL}",
    "no header": f"index 0\n{TAIL}",
    "index without a number": f"{HEADER}\nindex\n{TAIL}",
    "index of nothing": f"{HEADER}\nindex \n{TAIL}",
    "index with a zero in front": f"{HEADER}\nindex 00\n{TAIL}",
    "index with a sign": f"{HEADER}\nindex +0\n{TAIL}",
    "index with two spaces": f"{HEADER}\nindex  0\n{TAIL}",
    "index with a tab": f"{HEADER}\nindex\t0\n{TAIL}",
    "index in capitals": f"{HEADER}\nIndex 0\n{TAIL}",
    "index in other digits": f"{HEADER}\nindex ٠\n{TAIL}",
    "index beyond 63 bits": f"{HEADER}\nindex {2**63}\n{TAIL}",
    "index twice": f"{HEADER}\nindex 0\nindex 0\n{TAIL}",
    "extra after the index": f"{HEADER}\nindex 0\nextra AA==\n{TAIL}",
    "extra twice": f"{HEADER}\nextra AA==\nextra AA==\nindex 0\n{TAIL}",
    "extra without a space": f"{HEADER}\nextra\nindex 0\n{TAIL}",
    "extra of nothing": f"{HEADER}\nextra \nindex 0\n{TAIL}",
    "extra with two spaces": f"{HEADER}\nextra  AA==\nindex 0\n{TAIL}",
    "extra without padding": f"{HEADER}\nextra AA\nindex 0\n{TAIL}",
    "extra with unused bits": f"{HEADER}\nextra AB==\nindex 0\n{TAIL}",
    "extra in two words": f"{HEADER}\nextra AA== AA==\nindex 0\n{TAIL}",
    "hash of 31 bytes": f"{HEADER}\nindex 0\n{encode_base64(bytes(31))}\n{TAIL}",
    "hash with a space": f"{HEADER}\nindex 0\n{ONE} \n{TAIL}",
    "hash in hexadecimal": f"{HEADER}\nindex 0\n{'00' * 32}\n{TAIL}",
    "too many hashes": f"{HEADER}\nindex 0\n" + f"{ONE}\n" * (MAX_PATH + 1) + TAIL,
    "two blank lines": f"{HEADER}\nindex 0\n\n{TAIL}",
    "no blank line": f"{HEADER}\nindex 0\n{NOTE.decode()}",
    "no checkpoint": f"{HEADER}\nindex 0\n\n",
    "a note that is no checkpoint": f"{HEADER}\nindex 0\n\ntext\n\n— x AAAAAAA=\n",
    "a checkpoint without signatures": f"{HEADER}\nindex 0\n\n{ORIGIN}\n1\n{ONE}\n",
    "text after the note": f"{HEADER}\nindex 0\n{TAIL}more\n",
    "more than the most": f"{HEADER}\nextra {'A' * MAX_PROOF}\nindex 0\n{TAIL}",
}


def test_proof_takes_what_the_bad_ones_are_made_from() -> None:
    assert parse_proof(f"{HEADER}\nindex 0\n{TAIL}".encode()) == Proof(0, (), NOTE)
    data = f"{HEADER}\nextra AA==\nindex 0\n{ONE}\n{TAIL}".encode()
    assert parse_proof(data) == Proof(0, (bytes(32),), NOTE, b"\x00")


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_proof_refuses(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_proof(text.encode())


def test_proof_refuses_what_is_not_utf8() -> None:
    with pytest.raises(MalformedError):
        parse_proof(HEADER.encode() + b"\nextra \xff\nindex 0\n" + TAIL.encode())


def test_proof_without_extra_and_with_an_empty_one_are_the_same() -> None:
    assert Proof(0, (), NOTE, b"").encode() == Proof(0, (), NOTE).encode()


def test_proof_tells_its_checkpoint() -> None:
    assert proof(2, 5).checkpoint() == Checkpoint(ORIGIN, 5, trees.root(LEAVES[:5]))


@pytest.mark.parametrize("size", range(1, 18))
def test_proofs_of_small_logs(size: int) -> None:
    for index in range(size):
        proven = verify_proof(proof(index, size), POLICY)
        assert (proven.index, proven.extra.entry) == (index, ENTRIES[index])
        assert (proven.quorum, proven.existed_by) == (True, 20)
        assert proven.head.checkpoint.size == size


@pytest.mark.parametrize("size", range(1, 18))
def test_proofs_of_small_logs_fail_when_anything_changes(size: int) -> None:
    note = proof(0, size).note
    for index in range(size):
        path = tuple(trees.path(index, LEAVES[:size]))
        good = Proof(index, path, note, Extra(ENTRIES[index]).encode())
        assert not refuses(good)
        for at in range(len(path)):
            bad = flipped(path[at], 17 * index + at)
            assert refuses(replace(good, hashes=(*path[:at], bad, *path[at + 1 :])))
            assert refuses(replace(good, hashes=path[:at] + path[at + 1 :]))
        assert refuses(replace(good, hashes=(*path, bytes(32))))
        assert refuses(replace(good, extra=Extra(ENTRIES[index] + b"x").encode()))
        assert refuses(replace(good, extra=None))
        for other in {0, index - 1, index + 1, size - 1, size} - {index, -1}:
            assert refuses(replace(good, index=other))


@given(st.data(), st.integers(1, len(ENTRIES)))
def test_proofs_of_larger_logs_fail_when_a_bit_changes(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    good = proof(index, size, {})
    assert not refuses(good)
    for at, value in enumerate(good.hashes):
        bad = flipped(value, data.draw(st.integers(0, 255)))
        assert refuses(replace(good, hashes=(*good.hashes[:at], bad, *good.hashes[at + 1 :])))


def code_of(made: Proof, policy: Policy) -> str:
    with pytest.raises(RefusedError) as caught:
        verify_proof(made, policy)
    return caught.value.code


def test_proof_of_an_unknown_log_is_refused() -> None:
    assert code_of(proof(0, 1), replace(POLICY, logs=())) == "unknown-log"
    other = replace(POLICY, logs=(log_key("bank-a.example/sz-2").vkey,))
    assert code_of(proof(0, 1), other) == "unknown-log"


def test_proof_by_an_unknown_key_of_a_known_log_is_refused() -> None:
    assert code_of(proof(0, 1), replace(POLICY, logs=(OLD.vkey,))) == "no-known-signature"


def test_proof_under_another_root_is_refused() -> None:
    made = replace(proof(0, 1), extra=Extra(ENTRIES[1]).encode())
    assert code_of(made, POLICY) == "bad-inclusion"
    assert code_of(replace(proof(1, 2), hashes=()), POLICY) == "bad-inclusion"


def test_proof_with_a_bad_cosignature_of_a_known_witness_is_refused() -> None:
    made = proof(0, 1, {HK: 20})
    moved = sign_head(Checkpoint(ORIGIN, 2, bytes(32)), LOG, {MO: 10}).split(b"\n")[-2]
    bad = replace(made, note=made.note + moved + b"\n")
    assert code_of(bad, POLICY) == "bad-signature"
    without = replace(POLICY, witnesses={"hk": HK.vkey}, groups={}, quorum="hk")
    assert verify_proof(bad, without).quorum


@pytest.mark.parametrize(
    ("cosigned", "quorum", "existed_by"),
    [
        ({}, False, None),
        ({HK: 20}, False, None),
        ({HK: 20, MO: 30}, True, 30),
        ({HK: 20, cosigner("stranger", 7): 5}, False, None),
    ],
    ids=["nobody", "one", "both", "one and a stranger"],
)
def test_proof_reports_the_quorum(
    cosigned: dict[SoftKey, int], *, quorum: bool, existed_by: int | None
) -> None:
    proven = verify_proof(proof(2, 3, cosigned), POLICY)
    assert (proven.quorum, proven.existed_by) == (quorum, existed_by)


def test_proof_with_quorum_none_counts_as_witnessed_without_a_date() -> None:
    proven = verify_proof(proof(2, 3), Policy((LOG.vkey,)))
    assert (proven.quorum, proven.existed_by) == (True, None)


@pytest.mark.parametrize("keys", [(LOG, OLD), (OLD, LOG)])
def test_proof_by_either_key_of_a_log_is_good(keys: tuple[SoftKey, SoftKey]) -> None:
    policy = replace(POLICY, logs=tuple(key.vkey for key in keys))
    for key in keys:
        assert verify_proof(proof(1, 3, log=key), policy).quorum


@pytest.mark.parametrize("keys", [(LOG, OLD), (OLD, LOG)])
def test_proof_with_one_bad_log_signature_beside_a_good_one_is_refused(
    keys: tuple[SoftKey, SoftKey],
) -> None:
    good, other = proof(1, 3, {}), proof(0, 2, {}, OLD)
    both = replace(good, note=good.note + other.note.split(b"\n")[-2] + b"\n")
    policy = replace(POLICY, logs=tuple(key.vkey for key in keys))
    assert code_of(both, policy) == "bad-signature"
    assert not refuses(both)

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import make_vectors
from chopmark.core.base45 import ALPHABET, decode_base45, encode_base45
from chopmark.core.entry import MAX_ENTRY, Attestation, encode_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.note import Note, Signature
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import Extra, Proof, parse_extra, parse_proof, verify_proof
from chopmark.core.slip import MAX_TEXT, PREFIX, encode_slip, parse_slip
from chopmark.core.slip_making import make_slip, reduce_proof
from mutations import flipped, is_canonical
from slipvectors import GD, GOOD, KEYS, LOG, MO, POLICY, SZ, TIME, proven
from softkeys import cosigner

VECTORS = json.loads((make_vectors.FOLDER / "slip.json").read_text("utf-8"))
SLIP = VECTORS["good"][1]["slip"]
ENTRY = encode_entry(Attestation(1, bytes(32), "k"))


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def code_of(text: str) -> str:
    with pytest.raises(MalformedError) as caught:
        parse_slip(text)
    return caught.value.code


@pytest.mark.parametrize("case", VECTORS["base45"])
def test_base45_vector(case: dict[str, str]) -> None:
    assert encode_base45(case["text"].encode()) == case["base45"]
    assert decode_base45(case["base45"]) == case["text"].encode()


@given(st.binary(max_size=99))
def test_base45_round_trip(data: bytes) -> None:
    assert decode_base45(encode_base45(data)) == data


@given(st.text(ALPHABET + "a\n٣", max_size=12))
def test_base45_is_refused_or_canonical(text: str) -> None:
    def parse(data: bytes) -> bytes:
        return decode_base45(data.decode())

    assert is_canonical(text.encode(), parse, lambda data: encode_base45(data).encode())


@pytest.mark.parametrize("case", named(VECTORS["good"]))
def test_slip_vector(case: dict[str, Any]) -> None:
    policy = parse_policy(VECTORS["policy"].encode())
    assert make_slip(parse_proof(case["source"].encode()), policy) == case["slip"]
    assert parse_slip(case["slip"]).encode().decode() == case["proof"]


@pytest.mark.parametrize("case", named(VECTORS["bad"]))
def test_bad_slip_vector(case: dict[str, Any]) -> None:
    assert code_of(case["slip"]) == case["code"]


@pytest.mark.parametrize("name", GOOD)
def test_slip_proves_what_its_proof_proves(name: str) -> None:
    whole = verify_proof(GOOD[name], POLICY)
    proof = parse_slip(make_slip(GOOD[name], POLICY))
    slim = verify_proof(proof, POLICY)
    assert (slim.quorum, slim.existed_by) == (True, whole.existed_by)
    assert (slim.extra.entry, slim.extra.salt) == (whole.extra.entry, whole.extra.salt)
    assert slim.head.checkpoint == whole.head.checkpoint
    assert make_slip(proof, POLICY) == make_slip(GOOD[name], POLICY)


def test_slip_keeps_the_earliest_quorum_and_the_notaries() -> None:
    notaries = replace(POLICY, notaries={"k": (1, (SZ.name,))})
    proof = proven(ENTRY, {GD: TIME, MO: TIME + 3, SZ: TIME + 5})
    for policy, names in (
        (POLICY, {LOG.name, GD.name, MO.name}),
        (notaries, {LOG.name, *(k.name for k in KEYS)}),
    ):
        made = reduce_proof(proof, policy)
        signed = verify_proof(made, policy)
        assert {one.key.name for one in signed.head.verified} == names
        assert signed.existed_by == TIME + 3
        assert parse_slip(make_slip(proof, policy)) == made


def test_slip_without_a_quorum_has_the_logs_signature_alone() -> None:
    alone = Policy((LOG.vkey,))
    made = reduce_proof(proven(ENTRY, {SZ: TIME}), alone)
    assert parse_slip(make_slip(made, alone)) == made
    assert made.note.count("—".encode()) == 1


@pytest.mark.parametrize(
    ("name", "code"), [("provisional", "provisional"), ("no_attestation", "malformed-slip")]
)
def test_no_slip_is_made_of(name: str, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        make_slip(parse_proof(VECTORS[name].encode()), POLICY)
    assert caught.value.code == code


def test_no_slip_is_made_of_a_proof_without_its_notaries() -> None:
    policy = replace(POLICY, notaries={"k": (1, (SZ.name,))})
    with pytest.raises(RefusedError, match="provisional"):
        make_slip(proven(ENTRY, {GD: TIME, MO: TIME}), policy)


def test_no_slip_is_made_of_a_forged_proof() -> None:
    proof = GOOD["blinded"]
    forged = replace(proof, hashes=(flipped(proof.hashes[0]), *proof.hashes[1:]))
    with pytest.raises(RefusedError, match="does not lie under"):
        make_slip(forged, POLICY)


def crowd(count: int, name: str = "bank-{}.example/witness/cosigner") -> tuple[Proof, Policy]:
    keys = [cosigner(name.format(number), 100 + number) for number in range(count)]
    names = tuple(key.name for key in keys)
    policy = Policy((LOG.vkey,), {k.name: k.vkey for k in keys}, {"q": (count, names)}, "q")
    return proven(ENTRY, dict.fromkeys(keys, TIME), 5, 2**27), policy


def test_slip_has_room_for_the_largest_quorum_over_a_hundred_million_entries() -> None:
    made = make_slip(*crowd(14))
    assert len(made) <= MAX_TEXT
    assert parse_slip(made) == reduce_proof(*crowd(14))


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        (crowd(14, "bank-{}" + "x" * 99 + "/cosigner"), "slip-too-large"),
        (crowd(15), "malformed-slip"),
        (crowd(1, "bank-{}/"), "malformed-slip"),
    ],
    ids=["too large", "15 cosignatures", "a name that ends in a slash"],
)
def test_no_slip_can_stand_for(given_: tuple[Proof, Policy], code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        make_slip(*given_)
    assert caught.value.code == code


@pytest.mark.parametrize("bit", range(8))
def test_slip_with_a_flipped_bit_is_refused(bit: int) -> None:
    data = decode_base45(SLIP.removeprefix(PREFIX))
    for at in range(len(data)):
        assert code_of(PREFIX + encode_base45(flipped(data, at * 8 + bit)))


@given(st.integers(0, len(SLIP) - 1), st.sampled_from(ALPHABET))
def test_slip_with_another_character_is_refused(at: int, character: str) -> None:
    changed = SLIP[:at] + character + SLIP[at + 1 :]
    if changed != SLIP:
        assert code_of(changed)


@given(
    st.binary(min_size=1, max_size=MAX_ENTRY),
    st.none() | st.binary(min_size=32, max_size=32),
    st.lists(
        st.builds(
            Signature,
            st.sampled_from(["a", "b.example/cosigner", "cosigner", "/cosigner", "é"]),
            st.binary(min_size=4, max_size=4),
            st.binary(min_size=1, max_size=80),
        ),
        max_size=14,
    ),
)
def test_any_slip_reads_as_what_was_written(
    entry: bytes, salt: bytes | None, lines: list[Signature]
) -> None:
    """Written by hand: `make_slip` writes only what verifies."""
    proof = proven(entry, {})
    text = proof.checkpoint().encode()
    note = Note(text, (LOG.sign(text), *lines)).encode()
    made = replace(proof, note=note, extra=Extra(entry, salt).encode())
    read = parse_slip(encode_slip(made))
    assert read == made
    assert parse_extra(read.extra) == Extra(entry, salt)

"""Consents and uses: bodies, commitments, and the proofs that show them."""

from dataclasses import replace

import pytest

from chopmark.core.cbor import encode_cbor
from chopmark.core.consent import (
    MAX_RECORDS,
    Consent,
    Use,
    add_records,
    commit,
    parse_body,
    read_records,
    seal,
    show,
)
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import parse_policy
from chopmark.core.proof import Extra, parse_extra, parse_proof, verify_proof
from consentvectors import GIVEN, document, entry_of, prove, shown_consent, shown_use, used
from mutations import flipped
from vectorcases import VECTORS, Case, cases, code_of
from vectorparts import SALT

POLICY = parse_policy(VECTORS["consent"]["policy"].encode())


@pytest.mark.parametrize("case", cases("consent", "bodies"))
def test_consent_body_vector(case: Case) -> None:
    data = bytes.fromhex(case["hex"])
    body = parse_body(data)
    assert body.encode() == data
    assert commit(SALT, data).hex() == case["commitment"]
    told = (body.origin, body.index, body.leaf.hex(), body.receiver, body.purpose, body.scenario)
    fields = ("origin", "index", "leaf", "receiver", "purpose", "scenario")
    assert told == tuple(case[name] for name in fields)
    assert (body.until if isinstance(body, Consent) else None) == case["until"]


@pytest.mark.parametrize("case", cases("consent", "bad bodies"))
def test_bad_consent_body_vector(case: Case) -> None:
    assert code_of(lambda bad: parse_body(bytes.fromhex(bad["hex"])), case) == case["code"]


@pytest.mark.parametrize("case", cases("consent", "good"))
def test_consent_proof_vector(case: Case) -> None:
    proof = parse_proof(case["proof"].encode())
    shown = show(proof)
    assert verify_proof(proof, POLICY).quorum
    assert shown.place == (proof.checkpoint().origin, case["index"])
    assert shown.entry == parse_extra(proof.extra).entry


@pytest.mark.parametrize("case", cases("consent", "bad"))
def test_bad_consent_proof_vector(case: Case) -> None:
    def read(bad: Case) -> None:
        proof = parse_proof(bad["proof"].encode())
        show(proof)
        verify_proof(proof, POLICY)

    assert code_of(read, case) == case["code"]


def test_document_proof_vector_that_carries_consent_and_use() -> None:
    case = VECTORS["consent"]["carrying"]
    records = [show(parse_proof(one.encode())) for one in case["records"]]
    made = add_records(parse_proof(case["bare"].encode()), records)
    assert made.encode().decode() == case["proof"]
    held = read_records(parse_extra(parse_proof(case["proof"].encode()).extra).bodies)
    assert list(held) == records
    assert verify_proof(made, POLICY).quorum


@pytest.mark.parametrize("case", cases("consent", "bad carrying"))
def test_bad_list_of_consents_vector(case: Case) -> None:
    assert code_of(lambda bad: read_records(bytes.fromhex(bad["hex"])), case) == case["code"]


def test_body_has_one_spelling() -> None:
    longer = GIVEN.encode().replace(b"\x03\x03", b"\x03\x18\x03", 1)  # 3 in two bytes
    assert longer != GIVEN.encode()
    with pytest.raises(MalformedError) as caught:
        parse_body(longer)
    assert caught.value.code == "malformed-cbor"


@pytest.mark.parametrize("body", [GIVEN, used()], ids=["consent", "use"])
def test_body_with_any_bit_flipped_does_not_open_the_commitment(body: Consent | Use) -> None:
    data, entry = body.encode(), parse_entry(entry_of(body))
    assert isinstance(entry, Commitment)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert commit(SALT, changed) != entry.value
        try:
            assert parse_body(changed) != body
        except MalformedError:
            continue


def test_commitments_of_one_body_differ_by_their_salts() -> None:
    assert commit(SALT, GIVEN.encode()) != commit(flipped(SALT), GIVEN.encode())


def test_proof_is_not_sealed_with_another_body() -> None:
    with pytest.raises(RefusedError, match="not those of the entry"):
        seal(prove(entry_of(GIVEN), 5), SALT, replace(GIVEN, until=GIVEN.until + 1))


def test_newer_proof_of_a_consent_takes_the_place_of_the_older() -> None:
    first = add_records(document(), [show(shown_consent())])
    newer = show(seal(prove(entry_of(GIVEN), 5, size=9), SALT, GIVEN))
    made = add_records(first, [show(shown_use()), newer])
    held = read_records(parse_extra(made.extra).bodies)
    assert [one.proof.checkpoint().size for one in held] == [9, 7]


def test_consent_to_another_document_is_not_added() -> None:
    other = replace(GIVEN, index=2)
    with pytest.raises(RefusedError) as caught:
        add_records(document(), [show(seal(prove(entry_of(other), 5), SALT, other))])
    assert caught.value.code == "other-document"


def test_proof_takes_no_more_consents_than_there_is_room_for() -> None:
    many = [
        show(seal(prove(entry_of(GIVEN), index, size=MAX_RECORDS + 9), SALT, GIVEN))
        for index in range(4, MAX_RECORDS + 5)
    ]
    assert add_records(document(), many[:-1])
    with pytest.raises(RefusedError) as caught:
        add_records(document(), many)
    assert caught.value.code == "too-many-records"


def test_records_keep_salt_and_length_of_the_document() -> None:
    extra = parse_extra(add_records(document(), [show(shown_consent())]).extra)
    before = parse_extra(document().extra)
    assert (extra.entry, extra.salt, extra.length) == (before.entry, before.salt, before.length)


def test_list_inside_a_record_is_refused() -> None:
    """Proofs do not nest: a reader needs no stack."""
    inner = add_records(document(), [show(shown_consent())])
    with pytest.raises(MalformedError) as caught:
        read_records(encode_cbor([inner.encode()]))
    assert caught.value.code == "malformed-body"
    entry = entry_of(GIVEN)
    nested = Extra(entry, SALT, bodies=encode_cbor([shown_consent().encode()])).encode()
    with pytest.raises(MalformedError):
        show(replace(shown_consent(), extra=nested))

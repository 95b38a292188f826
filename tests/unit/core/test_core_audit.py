"""The audit log: records, salted leaves, days, and the file that proves one record."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audits
import trees
from chopmark.core.audit import (
    MAX_ABOUT,
    MAX_RECORD,
    MAX_TEXT,
    START,
    Day,
    Record,
    date_of,
    encode_record,
    follow,
    is_date,
    link,
    make_day,
    make_entry,
    parse_record,
    salted_leaf,
    shorten,
)
from chopmark.core.audit_proof import (
    MAX_AUDIT_PROOF,
    parse_audit_proof,
    verify_audit_proof,
)
from chopmark.core.cbor import encode_cbor
from chopmark.core.entry import Attestation, Commitment, encode_entry, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra
from chopmark.core.text import MAX_INT
from mutations import flipped, is_canonical, mutated
from softkeys import cosigner, log_key

LOG = log_key("bank-a.example/sz-1")
HK = cosigner("bank-b.example/hk-1/cosigner", 3)
POLICY = Policy((LOG.vkey,), {"hk": HK.vkey}, {}, "hk")
ALONE = Policy((LOG.vkey,))
DAY = audits.day(0, 0, 7)
PROOF = audits.audit_proof(3, DAY, LOG, {HK: 20})

NAMES = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,47}\Z")
TEXTS = st.text(max_size=60)
NATURALS = st.integers(0, MAX_INT)
RECORDS = st.builds(
    Record,
    NATURALS,
    st.text(min_size=1, max_size=60),
    NAMES,
    NAMES,
    st.dictionaries(NAMES, TEXTS | NATURALS, max_size=8),
)


def fields(**changes: object) -> bytes:
    """A record's bytes with fields changed or, where they are `...`, left out."""
    value: dict[object, object] = {0: 1, 1: 5, 2: "gateway", 3: "hsm.away", 4: "done", 5: {}}
    value |= {int(key[1:]): item for key, item in changes.items()}
    return encode_cbor({key: item for key, item in value.items() if item is not ...})


@given(RECORDS)
def test_record_reads_back(record: Record) -> None:
    assert parse_record(encode_record(record)) == record


@given(mutated(encode_record(audits.record(1))))
def test_record_is_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_record, encode_record)


@pytest.mark.parametrize(
    "data",
    [
        encode_cbor([1]),
        fields(_0=2),
        fields(_0=True),
        fields(_0=...),
        fields(_5=...),
        fields(_6=1),
        fields(_1=-1),
        fields(_1=True),
        fields(_1=2**63),
        fields(_1="now"),
        fields(_2=""),
        fields(_2=7),
        fields(_2="é" * 129),
        fields(_3="HSM"),
        fields(_3=""),
        fields(_3="a" * 49),
        fields(_3="hsm away"),
        fields(_4=1),
        fields(_4="Done"),
        fields(_5=[]),
        fields(_5={1: "a"}),
        fields(_5={"A": "a"}),
        fields(_5={"a": None}),
        fields(_5={"a": True}),
        fields(_5={"a": -1}),
        fields(_5={"a": "é" * 129}),
        fields(_5={f"a{n}": n for n in range(MAX_ABOUT + 1)}),
        fields(_5={"a": "x" * MAX_RECORD}),
    ],
)
def test_record_refuses(data: bytes) -> None:
    with pytest.raises(MalformedError, match="audit record"):
        parse_record(data)


def test_record_takes_what_is_just_small_enough() -> None:
    about: Mapping[str, str | int] = {f"a{n}": n for n in range(MAX_ABOUT - 1)} | {
        "b": "é" * (MAX_TEXT // 2)
    }
    assert parse_record(fields(_5=about, _1=MAX_INT)).about == about


def test_record_that_cannot_be_read_is_not_made() -> None:
    with pytest.raises(MalformedError):
        encode_record(Record(0, "gateway", "No Code"))


@given(st.text())
def test_shortened_text_fits_a_record(text: str) -> None:
    assert parse_record(fields(_5={"a": shorten(text)}))


def test_shortening_cuts_no_character_and_takes_any_text() -> None:
    assert shorten("a" + "é" * 200) == "a" + "é" * 127
    assert shorten("\ud800 left") == "? left"


def test_salt_hides_a_record_and_has_32_bytes() -> None:
    data = encode_record(audits.record(1))
    assert salted_leaf(audits.salt(1), data) != salted_leaf(audits.salt(2), data)
    assert salted_leaf(audits.salt(1), data) != trees.leaf(data)
    with pytest.raises(MalformedError):
        salted_leaf(bytes(31), data)


@given(st.integers(0, 30), st.integers(1, 40))
def test_day_is_the_tree_of_its_leaves_and_goes_on_with_the_chain(first: int, count: int) -> None:
    before = follow(START, audits.leaves(range(first)))
    leaves = audits.leaves(range(first, first + count))
    made = make_day(1, audits.DATE, first, before, leaves)
    assert made.root == trees.root(leaves)
    assert made.chain == follow(START, audits.leaves(range(first + count)))
    assert made.chain == follow(link(before, leaves[0]), leaves[1:])


@given(st.data(), st.integers(2, 12))
def test_value_changes_with_each_record_and_their_order(data: st.DataObject, count: int) -> None:
    leaves = audits.leaves(range(count))
    value = make_day(0, audits.DATE, 0, START, leaves).value()
    at = data.draw(st.integers(0, count - 2))
    swapped = [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]
    for other in (
        [*leaves[:at], *leaves[at + 1 :]],
        [*leaves[:at], flipped(leaves[at]), *leaves[at + 1 :]],
        [*leaves[:at], leaves[at], *leaves[at:]],
        swapped,
    ):
        assert make_day(0, audits.DATE, 0, START, other).value() != value
    assert make_day(0, audits.DATE, 0, bytes([1] * 32), leaves).value() != value


@pytest.mark.parametrize(
    "other",
    [
        replace(DAY, number=1),
        replace(DAY, date="2026-11-23"),
        replace(DAY, first=1),
        replace(DAY, count=8),
        replace(DAY, root=flipped(DAY.root)),
        replace(DAY, chain=flipped(DAY.chain)),
    ],
)
def test_value_covers_every_field(other: Day) -> None:
    assert other.value() != DAY.value()


def test_entry_of_a_day_reads_back() -> None:
    made = make_entry(DAY, 5)
    assert parse_entry(encode_entry(made)) == Commitment(5, 5, DAY.value())


def test_dates() -> None:
    assert date_of(audits.NOW) == audits.DATE
    assert date_of(0) == "1970-01-01"
    assert is_date(audits.DATE)
    assert not any(map(is_date, ("2026-11-2", "2026-11-22\n", "２026-11-22", "")))


@pytest.mark.parametrize("count", range(1, 10))
def test_each_record_of_a_day_is_proven_and_no_other_in_its_place(count: int) -> None:
    day = audits.day(2, 5, count)
    for index in range(5, 5 + count):
        made = audits.audit_proof(index, day, LOG, {HK: 20})
        proven = verify_audit_proof(parse_audit_proof(made.encode()), POLICY)
        assert proven.record == audits.record(index)
        assert proven.proven.quorum
        assert proven.logged_at == audits.NOW + 86_400_000
        others = [index + 1, index - 1, index + count]
        for bad in (
            *(replace(made, index=other) for other in others),
            *(replace(made, salt=flipped(made.salt, bit)) for bit in (0, 255)),
            replace(made, record=audits.audit_proof(index, day, LOG, {}).record + b" "),
            replace(made, hashes=(*made.hashes, bytes(32))),
            *(replace(made, hashes=made.hashes[1:]) for _ in made.hashes[:1]),
        ):
            with pytest.raises(RefusedError) as caught:
                verify_audit_proof(bad, POLICY)
            assert caught.value.code == "bad-inclusion"


@pytest.mark.parametrize(
    "day",
    [
        replace(DAY, number=1),
        replace(DAY, date="2026-11-23"),
        replace(DAY, chain=flipped(DAY.chain)),
        replace(DAY, first=1),
        replace(DAY, count=6),
        replace(DAY, root=flipped(DAY.root)),
    ],
)
def test_proof_of_another_day_is_refused(day: Day) -> None:
    with pytest.raises(RefusedError):
        verify_audit_proof(replace(PROOF, day=day), ALONE)


@pytest.mark.parametrize(
    "entry",
    [Commitment(5, 4, DAY.value()), Commitment(5, 5, flipped(DAY.value()))],
)
def test_entry_that_is_not_the_days_is_refused(entry: Commitment) -> None:
    data = encode_entry(entry)
    ledger = [trees.leaf(data)]
    head = audits.Checkpoint(LOG.name, 1, trees.root(ledger))
    note = audits.sign_head(head, LOG)
    other = replace(PROOF.entry, index=0, hashes=(), note=note, extra=Extra(data).encode())
    with pytest.raises(RefusedError) as caught:
        verify_audit_proof(replace(PROOF, entry=other), ALONE)
    assert caught.value.code == "other-day"


def test_attestation_stands_for_no_day() -> None:
    data = encode_entry(Attestation(5, bytes(32), "document"))
    head = audits.Checkpoint(LOG.name, 1, trees.leaf(data))
    note = audits.sign_head(head, LOG)
    other = replace(PROOF.entry, index=0, hashes=(), note=note, extra=Extra(data).encode())
    with pytest.raises(RefusedError, match="not that of the record's day"):
        verify_audit_proof(replace(PROOF, entry=other), ALONE)


def test_proof_under_another_log_key_is_refused_and_one_without_quorum_told() -> None:
    with pytest.raises(RefusedError):
        verify_audit_proof(PROOF, Policy((log_key(LOG.name, 9).vkey,)))
    alone = audits.audit_proof(3, DAY, LOG, {})
    assert not verify_audit_proof(alone, POLICY).proven.quorum


@given(mutated(PROOF.encode()))
def test_proof_is_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_audit_proof, lambda proof: proof.encode())


def test_flipped_bits_of_a_proof_are_seen() -> None:
    whole = PROOF.encode()
    signed = whole.index(b"\xe2\x80\x94 bank-b")  # a damaged cosignature line is another key's
    for bit in range(0, signed * 8, 29):
        with pytest.raises(MalformedError):
            verify_audit_proof(parse_audit_proof(flipped(whole, bit)), POLICY)


TEXT = PROOF.encode().decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("/v1", "/v2", 1),
        TEXT.partition("\n\n")[0],
        "\n".join(TEXT.split("\n")[:5]) + "\n\n" + TEXT.partition("\n\n")[2],
        TEXT.replace("\nroot ", "\nroof ", 1),
        TEXT.replace("\nday 0 ", "\nday 0 0 ", 1),
        TEXT.replace("2026-11-22", "2026-1122", 1),
        TEXT.replace("\nindex 3", "\nindex 03", 1),
        TEXT.replace("\nchain ", "\nchain  ", 1),
        TEXT.replace("\n\n", "\n" + ("A" * 43 + "=\n") * 62 + "\n", 1),
        TEXT.replace("\n", "\r\n"),
        TEXT + "x" * MAX_AUDIT_PROOF,
    ],
)
def test_proof_refuses(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_audit_proof(text.encode())

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core import entry as entries
from chopmark.core.cbor import encode_cbor
from chopmark.core.draft import Draft
from chopmark.core.entry import (
    MAX_ENTRY,
    SHA256,
    SM3,
    Adoption,
    Attestation,
    Commitment,
    Entry,
    Revocation,
    UnknownFormat,
    encode_entry,
    parse_entry,
    template,
)
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.text import MAX_INT
from mutations import mutated

NOW = 1795305600123
HASHES = st.binary(min_size=32, max_size=32)
UINTS = st.integers(0, MAX_INT) | st.integers(0, 300) | st.integers(2**32 - 2, 2**32 + 2)
KINDS = st.from_regex(r"[a-z0-9.-]{1,32}", fullmatch=True)
CANONICAL = st.lists(st.tuples(st.sampled_from(["json-jcs/1", "pdf/1", "ü"]), HASHES), max_size=1)
ATTESTATIONS = st.builds(
    Attestation,
    UINTS,
    HASHES,
    KINDS,
    st.none() | HASHES,
    st.none() | UINTS,
    st.booleans(),
    st.none() | UINTS,
    CANONICAL.map(tuple),
)
PLAIN = st.builds(
    Attestation,
    st.integers(2**32, MAX_INT),
    HASHES,
    st.from_regex(r"[a-z0-9.-]{1,23}", fullmatch=True),
    st.none() | HASHES,
    st.none() | st.integers(2**32, MAX_INT),
)
OTHERS = (
    st.builds(Revocation, UINTS, UINTS, UINTS)
    | st.builds(Commitment, UINTS, st.integers(3, 5), HASHES)
    | st.builds(Adoption, UINTS, UINTS, HASHES)
)
PLAIN_ENTRY = Attestation(NOW, b"a" * 32, "bank-statement")
ATTESTATION = {0: 1, 1: 1, 2: NOW, 3: {SHA256: b"a" * 32}, 4: "document"}


def encode_or_none(entry: Entry) -> bytes | None:
    """The bytes of an entry; None where it is too large or of a format to come."""
    try:
        return None if isinstance(entry, UnknownFormat) else encode_entry(entry)
    except RefusedError as error:
        return None if error.code == "entry-too-large" else b""


def fast_path(data: bytes) -> Attestation | None:
    """What the fast path makes of bytes; None where it leaves them to the slow parser."""
    plain = entries.read_plain(data)
    return None if plain is None else Attestation(*plain)


def unusual(data: bytes) -> Entry | None:
    """What the slow parser makes of bytes; None where it refuses them."""
    try:
        return entries._parse_any(data)
    except MalformedError:
        return None


@given(ATTESTATIONS)
def test_attestation_round_trip(entry: Attestation) -> None:
    data = encode_or_none(entry)
    assert data is None or parse_entry(data) == entry


@given(OTHERS)
def test_other_entries_round_trip(entry: Revocation | Commitment | Adoption) -> None:
    assert parse_entry(encode_entry(entry)) == entry


@given(PLAIN)
def test_plain_attestation_is_read_on_the_fast_path(entry: Attestation) -> None:
    data = encode_entry(entry)
    assert fast_path(data) == entries._parse_any(data) == entry


@given(PLAIN.flatmap(lambda entry: mutated(encode_entry(entry))))
def test_fast_path_agrees_with_the_slow_one_near_plain_attestations(data: bytes) -> None:
    fast = fast_path(data)
    assert fast is None or fast == unusual(data)


@given(st.data())
def test_fast_path_agrees_with_the_slow_one_at_every_byte(data: st.DataObject) -> None:
    entry = data.draw(PLAIN)
    encoded = encode_entry(entry)
    byte = data.draw(st.sampled_from([0x00, 0x1B, 0x58, 0x7F, 0x80, 0xA1, 0xA2, 0xA5, 0xA6, 0xFF]))
    for at in range(len(encoded)):
        changed = encoded[:at] + bytes([byte]) + encoded[at + 1 :]
        fast = fast_path(changed)
        assert fast is None or fast == unusual(changed)


@given(
    st.sampled_from([2**32 - 1, 2**32, MAX_INT, MAX_INT + 1]),
    st.none() | st.sampled_from([0, 2**32 - 1, 2**32, MAX_INT, MAX_INT + 1]),
    st.integers(0, 34),
)
def test_fast_path_agrees_with_the_slow_one_at_bounds(
    made_at: int, until: int | None, length: int
) -> None:
    value = ATTESTATION | {2: made_at, 4: "k" * length} | ({} if until is None else {5: until})
    data = encode_cbor(value)
    fast = fast_path(data)
    assert fast is None or fast == unusual(data)


@given((ATTESTATIONS | OTHERS).map(encode_or_none).flatmap(lambda data: mutated(data or b"")))
def test_entry_mutations_are_refused_or_canonical(data: bytes) -> None:
    try:
        entry = parse_entry(data)
    except MalformedError:
        return
    again = encode_or_none(entry)
    assert again is None or again == data or _ignored(data)


def _ignored(data: bytes) -> bool:
    """Whether the entry has a negative key, which may be ignored."""
    value = entries.decode_cbor(data)
    return isinstance(value, dict) and any(isinstance(key, int) and key < 0 for key in value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {1: 1},
        {0: True, 1: 1},
        {0: -1, 1: 1},
        {0: "1", 1: 1},
        {0: 2**63, 1: 1},
        {0: 1},
        {0: 1, 1: True},
        {0: 1, 1: "1"},
        {0: 1, 1: -1},
        {0: 1, 1: 1, 2: NOW, 3: {SHA256: bytes(32)}},
        {0: 1, 1: 1, 3: {SHA256: bytes(32)}, 4: "document"},
        ATTESTATION | {2: True},
        ATTESTATION | {2: -1},
        ATTESTATION | {2: 2**63},
        ATTESTATION | {2: "now"},
        ATTESTATION | {3: bytes(32)},
        ATTESTATION | {3: {}},
        ATTESTATION | {3: {SM3: bytes(32)}},
        ATTESTATION | {3: {SHA256: bytes(31)}},
        ATTESTATION | {3: {SHA256: "a" * 32}},
        ATTESTATION | {3: {SHA256: bytes(32), SM3: bytes(33)}},
        ATTESTATION | {3: {SHA256: bytes(32), SM3: None}},
        ATTESTATION | {4: ""},
        ATTESTATION | {4: "k" * 33},
        ATTESTATION | {4: "Kind"},
        ATTESTATION | {4: "kind\n"},
        ATTESTATION | {4: "a_b"},
        ATTESTATION | {4: "é"},
        ATTESTATION | {4: b"kind"},
        ATTESTATION | {4: 7},
        ATTESTATION | {5: -1},
        ATTESTATION | {5: None},
        ATTESTATION | {5: True},
        ATTESTATION | {6: False},
        ATTESTATION | {6: 1},
        ATTESTATION | {6: None},
        ATTESTATION | {7: -1},
        ATTESTATION | {7: True},
        ATTESTATION | {8: {}},
        ATTESTATION | {8: []},
        ATTESTATION | {8: {"": bytes(32)}},
        ATTESTATION | {8: {"n" * 17: bytes(32)}},
        ATTESTATION | {8: {"ü" * 9: bytes(32)}},
        ATTESTATION | {8: {1: bytes(32)}},
        ATTESTATION | {8: {"jcs": bytes(31)}},
        {0: 1, 1: 2, 2: NOW, 3: 0},
        {0: 1, 1: 2, 2: NOW, 3: -1, 4: 0},
        {0: 1, 1: 2, 2: NOW, 3: True, 4: 0},
        {0: 1, 1: 2, 2: NOW, 3: 0, 4: False},
        {0: 1, 1: 3, 2: NOW},
        {0: 1, 1: 3, 2: NOW, 3: bytes(31)},
        {0: 1, 1: 4, 2: NOW, 3: "x" * 32},
        {0: 1, 1: 5, 2: NOW, 3: 5},
        {0: 1, 1: 6, 2: NOW, 3: 1},
        {0: 1, 1: 6, 2: NOW, 3: 1, 4: bytes(20)},
        {0: 1, 1: 6, 2: NOW, 3: -1, 4: bytes(32)},
    ],
    ids=repr,
)
def test_entry_refuses(value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_entry(encode_cbor(value))
    assert caught.value.code == "malformed-entry"


@pytest.mark.parametrize(
    ("value", "sha256"),
    [
        ({0: 0, 1: 1}, None),
        ({0: 2}, None),
        ({0: 2, 1: "attestation"}, None),
        (ATTESTATION | {0: 2}, b"a" * 32),
        (ATTESTATION | {9: 1}, b"a" * 32),
        (ATTESTATION | {"x": 1}, b"a" * 32),
        (ATTESTATION | {9: 1, 3: {SHA256: bytes(31)}}, None),
        (ATTESTATION | {9: 1, 3: [bytes(32)]}, None),
        (ATTESTATION | {3: {SHA256: b"a" * 32, -43: bytes(48)}}, b"a" * 32),
        (ATTESTATION | {3: {SHA256: b"a" * 32, "x": bytes(48)}}, b"a" * 32),
        (ATTESTATION | {1: 0}, None),
        (ATTESTATION | {1: 7}, None),
        ({0: 1, 1: 2, 2: NOW, 3: 0, 4: 0, 5: 0}, None),
        ({0: 1, 1: 3, 2: NOW, 3: bytes(32), 4: 0}, None),
        ({0: 1, 1: 6, 2: NOW, 3: 1, 4: bytes(32), 5: 1}, None),
    ],
    ids=repr,
)
def test_entry_of_a_format_to_come_is_unknown(value: object, sha256: bytes | None) -> None:
    assert parse_entry(encode_cbor(value)) == UnknownFormat(sha256)


@pytest.mark.parametrize("extra", [{-1: 1}, {-(2**64): [1, {"a": None}]}])
def test_entry_ignores_unknown_negative_keys(extra: dict[int, object]) -> None:
    expected = Attestation(NOW, b"a" * 32, "document")
    assert parse_entry(encode_cbor(ATTESTATION | extra)) == expected
    revocation = {0: 1, 1: 2, 2: NOW, 3: 0, 4: 5}
    assert parse_entry(encode_cbor(revocation | extra)) == Revocation(NOW, 0, 5)


@pytest.mark.parametrize("data", [b"", b"\x00", b"not an entry", bytes(240), b"\xa5" * 200])
def test_entry_refuses_bytes_that_are_no_entry(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_entry(data)


def test_entry_refuses_more_than_the_most_bytes() -> None:
    value = ATTESTATION | {-1: b""}
    room = MAX_ENTRY - len(encode_cbor(value)) - 1
    most = encode_cbor(value | {-1: bytes(room)})
    assert len(most) == MAX_ENTRY
    assert isinstance(parse_entry(most), Attestation)
    with pytest.raises(MalformedError) as caught:
        parse_entry(encode_cbor(value | {-1: bytes(room + 1)}))
    assert caught.value.code == "malformed-entry"


def test_entry_has_no_second_encoding() -> None:
    data = encode_entry(PLAIN_ENTRY)
    assert data[1:3] == b"\x00\x01"
    longer = data[:2] + b"\x18\x01" + data[3:]
    swapped = data[:1] + data[3:5] + data[1:3] + data[5:]
    repeated = b"\xa6" + data[1:] + data[-16:]
    for bad in (longer, swapped, repeated, data + b"\x00"):
        with pytest.raises(MalformedError):
            parse_entry(bad)


def test_encode_entry_refuses_more_than_the_most_bytes() -> None:
    names = tuple((f"name-{index}", bytes(32)) for index in range(6))
    with pytest.raises(RefusedError) as caught:
        encode_entry(replace(PLAIN_ENTRY, canonical=names))
    assert caught.value.code == "entry-too-large"


@pytest.mark.parametrize(
    "entry",
    [
        replace(PLAIN_ENTRY, made_at=-1),
        replace(PLAIN_ENTRY, made_at=2**63),
        replace(PLAIN_ENTRY, made_at=2**64),
        replace(PLAIN_ENTRY, made_at=True),
        replace(PLAIN_ENTRY, made_at=1.5),
        replace(PLAIN_ENTRY, sha256=b"short"),
        replace(PLAIN_ENTRY, sm3=b""),
        replace(PLAIN_ENTRY, kind="Not A Kind"),
        replace(PLAIN_ENTRY, kind="\ud800"),
        replace(PLAIN_ENTRY, valid_until=-1),
        replace(PLAIN_ENTRY, supersedes=True),
        replace(PLAIN_ENTRY, canonical=(("b", bytes(32)), ("a", bytes(32)))),
        replace(PLAIN_ENTRY, canonical=(("a", bytes(32)), ("a", b"x" * 32))),
        replace(PLAIN_ENTRY, canonical=(("", bytes(32)),)),
        Revocation(NOW, -1, 0),
        Revocation(NOW, 0, reason=True),
        Commitment(NOW, 1, bytes(32)),
        Commitment(NOW, 2, bytes(32)),
        Commitment(NOW, 7, bytes(32)),
        Commitment(NOW, 3, b""),
        Adoption(NOW, 1, b""),
    ],
    ids=repr,
)
def test_encode_entry_refuses_what_would_read_back_otherwise(
    entry: Attestation | Revocation | Commitment | Adoption,
) -> None:
    with pytest.raises(MalformedError) as caught:
        encode_entry(entry)
    assert caught.value.code in {"malformed-entry", "malformed-cbor"}


@given(ATTESTATIONS)
def test_template_surrounds_the_digests(entry: Attestation) -> None:
    plain = replace(entry, blinded=False, canonical=())
    with_sm3 = entry.sm3 is not None
    before, between, after = template(
        entry.made_at, entry.kind, entry.valid_until, entry.supersedes, with_sm3=with_sm3
    )
    assert before + entry.sha256 + between + (entry.sm3 or b"") + after == encode_entry(plain)


def test_draft_becomes_an_attestation() -> None:
    draft = Draft(b"a" * 32, "document", b"b" * 32, 7, 3)
    made = Attestation(NOW, b"a" * 32, "document", b"b" * 32, 7, supersedes=3)
    assert draft.made_at(NOW) == made

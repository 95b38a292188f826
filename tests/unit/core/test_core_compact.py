"""Records of the compact bulk form, and how they follow each other."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.cbor import encode_cbor
from chopmark.core.compact import (
    MAX_HEADER,
    MAX_RECORD,
    AnswerReader,
    End,
    Failure,
    Header,
    Record,
    Run,
    Unsigned,
    beside,
    parse_header,
    parse_record,
    split_record,
    stretches,
)
from chopmark.core.errors import MalformedError

REQUEST = bytes(16)
GOOD = {0: 1, 1: REQUEST, 2: "document", 4: [-16], 5: 0}
RUN = {0: 1, 1: 0, 2: 5, 3: 7, 4: 1}
RECORDS = [
    Run(0, 5, 7, 1_795_352_400_000),
    Run(3, 5, 7, 1_795_352_400_000, 2_000_000_000_000, bytes(range(32))),
    End(b"note", (b"", bytes(32))),
    Unsigned(),
    Failure("queue-full", "too many are waiting", "send less", 1),
    Failure("compact-gap", "the request has less"),
]


@pytest.mark.parametrize(
    "header",
    [
        Header(REQUEST),
        Header(bytes(range(16)), "bank-statement", 2**40, with_sm3=True, offset=7, total=7),
        Header(REQUEST, blinded=True),
    ],
)
def test_header_reads_back(header: Header) -> None:
    found = split_record(header.encode() + b"digests", MAX_HEADER)
    assert found
    assert parse_header(found[0]) == header
    assert found[1] == b"digests"
    assert header.width == (64 if header.with_sm3 else 32)


@pytest.mark.parametrize(
    "change",
    [
        {0: 2},
        {0: True},
        {0: None},
        {1: bytes(15)},
        {1: "0123456789abcdef"},
        {2: "Bank Statement"},
        {2: 1},
        {3: -1},
        {3: True},
        {4: []},
        {4: [-65793]},
        {4: [-65793, -16]},
        {4: -16},
        {5: -1},
        {5: 2**63},
        {5: 3, 6: 2},
        {6: "all"},
        {7: 1},
        {7: False},
        {8: 1},
        {-1: True},
        {"x": 1},
    ],
)
def test_header_rejects(change: dict[object, object]) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_header(encode_cbor(GOOD | change))
    assert caught.value.code == "malformed-compact"


@pytest.mark.parametrize("missing", GOOD)
def test_header_rejects_a_missing_key(missing: int) -> None:
    rest = {key: value for key, value in GOOD.items() if key != missing}
    with pytest.raises(MalformedError, match="keys"):
        parse_header(encode_cbor(rest))


def test_header_rejects_what_is_no_map_too_long_or_no_cbor() -> None:
    for data in (encode_cbor([1]), encode_cbor(GOOD | {2: "k" * MAX_HEADER}), b"", b"\xff"):
        with pytest.raises(MalformedError):
            parse_header(data)


@pytest.mark.parametrize("record", RECORDS)
def test_record_reads_back(record: Record) -> None:
    data = record.encode()
    found = split_record(data + data, MAX_RECORD)
    assert found == (data[4:], data)
    assert parse_record(data[4:]) == record
    assert all(split_record(data[:cut], MAX_RECORD) is None for cut in range(len(data)))


def test_failure_leaves_out_what_is_too_long() -> None:
    record = parse_record(Failure("c", "m" * 5000, "h" * 5000).encode()[4:])
    assert record == Failure("c", "m" * 1024, "h" * 1024)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {0: 0},
        {0: 5},
        {0: True},
        {0: -1},
        RUN | {3: 0},
        RUN | {1: -1},
        RUN | {2: 2**63 - 7},
        RUN | {1: 2**63 - 7},
        RUN | {5: -1},
        RUN | {6: 1},
        RUN | {6: bytes(31)},
        RUN | {6: None},
        RUN | {7: 1},
        {key: RUN[key] for key in range(4)},
        {0: 2, 1: b"note", 2: []},
        {0: 2, 1: "note", 2: [b""]},
        {0: 2, 1: b"note", 2: b""},
        {0: 2, 1: b"note", 2: [bytes(31)]},
        {0: 2, 1: b"note", 2: ["x" * 32]},
        {0: 2, 1: b"note"},
        {0: 3, 1: 0},
        {0: 4, 1: "code"},
        {0: 4, 1: "code", 2: 3},
        {0: 4, 1: b"code", 2: "message"},
        {0: 4, 1: "code", 2: "message", 3: b""},
        {0: 4, 1: "code", 2: "message", 4: -1},
    ],
)
def test_record_rejects(value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_record(encode_cbor(value))
    assert caught.value.code == "malformed-compact"


def test_record_that_is_too_large_is_refused_by_its_length() -> None:
    assert split_record(b"\x00\x00\x02\x00", 512) is None
    with pytest.raises(MalformedError, match="too large"):
        split_record(b"\x00\x00\x02\x01", 512)


@given(st.binary(max_size=80))
def test_parsers_raise_nothing_but_malformed(data: bytes) -> None:
    for parse in (parse_header, parse_record):
        try:
            made = parse(data)
        except MalformedError:
            continue
        assert made.encode()[4:] == data


ANSWER = [Run(3, 10, 2, 1), Run(5, 12, 4, 1), Run(9, 40, 1, 2), Unsigned()]


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_answer_is_read_in_pieces_of_any_size(step: int) -> None:
    data = b"".join(record.encode() for record in ANSWER)
    reader = AnswerReader(3)
    runs = [run for at in range(0, len(data), step) for run in reader.feed(data[at : at + step])]
    assert runs == ANSWER[:3] == reader.runs
    assert reader.next == 10
    assert reader.finish() == Unsigned()


@pytest.mark.parametrize(
    "records",
    [
        [Run(4, 10, 2, 1)],
        [Run(2, 10, 2, 1)],
        [Run(3, 10, 2, 1), Run(6, 12, 1, 1)],
        [Run(3, 10, 2, 1), Run(4, 12, 1, 1)],
        [Run(3, 10, 2, 1), Run(5, 11, 1, 1)],
        [Unsigned(), Unsigned()],
        [Unsigned(), Run(3, 10, 2, 1)],
    ],
)
def test_answer_out_of_order_is_refused(records: list[Record]) -> None:
    with pytest.raises(MalformedError):
        list(AnswerReader(3).feed(b"".join(record.encode() for record in records)))


@pytest.mark.parametrize("data", [b"", Run(3, 1, 1, 1).encode(), Unsigned().encode() + b"\x00"])
def test_answer_that_is_cut_short_is_refused(data: bytes) -> None:
    reader = AnswerReader(3)
    list(reader.feed(data))
    with pytest.raises(MalformedError, match="cut short"):
        reader.finish()


def test_stretches_join_runs_that_touch() -> None:
    runs = [Run(0, 0, 4, 1), Run(4, 4, 2, 2), Run(6, 9, 1, 2)]
    assert stretches(runs) == [(0, 6), (9, 10)]
    assert beside(runs, 12) == [(0, 0), (6, 9), (10, 12)]
    assert beside([], 12) == [(0, 12)]
    places = [edge for place in beside(runs, 12) for edge in place]
    assert all(a <= b for a, b in pairwise(places))

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.cbor import encode_cbor
from chopmark.core.errors import MalformedError
from chopmark.core.text import MAX_INT
from chopmark.mesh.messages import (
    MAX_SEEN,
    MAX_SMALL,
    HeadRequest,
    HeadsSeen,
    Request,
    Status,
    encode_error,
    parse_error,
    parse_heads,
    parse_request,
    parse_status,
)
from mutations import mutated

T = TypeVar("T")
ORIGIN = "bank-sz.example/sz-1"
REQUEST = Request(ORIGIN, 512, 600)
STATUS = Status(online=True, sizes={ORIGIN: 7, "bank-hk.example/hk-1": 0})


def test_request_comes_back_as_itself() -> None:
    assert parse_request(REQUEST.encode()) == REQUEST
    assert parse_request(Request(ORIGIN, MAX_INT, MAX_INT).encode()).start == MAX_INT


def test_question_for_heads_and_its_answer_come_back_as_themselves() -> None:
    assert parse_request(HeadRequest(ORIGIN).encode()) == HeadRequest(ORIGIN)
    for heads in (HeadsSeen(None), HeadsSeen(b"one"), HeadsSeen(b"one", (b"two", b"three"))):
        assert parse_heads(heads.encode()) == heads
    assert HeadsSeen(b"one", (b"two",)).notes == (b"one", b"two")
    assert HeadsSeen(None, (b"two",)).notes == (b"two",)
    assert len(parse_heads(HeadsSeen(None, (b"x",) * 9).encode()).seen) == MAX_SEEN


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"held": b""},
        {"held": "", "seen": []},
        {"held": b"", "seen": b""},
        {"held": b"", "seen": [1]},
        {"held": b"", "seen": [b"x"] * (MAX_SEEN + 1)},
        {"held": b"x" * 70_000, "seen": []},
    ],
)
def test_heads_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        parse_heads(encode_cbor(value))


def test_status_comes_back_as_itself() -> None:
    assert parse_status(STATUS.encode()) == STATUS
    assert parse_status(Status(online=False, sizes={}).encode()) == Status(online=False, sizes={})


def test_status_of_a_hundred_logs_is_a_small_message() -> None:
    sizes = {f"{number:03d}{'o' * 61}": MAX_INT for number in range(100)}
    assert parse_status(Status(online=True, sizes=sizes).encode()).sizes == sizes


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        {0: ORIGIN, 1: 1},
        {0: 1, 1: 1, 2: 1},
        {0: ORIGIN, 1: -1, 2: 1},
        {0: ORIGIN, 1: 1, 2: MAX_INT + 1},
        {0: ORIGIN, 1: True, 2: 1},
        {0: ORIGIN, 1: "1", 2: 1},
        {0: "Not an origin", 1: 1, 2: 1},
        {0: "Not an origin", 3: True},
        {0: ORIGIN, 3: 1},
        {3: True},
        {0: "chopmark/x", 1: 1, 2: 1},
    ],
)
def test_request_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        parse_request(encode_cbor(value))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {0: 1, 1: 1, 2: {}},
        {0: True, 1: 1},
        {0: True, 1: 1, 2: []},
        {0: True, 1: 1, 2: {ORIGIN: -1}},
        {0: True, 1: 1, 2: {ORIGIN: True}},
        {0: True, 1: 1, 2: {7: 7}},
    ],
)
def test_status_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        parse_status(encode_cbor(value))


def test_large_message_is_not_even_read() -> None:
    large = encode_cbor({0: ORIGIN, 1: 0, 2: 0, 3: b"x" * MAX_SMALL})
    for parse in (parse_request, parse_status):
        with pytest.raises(MalformedError):
            parse(large)


def test_error_reply_is_told_from_a_package() -> None:
    assert parse_error(encode_error("not-there")) == "not-there"
    for other in (b"", b"junk", REQUEST.encode(), encode_cbor({"error": 7}), bytes(MAX_SMALL + 1)):
        assert parse_error(other) is None


def parsed(parse: Callable[[bytes], T], data: bytes) -> T | None:
    """What was read, or None if it was refused; any other error is a bug."""
    try:
        return parse(data)
    except MalformedError:
        return None


@given(mutated(REQUEST.encode()))
def test_damaged_request_is_refused_in_our_words(data: bytes) -> None:
    request = parsed(parse_request, data)
    assert request is None or parse_request(request.encode()) == request


@given(mutated(STATUS.encode()))
def test_damaged_status_is_refused_in_our_words(data: bytes) -> None:
    status = parsed(parse_status, data)
    assert status is None or parse_status(status.encode()) == status


@given(st.binary(max_size=300))
def test_junk_is_refused_in_our_words(data: bytes) -> None:
    assert parse_error(data) is None
    assert parsed(parse_request, data) is None
    assert parsed(parse_status, data) is None

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError, TryAgainError
from chopmark.core.text import (
    MAX_INT,
    encode_base64,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_utf8,
)


@given(st.integers(0, MAX_INT))
def test_decimal_round_trip(number: int) -> None:
    assert parse_decimal(str(number), "it") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "01",
        "-0",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "٣",
        "²",
        "９",
        str(MAX_INT + 1),
        "9" * 20,
        "9" * 10000,
    ],
)
def test_decimal_refuses(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_decimal(text, "the size")
    assert caught.value.code == "malformed-number"
    assert "the size" in caught.value.message


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    assert parse_base64(encode_base64(data), "it") == data
    assert encode_base64(data) == base64.standard_b64encode(data).decode()


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AA=",
        "AB==",
        "AAB=",
        "AA==\n",
        " AA==",
        "A A==",
        "AA==AA==",
        "AA===",
        "=",
        "====",
        "-_-_",
        "éé==",
        "ＡＡ==",
        "AAA\x00",
        "�",
    ],
)
def test_base64_refuses(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_base64(text, "the key")
    assert caught.value.code == "malformed-base64"


@given(st.text(alphabet="ABgw+/=-_ \n", max_size=12))
def test_base64_is_refused_or_canonical(text: str) -> None:
    try:
        data = parse_base64(text, "it")
    except MalformedError:
        return
    assert encode_base64(data) == text


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_hash_refuses_other_lengths(length: int) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_hash(encode_base64(bytes(length)), "the root")
    assert caught.value.code == "malformed-hash"
    assert parse_hash(encode_base64(bytes(32)), "the root") == bytes(32)


@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
)
def test_utf8_refuses(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_utf8(data, "a note")
    assert caught.value.code == "malformed-utf8"


def test_error_explains_itself_with_its_hint() -> None:
    error = TryAgainError("hsm-away", "the HSM is away", hint="wait", retry_after=5)
    assert str(error) == "the HSM is away (wait)"
    assert str(RefusedError("x", "no")) == "no"
    assert (error.code, error.retry_after, error.status, error.exit_code) == (
        "hsm-away",
        5,
        503,
        75,
    )
    assert isinstance(error, ChopmarkError)

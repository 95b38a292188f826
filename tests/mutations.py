"""Small damage to bytes, and the rule that every strict parser keeps under it."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from chopmark.core.errors import MalformedError

T = TypeVar("T")


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The data with one byte changed, inserted or removed, or a piece cut out or doubled."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    end = draw(st.integers(at, min(len(data), at + 40)))
    byte = bytes([draw(st.integers(0, 255))])
    bit = bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) if data else b""
    return draw(
        st.sampled_from(
            [
                data[:at] + byte + data[at + 1 :],
                data[:at] + bit + data[at + 1 :],
                data[:at] + byte + data[at:],
                data[:at] + data[end:],
                data[:at] + data[at:end] + data[at:],
                data[:at],
                data + byte,
            ]
        )
    )


def is_canonical(data: bytes, parse: Callable[[bytes], T], encode: Callable[[T], bytes]) -> bool:
    """Whether a parser refuses the bytes in its own words, or gives what encodes to them again."""
    try:
        value = parse(data)
    except MalformedError as error:
        return bool(error.code and error.message)
    return encode(value) == data


def flipped(value: bytes, bit: int = 0) -> bytes:
    """The bytes with one bit flipped."""
    at = bit // 8 % len(value)
    return value[:at] + bytes([value[at] ^ 1 << bit % 8]) + value[at + 1 :]

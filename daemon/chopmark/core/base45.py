"""base45 (RFC 9285): bytes in the characters of a QR code's alphanumeric mode.

Two bytes are three characters, the least significant first; a single last byte is two. Reading is
strict: what was read encodes to the same text again, or it is refused.
"""

from collections.abc import Iterator
from typing import Final

from chopmark.core.errors import MalformedError

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode_base45(data: bytes) -> str:
    """The text of some bytes."""
    return "".join(_write(data[at : at + 2]) for at in range(0, len(data), 2))


def decode_base45(text: str) -> bytes:
    """Read base45.

    Raises:
        MalformedError: `malformed-base45`.
    """
    return b"".join(_read(text))


def _write(pair: bytes) -> str:
    value = int.from_bytes(pair, "big")
    digits = (value % 45, value // 45 % 45, value // 2025)
    return "".join(ALPHABET[digit] for digit in digits[: len(pair) + 1])


def _read(text: str) -> Iterator[bytes]:
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        size = len(group) - 1
        try:
            value = sum(_VALUES[character] * 45**n for n, character in enumerate(group))
        except KeyError as error:
            message = f"not a character of base45: {error.args[0]!r}"
            raise MalformedError("malformed-base45", message) from None
        if not size or value >= 256**size:
            raise MalformedError("malformed-base45", f"{group!r} stands for nothing in base45")
        yield value.to_bytes(size, "big")

"""Strict readers for the small pieces that text formats are made of.

Python is lenient where a wire format must not be (`int("1_0")`, `int("٣")`, sloppy base64), so
everything here demands the one canonical spelling.
"""

import binascii
from base64 import b64decode, b64encode

from chopmark.core.errors import MalformedError

MAX_INT = 2**63 - 1
"""Largest size, index or time on any wire: what SQLite and other logs can hold."""


def parse_decimal(text: str, what: str) -> int:
    """Read a decimal number without sign, leading zeros or other digits than 0-9.

    Raises:
        MalformedError: `malformed-number`.
    """
    digits = text.isascii() and text.isdigit()
    if not digits or (text[0] == "0" and text != "0"):
        raise MalformedError("malformed-number", f"{what} is not a decimal number: {text[:32]!r}")
    if len(text) > 19 or int(text) > MAX_INT:
        message = f"{what} is too large: {text[:32]} (at most {MAX_INT})"
        raise MalformedError("malformed-number", message)
    return int(text)


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 §4)."""
    return b64encode(data).decode("ascii")


def parse_base64(text: str, what: str) -> bytes:
    """Read canonical standard base64 (RFC 4648 §4, unused bits zero).

    Raises:
        MalformedError: `malformed-base64`.
    """
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedError("malformed-base64", f"{what} is not base64") from error
    if encode_base64(data) != text:
        raise MalformedError("malformed-base64", f"{what} is not canonical base64")
    return data


def parse_hash(text: str, what: str) -> bytes:
    """Read one 32-byte hash in base64.

    Raises:
        MalformedError: `malformed-base64` or `malformed-hash`.
    """
    data = parse_base64(text, what)
    if len(data) != 32:
        raise MalformedError("malformed-hash", f"{what} has {len(data)} bytes instead of 32")
    return data


def parse_utf8(data: bytes, what: str) -> str:
    """Decode UTF-8.

    Raises:
        MalformedError: `malformed-utf8`.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("malformed-utf8", f"{what} is not UTF-8") from error

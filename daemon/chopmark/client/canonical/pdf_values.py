"""Numbers, names, strings and the data of streams, as `pdf-pages/1` hashes them."""

from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    ByteStringObject,
    FloatObject,
    NameObject,
    NullObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from chopmark.client.canonical.errors import NotCanonicalError

_LENGTHS: Final = ("/Length", "/DL")
_CODING: Final = ("/Filter", "/DecodeParms")
_LOSSLESS: Final = frozenset(
    (
        *("/FlateDecode", "/Fl", "/LZWDecode", "/LZW", "/ASCIIHexDecode", "/AHx"),
        *("/ASCII85Decode", "/A85", "/RunLengthDecode", "/RL"),
    )
)
"""Streams with these filters count as they are decoded; others are images, and count as stored."""


def tagged(tag: bytes, data: bytes) -> bytes:
    """SHA-256 of a sort of object and its bytes."""
    return sha256(tag + b"\n" + data).digest()


def hash_scalar(value: Any) -> bytes:
    """A number, name, string, boolean or null.

    Raises:
        NotCanonicalError: anything else.
    """
    match value:
        case BooleanObject():
            return tagged(b"boolean", b"true" if value.value else b"false")
        case NumberObject() | FloatObject():
            return tagged(b"number", _write_number(value).encode())
        case NameObject():
            return tagged(b"name", str(value).encode("utf-8", "surrogatepass"))
        case TextStringObject():
            return tagged(b"string", value.original_bytes)
        case ByteStringObject():
            return tagged(b"string", bytes(value))
        case NullObject():
            return tagged(b"null", b"")
    raise NotCanonicalError(f"an object of the sort {type(value).__name__}")


def read_data(stream: StreamObject, values: dict[str, Any]) -> bytes:
    """The data of a stream; takes out of its dictionary what says only how they are stored.

    Raises:
        NotCanonicalError: they lie in another file.
    """
    if "/F" in values:
        raise NotCanonicalError("a stream whose data lie in another file")
    for key in _LENGTHS:
        values.pop(key, None)
    named = stream.get("/Filter", NullObject())
    filters = named if isinstance(named, ArrayObject) else [named]
    if not {str(one) for one in filters if not isinstance(one, NullObject)} <= _LOSSLESS:
        return bytes(stream._data)  # noqa: SLF001 - pypdf gives no other way to what is stored
    for key in _CODING:
        values.pop(key, None)
    return stream.get_data()


def _write_number(value: Decimal | float) -> str:
    """Plain decimal digits, without zeros that say nothing."""
    text = f"{Decimal(str(value)):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text

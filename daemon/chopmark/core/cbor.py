"""Deterministic CBOR (RFC 8949 §4.2.1), the part of it that our formats use.

Integers of 64 bits, byte and text strings, arrays, maps with integer or text keys, booleans and
null. Keys are sorted by their encoded bytes. cbor2's `canonical=True` sorts by length first
(RFC 7049), which is another order, so encoding is our own; decoding is cbor2's, and what it gives
must encode to the same bytes again. Floats, tags and indefinite lengths are refused that way.
"""

from typing import Final

import cbor2

from chopmark.core.errors import MalformedError

MAX_UINT: Final = 2**64 - 1
MAX_DEPTH: Final = 16


def encode_cbor(value: object) -> bytes:
    """Encode a value.

    Raises:
        MalformedError: `malformed-cbor` for a type or number that is not part of our profile.
    """
    if value is None or value is True or value is False:
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _encode_int(value)
    if isinstance(value, bytes):
        return _encode_head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _encode_head(3, len(text)) + text
    if isinstance(value, list):
        return _encode_head(4, len(value)) + b"".join(encode_cbor(item) for item in value)
    if isinstance(value, dict):
        return _encode_map(value)
    raise MalformedError("malformed-cbor", f"CBOR of type {type(value).__name__} is not used here")


def decode_cbor(data: bytes) -> object:
    """Decode bytes that are deterministic CBOR to the last byte.

    Raises:
        MalformedError: `malformed-cbor`.
    """
    try:
        value: object = cbor2.loads(
            data, max_depth=MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False
        )
        canonical = encode_cbor(value) == data
    except MalformedError:
        raise
    except Exception as error:  # cbor2 raises whatever its tag decoders raise
        raise MalformedError("malformed-cbor", f"not CBOR: {error}"[:200]) from error
    if not canonical:
        raise MalformedError("malformed-cbor", "CBOR is not in its deterministic form")
    return value


def _encode_int(value: int) -> bytes:
    if not -MAX_UINT - 1 <= value <= MAX_UINT:
        raise MalformedError("malformed-cbor", "a CBOR integer has more than 64 bits")
    return _encode_head(0, value) if value >= 0 else _encode_head(1, -1 - value)


def _encode_map(value: dict[object, object]) -> bytes:
    if any(isinstance(key, bool) or not isinstance(key, int | str) for key in value):
        raise MalformedError("malformed-cbor", "a CBOR map has keys that are no integers or texts")
    pairs = sorted((encode_cbor(key), encode_cbor(item)) for key, item in value.items())
    return _encode_head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


def _encode_head(major: int, argument: int) -> bytes:
    first = major << 5
    if argument < 24:
        return bytes([first | argument])
    if argument < 0x100:
        return bytes([first | 24, argument])
    if argument < 0x1_0000:
        return bytes([first | 25]) + argument.to_bytes(2, "big")
    if argument < 0x1_0000_0000:
        return bytes([first | 26]) + argument.to_bytes(4, "big")
    return bytes([first | 27]) + argument.to_bytes(8, "big")

"""Deterministic CBOR (RFC 8949 §4.2.1), the part of it that our formats use.

Integers of 64 bits, byte and text strings, arrays, maps with integer or text keys, booleans and
null. Keys are sorted by their encoded bytes. Everything else is refused: floats, tags, other
simple values, indefinite lengths, numbers that are not in their shortest form, repeated keys.

Both directions are our own. cbor2's `canonical=True` sorts by length first (RFC 7049), which is
another order, and its decoder follows tags: with shared references some hundred bytes from a peer
unfold into gigabytes (docs/decisions/0002-own-cbor-decoder.md).
"""

from typing import Final

from chopmark.core.errors import MalformedError

MAX_UINT: Final = 2**64 - 1
MAX_DEPTH: Final = 16
"""Arrays and maps inside one another."""
_SIMPLE: Final[dict[int, bool | None]] = {0xF4: False, 0xF5: True, 0xF6: None}
_SHORTEST: Final = {24: (1, 24), 25: (2, 2**8), 26: (4, 2**16), 27: (8, 2**32)}
"""Bytes of an argument, and the least number that needs so many."""


def encode_cbor(value: object) -> bytes:
    """Encode a value.

    Raises:
        MalformedError: `malformed-cbor` for a type or number that is not part of our profile.
    """
    return _encode(value, MAX_DEPTH)


def decode_cbor(data: bytes) -> object:
    """Decode bytes that are deterministic CBOR to the last byte.

    Raises:
        MalformedError: `malformed-cbor`.
    """
    value, end = _decode(data, 0, MAX_DEPTH)
    if end != len(data):
        raise MalformedError("malformed-cbor", "CBOR goes on after its end")
    return value


def _encode(value: object, depth: int) -> bytes:
    if value is None or value is True or value is False:
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _encode_int(value)
    if isinstance(value, bytes):
        return _encode_head(2, len(value)) + value
    if isinstance(value, str):
        return _encode_text(value)
    if isinstance(value, list | dict) and depth == 0:
        raise MalformedError("malformed-cbor", "CBOR is nested too deeply")
    if isinstance(value, list):
        items = b"".join(_encode(item, depth - 1) for item in value)
        return _encode_head(4, len(value)) + items
    if isinstance(value, dict):
        return _encode_map(value, depth - 1)
    raise MalformedError("malformed-cbor", f"CBOR of type {type(value).__name__} is not used here")


def _encode_int(value: int) -> bytes:
    if not -MAX_UINT - 1 <= value <= MAX_UINT:
        raise MalformedError("malformed-cbor", "a CBOR integer has more than 64 bits")
    return _encode_head(0, value) if value >= 0 else _encode_head(1, -1 - value)


def _encode_text(value: str) -> bytes:
    try:
        text = value.encode()
    except UnicodeEncodeError as error:
        raise MalformedError("malformed-cbor", "a CBOR text is not Unicode") from error
    return _encode_head(3, len(text)) + text


def _encode_map(value: dict[object, object], depth: int) -> bytes:
    if any(isinstance(key, bool) or not isinstance(key, int | str) for key in value):
        raise MalformedError("malformed-cbor", "a CBOR map has keys that are no integers or texts")
    pairs = sorted((_encode(key, 0), _encode(item, depth)) for key, item in value.items())
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


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """The item that begins at `at`, and where it ends."""
    first = _take(data, at, 1)[0]
    if first in _SIMPLE:
        return _SIMPLE[first], at + 1
    argument, at = _decode_argument(data, at + 1, first & 31)
    major = first >> 5
    if major < 2:
        return -1 - argument if major else argument, at
    if major < 4:
        content = _take(data, at, argument)
        return content if major == 2 else _decode_text(content), at + argument
    if major > 5 or depth == 0:
        raise MalformedError("malformed-cbor", "CBOR of a kind or depth that is not used here")
    read = _decode_array if major == 4 else _decode_map
    return read(data, at, argument, depth - 1)


def _decode_argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at
    size, least = _SHORTEST.get(info, (0, 1))
    argument = int.from_bytes(_take(data, at, size), "big")
    if argument < least:
        raise MalformedError("malformed-cbor", "CBOR is not in its deterministic form")
    return argument, at + size


def _decode_array(data: bytes, at: int, count: int, depth: int) -> tuple[object, int]:
    items: list[object] = []
    while len(items) < count:
        item, at = _decode(data, at, depth)
        items.append(item)
    return items, at


def _decode_map(data: bytes, at: int, count: int, depth: int) -> tuple[object, int]:
    items: dict[int | str, object] = {}
    before = b""
    while len(items) < count:
        key, end = _decode(data, at, 0)
        encoded = data[at:end]
        if isinstance(key, bool) or not isinstance(key, int | str) or encoded <= before:
            raise MalformedError("malformed-cbor", "keys of a CBOR map are not as they should be")
        items[key], at = _decode(data, end, depth)
        before = encoded
    return items, at


def _decode_text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("malformed-cbor", "a CBOR text is not UTF-8") from error


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise MalformedError("malformed-cbor", "CBOR is cut short")
    return data[at : at + size]

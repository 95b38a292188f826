"""Fields of JSON objects that are given twice: refused, where the last one would silently win.

`"kind":"a","kind":"b"` is a mistake of whoever wrote it, and nobody can tell which one was meant
(RFC 8259 §4: what becomes of it is unpredictable). msgspec does not see it, and an exact reader
takes ten times as long; so quotes are counted first. What was read is encoded again: each field
that was dropped on the way has left two quotes behind in the text, and nothing else has, unless
characters are escaped by their numbers. Only what differs is read exactly.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from chopmark.core.errors import MalformedError

_QUOTE: Final = b'"'
_ESCAPED: Final = b"\\u"
_read: Final = msgspec.json.Decoder().decode
_read_lines: Final = msgspec.json.Decoder().decode_lines
_encoder: Final = msgspec.json.Encoder()


def refuse_twice(text: bytes, code: str) -> None:
    """Refuse a JSON text in which a field of an object is given twice.

    Args:
        text: that has been decoded already, and is JSON.
        code: of the error.

    Raises:
        MalformedError: with this code, naming the field.
    """
    again = _encoder.encode(_read(text))
    if text.count(_QUOTE) == again.count(_QUOTE) and _ESCAPED not in text:
        return
    twice = find_twice(text)
    if twice is not None:
        hint = "give each field once: nobody can tell which of the two is meant"
        raise MalformedError(code, f"the field `{twice[:40]}` is given twice", hint=hint)


def are_once(block: bytes, lines: Sequence[msgspec.Struct]) -> bool:
    """Whether no line of a block gives a field twice; false if that is not certain.

    Args:
        block: lines of JSON.
        lines: as they were decoded, of a type that leaves out defaults when it is encoded.
    """
    if _ESCAPED in block:
        return False
    quotes = _count_quotes(block)
    if quotes == _count_quotes(_encoder.encode_lines(lines)):
        return True
    # Defaults that are spelt out are missing there: see what untyped reading makes of it.
    return quotes == _count_quotes(_encoder.encode_lines(_read_lines(block)))


def find_twice(text: bytes) -> str | None:
    """A field that is given twice, by exact reading; None if none is."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            found.append(next(name for at, name in enumerate(names) if name in names[:at]))

    json.loads(text, object_pairs_hook=look)
    return found[0] if found else None


def _count_quotes(block: bytes) -> int:
    """Five times as fast as `bytes.count`, for what is long."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord(_QUOTE)))

"""`json-jcs/1`: SHA-256 of a JSON document in the canonical form of RFC 8785 (JCS).

The form knows doubles only. What they cannot hold, or JSON leaves open, has no canonical digest:
names that occur twice, numbers that would change, lone surrogates, a byte order mark.
"""

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import rfc8785

from chopmark.client.canonical.errors import NotCanonicalError

_MAX_DEPTH: Final = 200


def digest_json(data: bytes) -> bytes:
    """The canonical digest, 32 bytes.

    Args:
        data: a JSON document in UTF-8 (RFC 8259).

    Raises:
        NotCanonicalError: it has none.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_exact,
            parse_int=_exact,
            parse_constant=_refuse,
        )
        _check_depth(value)
        return sha256(rfc8785.dumps(value)).digest()
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise NotCanonicalError(f"not JSON that has a canonical form: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise NotCanonicalError("a name occurs twice in one object")
    return values


def _exact(text: str) -> float:
    """A number, if a double can hold it: two documents with different numbers must differ."""
    value = float(text) if len(text) <= 400 else float("inf")
    if value in (float("inf"), float("-inf")) or Decimal(text) != Decimal(repr(value)):
        raise NotCanonicalError(f"the number {text[:40]} is not what a double can hold")
    return value


def _refuse(text: str) -> float:
    raise NotCanonicalError(f"{text} is no JSON")


def _check_depth(value: object) -> None:
    """The writer calls itself for each level."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise NotCanonicalError(f"more than {_MAX_DEPTH} levels")
        level = [inner for outer in level for inner in _inner(outer)]


def _inner(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

"""Headers that more than one of the plain ASGI routes reads."""

from collections.abc import Iterable


def takes_gzip(asked: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's headers say that the client takes gzip."""
    return any(_names_gzip(value) for key, value in asked if key == b"accept-encoding")


def _names_gzip(accepted: bytes) -> bool:
    """Whether gzip is named, and not with a weight of 0 (RFC 9110 §12.5.3)."""
    named = (one.replace(b" ", b"").partition(b";") for one in accepted.lower().split(b","))
    return any(one == b"gzip" and weight.rstrip(b"0.") != b"q=" for one, _, weight in named)

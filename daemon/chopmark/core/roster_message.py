"""What travels in `<id>/roster` (docs/formats/roster.md): versions of the roster, and suspensions.

Deterministic CBOR `{0: [* roster note], 1: [* suspension note]}`: the newest version comes last,
and before it as many older ones as there is room for, so that whoever was away can follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.errors import MalformedError

MAX_MESSAGE: Final = 64_000
"""Bytes: with the topic it must fit the 64 KiB that every broker takes."""
MAX_SUSPENSIONS: Final = 4
"""Suspensions that travel: those that the roster has not taken up yet, the newest ones."""
MAX_VERSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class RosterMessage:
    """Notes, the newest version and the newest suspension last."""

    rosters: tuple[bytes, ...]
    suspensions: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The payload."""
        return encode_cbor({0: list(self.rosters), 1: list(self.suspensions)})


def make_message(rosters: Sequence[bytes], suspensions: Sequence[bytes]) -> RosterMessage:
    """What fits: the newest version whatever comes, and the newest suspensions."""
    kept = tuple(suspensions[-MAX_SUSPENSIONS:])
    fitting = RosterMessage(tuple(rosters[-1:]), kept)
    for count in range(2, min(len(rosters), MAX_VERSIONS) + 1):
        larger = RosterMessage(tuple(rosters[-count:]), kept)
        if len(larger.encode()) > MAX_MESSAGE:
            break
        fitting = larger
    return fitting


def parse_message(data: bytes) -> RosterMessage:
    """Read a payload; the notes in it are not read yet.

    Raises:
        MalformedError: `malformed-roster-message`, and `malformed-cbor`.
    """
    value = decode_cbor(data) if len(data) <= MAX_MESSAGE else None
    if not isinstance(value, dict) or value.keys() != {0, 1}:
        raise MalformedError("malformed-roster-message", "not a message about a roster")
    rosters, suspensions = _notes(value[0], MAX_VERSIONS), _notes(value[1], MAX_SUSPENSIONS)
    return RosterMessage(rosters, suspensions)


def _notes(value: object, limit: int) -> tuple[bytes, ...]:
    notes = value if isinstance(value, list) else [None]
    if len(notes) > limit or not all(isinstance(one, bytes) for one in notes):
        raise MalformedError("malformed-roster-message", "not a list of notes, or too many")
    return tuple(notes)

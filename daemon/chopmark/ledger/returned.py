"""Cosignatures of ours that come back from a broker, which has kept them.

They say what our cosigner key has signed, whatever disk our rows lie on: an older copy of it knows
of less. None is believed before our own signature on it, and the log's, were verified.
"""

from typing import Final

from chopmark.core.checkpoint import SignedCheckpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member

MAX_NOTES: Final = 16
"""Notes of one log that wait to be looked at: each broker keeps one."""


class Returned:
    """Notes that were not looked at yet, by the origin of their log."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[bytes, Member]] = {}

    def add(self, member: Member, note: bytes) -> None:
        """Keep a note of a member's log, unless too many wait already."""
        notes = self._waiting.setdefault(member.origin, {})
        if len(notes) < MAX_NOTES:
            notes[note] = member

    def waits(self, origin: str) -> bool:
        """Whether there is a note of this log that nobody has looked at."""
        return bool(self._waiting.get(origin))

    def first(self, origin: str) -> tuple[Member, bytes] | None:
        """The oldest of them; it stays until `done`."""
        notes = self._waiting.get(origin)
        if not notes:
            return None
        note, member = next(iter(notes.items()))
        return member, note

    def done(self, origin: str, note: bytes) -> None:
        """It was looked at, and what it says is stored."""
        self._waiting[origin].pop(note, None)


def open_cosigned(
    member: Member, note: bytes, key: VerifierKey
) -> tuple[SignedCheckpoint, int] | None:
    """A head of a member's log that a cosigner key of ours has signed, and when (seconds).

    None if the log or the key has not signed it.
    """
    try:
        signed, _ = member.read_head(note, (key,))
    except ChopmarkError:
        return None
    time = next((one.time for one in signed.verified if one.key == key), 0)
    return (signed, time) if time else None

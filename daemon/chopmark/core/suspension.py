"""Suspensions (docs/formats/roster.md): a member's offline emergency key stops that member's keys.

It holds, whatever versions of the roster follow, as long as they name this emergency key for this
member: a version with another one, or without, takes the member back.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.member import check_member_id
from chopmark.core.note import Note, parse_note, verify_note
from chopmark.core.roster import Roster

HEADER: Final = "chopmark/suspension/v1"
MAX_SUSPENSION: Final = 512
"""Bytes of the largest note."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Suspension:
    """What the note says: which member, and since when (seconds since the Unix epoch)."""

    member: str
    origin: str
    since: int

    def encode(self) -> str:
        """The note text."""
        since = datetime.fromtimestamp(self.since, UTC).strftime(_TIME)
        return f"{HEADER}\nmember {self.member}\norigin {self.origin}\nsince {since}\n"


@dataclass(frozen=True, slots=True)
class SignedSuspension:
    """A suspension by the emergency key that the roster names, and its note."""

    suspension: Suspension
    note: bytes


def emergency_name(origin: str) -> str:
    """Key name of a member's emergency key."""
    return f"{origin}/emergency"


def parse_suspension(text: str) -> Suspension:
    """Read a suspension's note text.

    Raises:
        MalformedError: `malformed-suspension` and the codes of its parts.
    """
    lines = text.split("\n")
    words = [line.partition(" ") for line in lines[1:4]]
    if lines[0] != HEADER or [word[0] for word in words] != ["member", "origin", "since"]:
        raise MalformedError("malformed-suspension", f"not a note {HEADER}")
    check_member_id(words[0][2])
    check_origin(words[1][2])
    try:
        since = datetime.strptime(words[2][2], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError("malformed-suspension", "`since` is not a time") from error
    suspension = Suspension(words[0][2], words[1][2], int(since.timestamp()))
    if suspension.encode() != text:
        raise MalformedError("malformed-suspension", "a suspension is not in its canonical form")
    return suspension


def open_suspension(data: bytes, roster: Roster) -> SignedSuspension:
    """Read a suspension's note, signed by the emergency key that the roster names.

    Raises:
        MalformedError: `malformed-note`, `malformed-suspension`.
        RefusedError: `no-such-member`; `bad-signature`, `no-known-signature`.
    """
    if len(data) > MAX_SUSPENSION:
        raise MalformedError("malformed-suspension", "a suspension is too large")
    note = parse_note(data)
    suspension = parse_suspension(note.text)
    member = roster.find(suspension.member)
    if member is None or member.origin != suspension.origin or member.emergency is None:
        message = f"the roster names no emergency key of {suspension.member}"
        raise RefusedError("no-such-member", message)
    key = parse_vkey(member.emergency)
    verify_note(note, (key,))
    return SignedSuspension(suspension, _only(note, key).encode())


def _only(note: Note, key: VerifierKey) -> Note:
    lines = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    return Note(note.text, tuple(lines[:1]))

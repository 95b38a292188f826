"""Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root hash, signed as a note.

Ours are three lines, without extension lines, and others are refused: our signatures cover
nothing that we do not understand.
"""

import re
from dataclasses import dataclass
from typing import Final

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note, Signature, Verified, parse_note, verify_note
from chopmark.core.text import encode_base64, parse_decimal, parse_hash

ORIGIN: Final = re.compile(r"[a-z0-9.-]+(/[a-z0-9.-]+)*", re.ASCII)
MAX_ORIGIN: Final = 64
MAX_FOREIGN_ORIGIN: Final = 128
"""Characters in the origin of a log that is not a member's: C2SP sets no bound."""
RESERVED_ORIGINS: Final = ("chopmark/", "cosignature/")
"""Prefixes that would make a checkpoint look like another thing that a log key signs."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: `size` entries whose RFC 6962 tree has the 32-byte `root`."""

    origin: str
    size: int
    root: bytes

    def encode(self) -> str:
        """The note text."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose log signature was checked, with its note and all verified signatures."""

    checkpoint: Checkpoint
    note: Note
    verified: tuple[Verified, ...]

    def encode(self) -> bytes:
        """The note with nothing but the lines that count: what a carrier added is left out."""
        return Note(self.note.text, self.lines()).encode()

    def lines(self) -> tuple[Signature, ...]:
        """The lines that count: one of each key that was checked, in the order of `verified`."""
        return tuple(next(s for s in self.note.signatures if one.is_by(s)) for one in self.verified)

    def log_note(self) -> Note:
        """The note with the log's own signatures alone."""
        both = zip(self.verified, self.lines(), strict=True)
        return Note(self.note.text, tuple(line for v, line in both if not v.key.is_cosigner))


def check_origin(origin: str) -> None:
    """Refuse what is not an origin of ours: a schema-less URL of at most 64 of `[a-z0-9.-/]`.

    Raises:
        MalformedError: `malformed-origin`.
    """
    if len(origin) > MAX_ORIGIN or not ORIGIN.fullmatch(origin):
        hint = "an origin looks like bank-a.example/sz-1"
        raise MalformedError("malformed-origin", f"not an origin: {origin[:80]!r}", hint=hint)
    if origin.startswith(RESERVED_ORIGINS):
        raise MalformedError("malformed-origin", f"origin {origin!r} begins with a reserved word")


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's note text.

    Raises:
        MalformedError: `malformed-checkpoint`, `malformed-origin` and the codes of its parts.
    """
    checkpoint = read_checkpoint(text)
    check_origin(checkpoint.origin)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedError("malformed-checkpoint", "an empty log has another root than given")
    return checkpoint


def read_checkpoint(text: str) -> Checkpoint:
    """Read the checkpoint of any log, ours or not: its origin may be what C2SP allows.

    Its root may be wrong for an empty log: a witness tells that apart.

    Raises:
        MalformedError: `malformed-checkpoint`, `malformed-origin` and the codes of its parts.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedError("malformed-checkpoint", "a checkpoint has three lines")
    check_foreign_origin(lines[0])
    size = parse_decimal(lines[1], "the size of a checkpoint")
    return Checkpoint(lines[0], size, parse_hash(lines[2], "the root of a checkpoint"))


def check_foreign_origin(origin: str) -> None:
    """Refuse what cannot be the origin of anybody's log: it is a line, of 1 to 128 characters.

    Raises:
        MalformedError: `malformed-origin`.
    """
    if not 0 < len(origin) <= MAX_FOREIGN_ORIGIN or not origin.isprintable():
        raise MalformedError("malformed-origin", f"not an origin: {origin[:80]!r}")
    if origin.startswith(RESERVED_ORIGINS):
        raise MalformedError("malformed-origin", f"origin {origin!r} begins with a reserved word")


def open_checkpoint(
    data: bytes, log_key: VerifierKey, others: tuple[VerifierKey, ...] = ()
) -> SignedCheckpoint:
    """Read a checkpoint note and check it: the log must have signed, and its name must fit.

    Args:
        data: the note.
        log_key: the log's key; its name is the origin that the checkpoint must have.
        others: further keys whose signatures are checked and reported if they are there.

    Raises:
        MalformedError: what `parse_note` and `parse_checkpoint` raise.
        RefusedError: `bad-signature` or `no-known-signature`.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_key.name:
        message = f"a checkpoint of {checkpoint.origin} where one of {log_key.name} is due"
        raise MalformedError("malformed-checkpoint", message)
    verified = verify_note(note, (log_key, *others))
    if all(one.key != log_key for one in verified):
        raise RefusedError("no-known-signature", f"{log_key.name} has not signed its checkpoint")
    return SignedCheckpoint(checkpoint, note, verified)

"""Signed notes (C2SP signed-note): a text with signature lines under it.

Reading is strict: what was parsed encodes to the same bytes again, or it is refused. A note is
split at its last blank line. Unknown keys are ignored; a known key's bad signature voids the note.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey, check_key_name
from chopmark.core.text import encode_base64, parse_base64, parse_utf8

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
MAX_SIGNATURES: Final = 64
"""Signature lines accepted in one note (C2SP demands at least 16)."""
MAX_NOTE: Final = 60 * 1024
"""Bytes of the largest note, a roster of 64 members: it must fit a 64 KiB MQTT payload."""
DASH: Final = "\u2014 "


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who (name and 4-byte key id), and the payload after the key id."""

    name: str
    key_id: bytes
    payload: bytes

    def encode(self) -> str:
        """The line, with its line feed."""
        return f"{DASH}{self.name} {encode_base64(self.key_id + self.payload)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a line feed, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(s.encode() for s in self.signatures)).encode()

    def with_signature(self, signature: Signature) -> "Note":
        """The note with one more line, in place of an older line of the same key."""
        others = (s for s in self.signatures if _identity(s) != _identity(signature))
        return replace(self, signatures=(*others, signature))


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that was checked: the key, and the signed time in seconds (0 if it has none)."""

    key: VerifierKey
    time: int

    def is_by(self, signature: Signature) -> bool:
        """Whether a line of the note is this one, or as good."""
        mine = _identity(signature) == (self.key.name, self.key.key_id)
        return mine and self.time in (0, int.from_bytes(signature.payload[:8], "big"))


def parse_note(data: bytes) -> Note:
    """Read a signed note; no signature is checked yet.

    Raises:
        MalformedError: `malformed-note` and the codes of its parts.
    """
    if len(data) > MAX_NOTE:
        raise MalformedError("malformed-note", f"a note of {len(data)} bytes is too large")
    text = parse_utf8(data, "a note")
    if _CONTROL.search(text):
        raise MalformedError("malformed-note", "a note contains a control character")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise MalformedError("malformed-note", "a note has no signature block that ends a line")
    parsed = tuple(_parse_line(line) for line in lines[:-1].split("\n"))
    if len(parsed) > MAX_SIGNATURES:
        raise MalformedError("malformed-note", f"a note has {len(parsed)} signature lines")
    return Note(body + "\n", parsed)


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[Verified, ...]:
    """Check every signature whose key is known.

    Returns:
        One result for each key that has signed, in the order of their lines. Of several
        cosignatures by one key the earliest counts, whatever order a carrier gave them.

    Raises:
        RefusedError: `bad-signature` if a known key's signature fails, `no-known-signature` if no
            known key has signed (C2SP signed-note, §Verification).
    """
    known = {(key.name, key.key_id): key for key in keys}
    text = note.text.encode()
    good: dict[VerifierKey, Verified] = {}
    for signature in note.signatures:
        key = known.get(_identity(signature))
        if key is None:
            continue
        time = key.verify(text, signature.payload)
        if time is None:
            raise RefusedError("bad-signature", f"the signature by {key.name} is not good")
        if key not in good or time < good[key].time:
            good[key] = Verified(key, time)
    if not good:
        raise RefusedError("no-known-signature", "no key that we know has signed this note")
    return tuple(good.values())


def _identity(signature: Signature) -> tuple[str, bytes]:
    return signature.name, signature.key_id


def _parse_line(line: str) -> Signature:
    name, space, body = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not space:
        raise MalformedError("malformed-note", f"not a signature line: {line[:80]!r}")
    check_key_name(name)
    blob = parse_base64(body, f"the signature by {name!r}")
    if len(blob) < 5:
        raise MalformedError("malformed-note", f"the signature by {name!r} is too short")
    return Signature(name, blob[:4], blob[4:])

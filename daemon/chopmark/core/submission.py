"""Submissions to a witness (C2SP tlog-witness, `add-checkpoint`): what they hold, and the rules.

Rules, in the order in which they are applied:
1. What cannot be read, or an old size above the checkpoint's: malformed, 400.
2. An origin that the witness does not know: 404.
3. No signature of a key that it trusts for that origin, or one that is not good: 403.
4. An old size that is not that of the newest checkpoint which it has cosigned: 409, with that size.
5. An empty log with another root than the empty tree's; a consistency proof that does not lead from
   what was cosigned to what is submitted, or that is there where none is needed: 422.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from chopmark.core.checkpoint import Checkpoint, read_checkpoint
from chopmark.core.errors import ChopmarkError, ForbiddenError, MalformedError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import EMPTY_ROOT, verify_consistency
from chopmark.core.note import Note, parse_note, verify_note
from chopmark.core.text import parse_decimal, parse_hash, parse_utf8

MAX_PROOF: Final = 63
"""Hashes of a consistency proof: one for each level of the tallest tree."""
MAX_SUBMISSION: Final = 64 * 1024
"""Bytes of a submission: the largest note, and the longest proof before it."""
_OLD: Final = "old "


class StaleSizeError(ChopmarkError):
    """The old size is not that of the newest checkpoint that was cosigned, which is `size`."""

    status = 409
    exit_code = 65

    def __init__(self, size: int) -> None:
        super().__init__("stale-size", f"the newest checkpoint cosigned has the size {size}")
        self.size = size


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint for a witness to cosign, and why it follows from the one before.

    Attributes:
        old: size of the checkpoint that the proof begins at.
        proof: consistency proof from there (RFC 6962 §2.1.2).
        note: the signed note; no signature is checked yet.
        checkpoint: what is in it.
    """

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    def check_signature(self, keys: Iterable[VerifierKey]) -> Note:
        """Rule 3; gives the note with the signatures of these keys and no others.

        Raises:
            ForbiddenError: `not-signed-by-log`.
        """
        known = tuple(keys)
        try:
            verified = verify_note(self.note, known)
        except RefusedError as error:
            raise ForbiddenError("not-signed-by-log", error.message) from error
        lines = [next(s for s in self.note.signatures if one.is_by(s)) for one in verified]
        return Note(self.note.text, tuple(lines))

    def check_step(self, size: int, root: bytes) -> None:
        """Rules 4 and 5, with the newest checkpoint that was cosigned (size 0: none was).

        Raises:
            StaleSizeError: `stale-size`.
            RefusedError: `bad-consistency`, `bad-root`.
        """
        new = self.checkpoint
        if self.old != size:
            raise StaleSizeError(size)
        if new.size == 0 and new.root != EMPTY_ROOT:
            raise RefusedError("bad-root", "this is not the root of an empty log")
        if self.old == 0:
            if self.proof:
                raise RefusedError("bad-consistency", "from size 0 there is nothing to prove")
            return
        verify_consistency(self.old, new.size, root, new.root, self.proof)


def parse_submission(body: bytes) -> Submission:
    """Read the body of an `add-checkpoint` request: rule 1.

    Raises:
        MalformedError: `malformed-submission` and the codes of its parts.
    """
    if len(body) > MAX_SUBMISSION:
        raise MalformedError("malformed-submission", f"{len(body)} bytes are too many")
    head, blank, note = body.partition(b"\n\n")
    lines = parse_utf8(head, "a submission").split("\n")
    if not blank or not lines[0].startswith(_OLD):
        raise MalformedError("malformed-submission", "a submission begins with `old SIZE`")
    if len(lines) - 1 > MAX_PROOF:
        raise MalformedError("malformed-submission", f"more than {MAX_PROOF} hashes in the proof")
    old = parse_decimal(lines[0].removeprefix(_OLD), "the old size")
    proof = tuple(parse_hash(line, "a line of the proof") for line in lines[1:])
    parsed = parse_note(note)
    checkpoint = read_checkpoint(parsed.text)
    if old > checkpoint.size:
        message = f"the old size {old} is above that of the checkpoint, {checkpoint.size}"
        raise MalformedError("malformed-submission", message)
    return Submission(old, proof, parsed, checkpoint)

"""Evidence of a fork (docs/formats/evidence.md): two signed heads that cannot both be true.

Rules:
1. Both heads are of one log, and that log's key has signed both.
2. Each is shown to commit to something about one subject: to the root of the tree of the first so
   many entries, by a consistency proof, or to the leaf of one entry, by an inclusion proof.
3. What the two commit to differs. In one tree it cannot, unless SHA-256 is broken: whoever signs
   only heads of one growing tree can never be convicted, whatever is put together from its heads.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    open_checkpoint,
    parse_checkpoint,
)
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import root_from_inclusion, verify_consistency
from chopmark.core.note import parse_note
from chopmark.core.text import encode_base64, parse_decimal, parse_hash, parse_utf8

HEADER: Final = "chopmark/evidence/v1"
MAX_EVIDENCE: Final = 32 * 1024
"""Bytes: two proofs of 64 hashes and two notes with 64 signatures, and room to spare."""
MAX_HASHES: Final = 64
"""Hashes in the longest consistency proof, in trees of up to 2^63 leaves."""
MAX_BULLETIN: Final = 60 * 1024
"""Bytes of all the evidence that one message carries."""
_BRANCH: Final = "branch "


class Subject(StrEnum):
    """What the two heads disagree about."""

    SIZE = "size"
    """The root of the tree of the first so many entries."""
    ENTRY = "entry"
    """The leaf of the entry with this index."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the two histories.

    Attributes:
        value: root of the smaller tree, or hash of the leaf.
        hashes: consistency proof from there to the head, or inclusion proof of the leaf.
        note: the checkpoint note.
    """

    value: bytes
    hashes: tuple[bytes, ...]
    note: bytes

    def head(self) -> Checkpoint:
        """The checkpoint in the note, unchecked.

        Raises:
            MalformedError: what `parse_note` and `parse_checkpoint` raise.
        """
        return parse_checkpoint(parse_note(self.note).text)

    def encode(self) -> str:
        """The lines of this branch."""
        hashes = "".join(f"{encode_base64(value)}\n" for value in self.hashes)
        return f"{_BRANCH}{encode_base64(self.value)}\n{hashes}\n{self.note.decode()}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two branches that disagree about a subject; checked by `check_evidence` only.

    Attributes:
        subject: what about.
        number: the size, or the entry's index.
        branches: the one with the smaller head first; of equal sizes, with the smaller value.
    """

    subject: Subject
    number: int
    branches: tuple[Branch, Branch]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: names this evidence."""
        return hashlib.sha256(self.encode()).digest()

    @property
    def origin(self) -> str:
        """The log that is accused."""
        return self.branches[0].head().origin

    def encode(self) -> bytes:
        """The evidence's text."""
        first, second = (branch.encode() for branch in self.branches)
        return f"{HEADER}\n{self.subject} {self.number}\n\n{first}\n{second}".encode()


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork that was proven: the two heads, smaller first, and by what."""

    evidence: Evidence
    first: SignedCheckpoint
    second: SignedCheckpoint

    @property
    def origin(self) -> str:
        """The log."""
        return self.first.checkpoint.origin

    @property
    def below(self) -> int:
        """The smaller of the two sizes: what lies under a head below it may still be good."""
        return self.first.checkpoint.size


def make_evidence(subject: Subject, number: int, one: Branch, other: Branch) -> Evidence:
    """Bring two branches into their order; nothing is checked."""
    first, second = sorted((one, other), key=_order)
    return Evidence(subject, number, (first, second))


def differing_heads(one: bytes, other: bytes) -> Evidence:
    """Evidence from the notes of two heads of one size with different roots."""
    branches = [Branch(parse_checkpoint(parse_note(n).text).root, (), n) for n in (one, other)]
    return make_evidence(Subject.SIZE, branches[0].head().size, branches[0], branches[1])


def parse_evidence(data: bytes) -> Evidence:
    """Read evidence; nothing is proven yet.

    Raises:
        MalformedError: `malformed-evidence` and the codes of its parts.
    """
    if len(data) > MAX_EVIDENCE:
        raise _malformed(f"evidence of {len(data)} bytes is too large")
    parts = parse_utf8(data, "evidence").split("\n\n")
    if len(parts) != 7 or not parts[0].startswith(f"{HEADER}\n"):
        raise _malformed(f"not evidence: it begins with {HEADER} and has two branches")
    subject, number = _parse_subject(parts[0].removeprefix(f"{HEADER}\n"))
    first = _parse_branch(parts[1], parts[2], parts[3] + "\n")
    second = _parse_branch(parts[4], parts[5], parts[6])
    evidence = Evidence(subject, number, (first, second))
    if evidence != make_evidence(subject, number, first, second) or evidence.encode() != data:
        raise _malformed("evidence is not in its canonical form")
    return evidence


def check_evidence(evidence: Evidence, log_key: VerifierKey) -> Fork:
    """Check that evidence convicts a log, whoever brought it.

    Args:
        evidence: what was read.
        log_key: the log's key; its name is the origin.

    Raises:
        RefusedError: `no-fork` if the branches do not disagree, `bad-consistency` or
            `bad-inclusion` if one does not lead to its head, `bad-signature` or
            `no-known-signature` if the log has not signed both.
        MalformedError: `malformed-checkpoint` if a head is of another log.
    """
    return check_heads(evidence, lambda note: open_checkpoint(note, log_key))


def check_heads(evidence: Evidence, open_head: Callable[[bytes], SignedCheckpoint]) -> Fork:
    """The same, where a log has or had several keys.

    Args:
        evidence: what was read.
        open_head: reads a note that one of them has signed and may have, or raises.

    Raises:
        MalformedError: as `check_evidence`, and what `open_head` raises.
    """
    first, second = (open_head(branch.note) for branch in evidence.branches)
    if evidence.branches[0].value == evidence.branches[1].value:
        raise RefusedError("no-fork", "both heads say the same: this proves nothing")
    for branch, signed in zip(evidence.branches, (first, second), strict=True):
        _check_branch(evidence.subject, evidence.number, branch, signed.checkpoint)
    return Fork(evidence, first, second)


def encode_bulletin(texts: Sequence[bytes]) -> bytes:
    """Pieces of evidence as one message: those that fit, the first ones first."""
    fitting: list[bytes] = []
    for text in texts:
        if sum(map(len, fitting)) + len(text) <= MAX_BULLETIN:
            fitting.append(text)
    return encode_cbor(fitting)


def parse_bulletin(data: bytes) -> list[bytes]:
    """The pieces of evidence in a message, not read yet.

    Raises:
        MalformedError: `malformed-evidence`.
    """
    value = decode_cbor(data)
    if not isinstance(value, list) or any(not isinstance(text, bytes) for text in value):
        raise _malformed("a message with evidence is a list of texts")
    return value


def _check_branch(subject: Subject, number: int, branch: Branch, head: Checkpoint) -> None:
    if subject is Subject.SIZE:
        verify_consistency(number, head.size, branch.value, head.root, branch.hashes)
    elif root_from_inclusion(branch.value, number, head.size, branch.hashes) != head.root:
        raise RefusedError("bad-inclusion", "an entry does not lie under its head")


def _order(branch: Branch) -> tuple[int, bytes]:
    return branch.head().size, branch.value


def _parse_subject(line: str) -> tuple[Subject, int]:
    word, _, number = line.partition(" ")
    if word not in tuple(Subject):
        raise _malformed(f"evidence about a size or an entry is due: {line[:80]!r}")
    return Subject(word), parse_decimal(number, "the number in evidence")


def _parse_branch(lines: str, text: str, signatures: str) -> Branch:
    first, *rest = lines.split("\n")
    if not first.startswith(_BRANCH) or len(rest) > MAX_HASHES:
        raise _malformed(f"a branch of at most {MAX_HASHES} hashes is due: {first[:80]!r}")
    value = parse_hash(first.removeprefix(_BRANCH), "the value of a branch")
    hashes = tuple(parse_hash(line, "a hash of a branch") for line in rest)
    branch = Branch(value, hashes, f"{text}\n\n{signatures}".encode())
    branch.head()
    return branch


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-evidence", message)

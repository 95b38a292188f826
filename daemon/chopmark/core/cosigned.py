"""Cosignatures of one head, as they come in, and the note that is made of them."""

from dataclasses import dataclass, field
from typing import Final

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import VerifierKey
from chopmark.core.note import Note, Signature, Verified
from chopmark.core.policy import Policy
from chopmark.core.quorum import minimal_quorum

MAX_LINES: Final = 15
"""Signatures in a checkpoint note that we make, the log's among them (C2SP demands that a reader
takes 16)."""


@dataclass(slots=True)
class Cosignatures:
    """What witnesses have cosigned of one head; all lines in it are verified.

    Attributes:
        head: the head.
        log: the log's own signature.
        lines: one cosignature of each key, the one that came first.
    """

    head: Checkpoint
    log: Signature
    lines: dict[VerifierKey, tuple[int, Signature]] = field(default_factory=dict)

    def add(self, key: VerifierKey, time: int, line: Signature) -> bool:
        """Add a cosignature; false if there is one of this key already."""
        if key in self.lines:
            return False
        self.lines[key] = (time, line)
        return True

    def existed_by(self, policy: Policy) -> int | None:
        """Seconds since the epoch by which the quorum had cosigned; None while it has not."""
        return policy.existed_by(Verified(key, time) for key, (time, _) in self.lines.items())

    def note(self, policy: Policy) -> bytes:
        """The note: the log's signature, a minimal quorum, notaries, then others as they fit."""
        by_time = sorted(self.lines, key=lambda key: self.lines[key][0])
        quorum = minimal_quorum(policy, by_time)
        notaries = [
            key
            for kind in policy.notarised(by_time)
            for key in minimal_quorum(policy.for_kind(kind), by_time)
        ]
        keys = dict.fromkeys((*quorum, *notaries, *by_time))
        lines = [self.lines[key][1] for key in keys]
        return Note(self.head.encode(), (self.log, *lines[: MAX_LINES - 1])).encode()

"""Signed heads of a peer that were seen, from whatever side, and not compared yet.

A head within what the replica holds is compared at once; one beyond it waits here until the
replica has come so far. So no head that anyone showed us is forgotten just because we were behind.
"""

from dataclasses import dataclass, field
from typing import Final

from chopmark.core.checkpoint import Checkpoint

MAX_HEADS: Final = 64
"""Heads that wait for one replica. More come, from a peer far ahead or a hostile one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A head that the log's key signed.

    Attributes:
        note: its note.
        time: seconds since the epoch at which the log's own cosigner vouched for it, or 0.
    """

    head: Checkpoint
    note: bytes
    time: int = 0


@dataclass(slots=True)
class Heads:
    """Heads that wait, one for each size."""

    waiting: dict[int, Seen] = field(default_factory=dict)

    def add(self, seen: Seen) -> Seen | None:
        """Let a head wait; gives another head of its size if there is one, which proves a fork.

        When there are too many, the largest goes first that no cosigner has vouched for.
        """
        size = seen.head.size
        before = self.waiting.get(size, seen)
        if before.head != seen.head:
            return before
        self.waiting[size] = max(before, seen, key=lambda one: one.time)
        if len(self.waiting) > MAX_HEADS:
            del self.waiting[max(self.waiting, key=self._is_dispensable)]
        return None

    @property
    def newest(self) -> Seen | None:
        """The largest that waits."""
        return self.waiting[max(self.waiting)] if self.waiting else None

    def up_to(self, size: int) -> list[Seen]:
        """Those that can be compared with a replica of `size` entries."""
        return [seen for seen in self.waiting.values() if seen.head.size <= size]

    def remove(self, seen: Seen) -> None:
        """Forget a head that was compared, unless a newer heartbeat has taken its place."""
        if self.waiting.get(seen.head.size) == seen:
            del self.waiting[seen.head.size]

    def _is_dispensable(self, size: int) -> tuple[bool, int]:
        return self.waiting[size].time == 0, size

"""The digest index of a simulated gateway: in memory, behind `ledger.index.DigestIndex`.

What was flushed survives a crash, what was not is lost; a crash may take all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.core.text import MAX_INT
from chopmark.ledger.index import MAX_FOUND
from chopmark.ledger.packed import Keys, read_words
from simulation.loop import OWNER


@dataclass
class Kept:
    """What lies on the disk."""

    position: int = 0
    entries: dict[bytes, list[int]] = field(default_factory=dict)


class SimIndex:
    """See `DigestIndex`."""

    def __init__(self, path: Path) -> None:
        owner = OWNER.get()
        self._random: Random = owner.disk.random
        self._kept: Kept = owner.box.indices.setdefault(path.name, Kept())
        self._tail: list[tuple[bytes, int]] = []
        self.position = self._kept.position
        self.is_whole = True
        self.goal = 0
        self.on_behind: Callable[[], None] = lambda: None

    def check(self, size: int, _digest_of: Callable[[int], bytes | None]) -> None:
        """It belongs to this log, or the disk has lost what it promised to keep."""
        if self.position > size:
            raise InternalError("foreign-index", "the index is ahead of its log")

    def settle(self, size: Callable[[], int]) -> bool:
        """Whether it covers the log."""
        return self.position >= size()

    def wait_for_room(self) -> bool:
        """There is always room."""
        return True

    def fail(self, error: ChopmarkError) -> None:
        """It could not be filled."""
        raise error

    def put_many(self, start: int, digests: Sequence[bytes | None]) -> None:
        """Add digests; now and then all is flushed."""
        self._tail += [(digest[:8], i) for i, digest in enumerate(digests, start) if digest]
        self.position = start + len(digests)
        if self._random.random() < 0.3:
            self._flush()

    def find(self, digest: bytes, below: int = MAX_INT, limit: int = MAX_FOUND) -> list[int]:
        """Flushed entries, and those that are not."""
        prefix = digest[:8]
        found = {i for i in self._kept.entries.get(prefix, ()) if i < below}
        found.update(i for known, i in self._tail if known == prefix and i < below)
        return sorted(found)[-limit:]

    def all_words(self) -> Iterator[Keys]:
        """The words of all digests."""
        prefixes = [*self._kept.entries, *(prefix for prefix, _ in self._tail)]
        yield read_words(b"".join(prefix.ljust(32, b"\0") for prefix in prefixes))

    def close(self) -> None:
        """Flush."""
        self._flush()

    def _flush(self) -> None:
        for prefix, entry in self._tail:
            self._kept.entries.setdefault(prefix, []).append(entry)
        self._tail = []
        self._kept.position = self.position

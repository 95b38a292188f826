"""What a digest index consists of: sorted files, then parts in memory, then what still grows.

Every change puts a new view in place of the old one, so that a look-up, which takes the view once,
never sees half of a change. Parts that are not in use any more close themselves.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chopmark.ledger.chain import Span, remove
from chopmark.ledger.packed import Batch, read_batch
from chopmark.ledger.run import Run
from chopmark.ledger.tail import Tail

Part = Run | Tail


@dataclass(frozen=True, slots=True)
class View:
    """All parts at one time.

    Attributes:
        parts: in the order of their entries; these grow no more.
        tail: what grows, after them.
        whole: whether it covers all that was ever put in.
    """

    parts: tuple[Part, ...]
    tail: Tail
    whole: bool = False

    @property
    def end(self) -> int:
        """Entries [0, end) are covered."""
        return self.tail.end

    @property
    def runs(self) -> list[Run]:
        """The files."""
        return [part for part in self.parts if isinstance(part, Run)]

    @property
    def tails(self) -> list[Tail]:
        """The parts in memory that can be written into files."""
        return [part for part in self.parts if isinstance(part, Tail)]

    @property
    def spans(self) -> list[Span]:
        """What each file covers."""
        return [(run.start, run.end) for run in self.runs]


class Parts:
    """The newest view, and every way to change it. Any thread may call any method.

    Attributes:
        changed: held while the view is changed, and notified afterwards.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.changed = threading.Condition()
        self.view = View(tuple(runs), Tail(runs[-1].end if runs else 0))

    def add(self, start: int, digests: Sequence[bytes | None], room: int) -> bool:
        """Add digests that follow on, or overlap; false if they do not, or there is no room.

        Args:
            start: entry of the first one.
            digests: None for an entry without one.
            room: parts in memory that may wait to be written.
        """
        end = start + len(digests)
        with self.changed:
            if end <= self.view.end:
                return True
            if start > self.view.end or len(self.view.tails) >= room:
                self.view = replace(self.view, whole=False)
                return False
            self._add(read_batch(start, digests), end)
            return True

    def seal(self) -> None:
        """Let what grows be written, if there is anything."""
        with self.changed:
            if self.view.tail.start < self.view.end:
                self._seal()

    def declare_whole(self, size: Callable[[], int]) -> bool:
        """Let look-ups be answered if all entries of a log are covered; asks for its size."""
        with self.changed:
            if self.view.end >= size():
                self.view = replace(self.view, whole=True)
            return self.view.whole

    def swap(self, old: Sequence[Part], new: Run) -> None:
        """Put a file in the place of the parts that it holds, unless they were forgotten."""
        with self.changed:
            parts = self.view.parts
            first = parts.index(old[0]) if old[0] in parts else 0
            if parts[first : first + len(old)] != tuple(old):
                remove([new.path])
                return
            merged = (*parts[:first], new, *parts[first + len(old) :])
            self.view = replace(self.view, parts=merged)
            self.changed.notify_all()
            remove([part.path for part in old if isinstance(part, Run)])

    def forget(self, part: Part) -> bool:
        """Drop a part and all after it; false if it is not there any more."""
        with self.changed:
            parts = self.view.parts
            if part not in parts:
                return False
            kept = parts[: parts.index(part)]
            remove([one.path for one in parts[len(kept) :] if isinstance(one, Run)])
            self.view = View(kept, Tail(part.start))
            self.changed.notify_all()
            return True

    def clear(self) -> None:
        """Close the files."""
        with self.changed:
            self.view = View((), Tail(self.view.end))

    def _add(self, batch: Batch, end: int) -> None:
        done = int(np.searchsorted(batch.entries, np.uint64(self.view.end)))
        while self.view.end < end:
            rest = Batch(batch.words[done:], batch.entries[done:])
            done += self.view.tail.add(rest, end)
            if self.view.tail.is_full:
                self._seal()

    def _seal(self) -> None:
        view = self.view
        self.view = View((*view.parts, view.tail), Tail(view.end), view.whole)
        self.changed.notify_all()

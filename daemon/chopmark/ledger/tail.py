"""The part of the digest index that is in memory only: look-ups cover it as it grows."""

from typing import Final

import numpy as np

from chopmark.ledger.packed import SPAN, Batch, Keys, newest

CHUNK: Final = 65_536
"""Keys of one tail (512 kB)."""
UNSORTED: Final = 1024
"""Keys that a look-up goes through one by one before it sorts them."""


class Tail:
    """Digests of the entries [start, end). One thread adds, others may look meanwhile."""

    __slots__ = ("_keys", "_sorted", "count", "end", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self.count = 0
        self._keys = np.empty(CHUNK, np.uint64)
        self._sorted = (self._keys[:0].data, 0)

    @property
    def is_full(self) -> bool:
        """Whether no more goes in."""
        return self.count == CHUNK or self.end - self.start == SPAN

    def add(self, batch: Batch, end: int) -> int:
        """Add what goes in, of a batch that ends before entry `end`; tells how many it took."""
        entries = batch.entries[: CHUNK - self.count]
        taken = int(np.searchsorted(entries, np.uint64(self.start + SPAN)))
        places = entries[:taken] - np.uint64(self.start)
        self._keys[self.count : self.count + taken] = batch.words[:taken] | places
        self.count += taken  # after the keys: somebody may be looking
        reached = int(batch.entries[taken]) if taken < len(batch.entries) else end
        self.end = min(reached, self.start + SPAN)
        return taken

    def find(self, word: int, below: int, limit: int) -> list[int]:
        """The newest entries of a word, ascending; see `packed.newest`."""
        ordered, known = self._sorted
        count = self.count
        # Whoever looks pays for sorting, and only once there is enough to make it worth while.
        if count - known > max(UNSORTED, known // 8):
            ordered, known = self._sorted = (np.sort(self._keys[:count]).data, count)
        top = min(below - self.start, SPAN)
        found = newest(ordered, word, top, limit)
        if count > known:
            rest = self._keys[known:count]
            fresh = rest[(rest >= np.uint64(word)) & (rest <= np.uint64(word + top - 1))]
            found += (fresh - np.uint64(word)).tolist()
        return [self.start + place for place in found[-limit:]]

    def keys(self, start: int) -> Keys:
        """All keys, in no order, as a run that begins at `start` counts them."""
        return self._keys[: self.count] + np.uint64(self.start - start)

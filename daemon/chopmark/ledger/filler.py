"""Brings a digest index up to its log, from the entries, while everything else goes on."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from chopmark.core.errors import ChopmarkError
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.reader import Reader

CHUNK: Final = 4096
"""Entries read at once."""
SHORT: Final = 16_384
"""Entries (some 10 ms) for which it is not worth while to start without them."""
LOG: Final = logging.getLogger("chopmark.ledger")


class Filler:
    """Fills one index. A thread runs while there is something to fill."""

    def __init__(self, path: Path, index: DigestIndex, size: Callable[[], int]) -> None:
        """Set up; `begin` starts.

        Args:
            path: database of the log.
            index: its index.
            size: entries that are durable in it.
        """
        self._path = path
        self._index = index
        self._size = size
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._running = False

    def begin(self, reader: Reader) -> None:
        """At start: see whether it is this log's index, and fill it if little is missing."""
        self._index.on_behind = self.start
        self._index.check(self._size(), lambda n: reader.digests(n, n + 1)[0])
        if self._size() - self._index.position <= SHORT:
            self._fill(reader)
        else:
            self._index.goal = self._size()
            LOG.info("the digest index of %s is being rebuilt", self._path)
            self.start()

    def start(self) -> None:
        """Fill it in the background, if nobody does so already."""
        with self._lock:
            if not self._running:
                self._running = True
                self._thread = threading.Thread(target=self._run, name="index-fill", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Wait until it has stopped; the index must be closed, which makes it stop."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            with closing(Reader(self._path)) as reader:
                while not self._is_done(reader):
                    pass
        except ChopmarkError as error:
            LOG.error("the digest index of %s cannot be filled: %s", self._path, error)  # noqa: TRY400 - a sentence says more
            self._index.fail(error)

    def _is_done(self, reader: Reader) -> bool:
        is_closing = not self._fill(reader)
        with self._lock:
            # Entries may have been left out again just now: then nobody else fills it.
            if self._index.is_whole or is_closing:
                self._running = False
            return not self._running

    def _fill(self, reader: Reader) -> bool:
        """Put in what is missing, until nothing is; false if the index is being closed."""
        index = self._index
        while not index.settle(self._size):
            if not index.wait_for_room():
                return False
            start = index.position
            end = min(start + CHUNK, self._size())
            if start < end:
                index.put_many(start, reader.digests(start, end))
        return True

"""The digest index: from a SHA-256 digest to the entries that name it.

Derived data: it may lag, be lost and be rebuilt from the entries. Rules:

1. Entries go in in order, without a gap. What is offered too early is left out, and whoever wants
   to have everything in offers it again (`ledger.filler`).
2. A part in memory counts until the file that takes its place is safe on the disk, and files that
   were merged until the merged one is. After a crash the index is what its files say.
3. Neither the disk nor damage holds up who puts entries in: memory is bounded, and where it is
   full, or a file proves damaged, the index leaves out what comes after, and is filled again.
4. Until it covers everything, `find` answers that it cannot answer.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.core.text import MAX_INT
from chopmark.ledger.chain import choose_merge, open_chain, remove
from chopmark.ledger.packed import PLACE, SPAN, Keys, read_word
from chopmark.ledger.parts import Part, Parts
from chopmark.ledger.run import DamagedRunError, Run, merge_runs, write_run
from chopmark.ledger.tail import Tail

MAX_FOUND: Final = 256
"""Entries of one digest that one look-up gives."""
MAX_TAILS: Final = 16
"""Parts in memory (8 MB, a million digests) before what comes is left out."""
GROUP: Final = 4
"""Parts in memory that go into one file."""
RETRY: Final = 1.0
"""Seconds between attempts to write the index."""
AGAIN: Final = 2
"""Seconds after which to ask again while the index is being rebuilt."""
LOG: Final = logging.getLogger("chopmark.ledger")


class _ClosingError(Exception):
    """A merge is given up: it can be done after the next start."""


class DigestIndex:
    """Where a digest occurs. Any thread may call any method.

    Attributes:
        on_behind: called whenever entries were left out, and it must be filled again.
        goal: entries that there are to cover, for people to see how far it is.
        problem: why it cannot be filled, if so.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create the index in a folder; files that are damaged are removed.

        It answers nothing until it is told to be whole (`settle`).

        Raises:
            InternalError: `damaged-index` if the folder cannot be used at all.
        """
        self.folder = folder
        self.on_behind: Callable[[], None] = lambda: None
        self.goal = 0
        self._parts = Parts(_open(folder))
        self.problem: ChopmarkError | None = None
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """Entries [0, position) are in the index, durable or not."""
        return self._parts.view.end

    @property
    def is_whole(self) -> bool:
        """Whether `find` answers."""
        return self._parts.view.whole

    def put_many(self, start: int, digests: Sequence[bytes | None]) -> None:
        """Add the digests of the entries from `start` on; None for entries without one.

        Never waits. What is in already is passed over. If entries before `start` are missing, or
        there is no room, nothing is added, `find` says so, and `on_behind` is called.
        """
        if not self._parts.add(start, digests, MAX_TAILS):
            self.on_behind()

    def find(self, digest: bytes, below: int = MAX_INT, limit: int = MAX_FOUND) -> list[int]:
        """Entries that may name this digest, ascending; the caller compares the whole digest.

        Args:
            digest: 32 bytes.
            below: only entries with a smaller index.
            limit: at most so many, the newest: whoever attests one digest a million times must
                not make looking for it slow.

        Raises:
            TryAgainError: `index-rebuilding` while it does not cover everything.
            ChopmarkError: what `fail` was told.
        """
        view = self._parts.view
        if not view.whole:
            raise self._not_whole()
        word = read_word(digest)
        found: list[int] = []
        for part in (view.tail, *reversed(view.parts)):
            if part.start < below and len(found) < limit:
                found[:0] = self._look(part, word, below, limit - len(found))
        return found

    def all_words(self) -> Iterator[Keys]:
        """The words of all digests that are in, some at a time, in no order.

        Raises:
            OSError, DamagedRunError: look-ups that come upon the damage see to it.
        """
        view = self._parts.view
        for part in (*view.parts, view.tail):
            keys = part.all_keys() if isinstance(part, Run) else iter([part.keys(part.start)])
            yield from (some & ~PLACE for some in keys)

    def wait_for_room(self) -> bool:
        """Wait until `put_many` takes more; false when the index is being closed."""
        changed = self._parts.changed
        with changed:
            changed.wait_for(lambda: self._closing or len(self._parts.view.tails) < MAX_TAILS)
            return not self._closing

    def settle(self, size: Callable[[], int]) -> bool:
        """Answer from now on, if the index covers the log; tells whether it does.

        Args:
            size: entries that the log has. Whoever appends to it first lets its size be known, and
                then puts the entries in: asked while nobody can, it misses none that was left out.
        """
        self.goal = size()
        if not self._parts.declare_whole(size):
            return False
        self.problem = None
        return True

    def fail(self, error: ChopmarkError) -> None:
        """It cannot be filled: `find` says why."""
        self.problem = error

    def check(self, size: int, digest_of: Callable[[int], bytes | None]) -> None:
        """Begin anew if this is another log's index: a few keys of each file are looked at.

        Args:
            size: entries that the log has.
            digest_of: digest of one of its entries.
        """
        for run in self._parts.view.runs:
            try:
                good = run.end <= size and _is_of(run, digest_of)
            except (OSError, DamagedRunError) as error:
                self._forget(error, run)
                return
            if not good:
                self._forget(RuntimeError("it is of another ledger"), self._parts.view.runs[0])
                return

    def close(self) -> None:
        """Write what is in memory, and close."""
        with self._parts.changed:
            self._closing = True
            self._parts.changed.notify_all()
        self._thread.join()
        self._parts.clear()

    def _look(self, part: Part, word: int, below: int, limit: int) -> list[int]:
        try:
            return part.find(word, below, limit)
        except (OSError, DamagedRunError) as error:
            self._forget(error, part)
            raise self._not_whole() from error

    def _not_whole(self) -> ChopmarkError:
        problem = self.problem
        if problem is not None:
            return type(problem)(problem.code, problem.message, hint=problem.hint)
        done, goal = self.position, max(self.goal, self.position, 1)
        message = f"the digest index {self.folder.name} is being rebuilt from the entries"
        hint = f"{done:,} of {goal:,} entries are done ({100 * done // goal} %): ask again"
        return TryAgainError("index-rebuilding", message, hint=hint, retry_after=AGAIN)

    def _forget(self, error: Exception, part: Part) -> bool:
        """Go on from before a damaged part; false if that was done already."""
        if not self._parts.forget(part):
            return False
        LOG.warning("the digest index %s is damaged, and is rebuilt: %s", self.folder, error)
        self.on_behind()
        return True

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._flush()
                self._merge()
            except _ClosingError:
                continue
            except (OSError, DamagedRunError) as error:
                if isinstance(error, DamagedRunError) and self._forget(error, error.run):
                    continue
                if self._is_given_up(error):
                    return
            else:
                self._failing = False

    def _wait_for_work(self) -> bool:
        """Wait for something to write; false once all is written and the index is being closed."""
        with self._parts.changed:
            self._parts.changed.wait_for(self._has_work)
        if self._closing:
            self._parts.seal()
        return not self._closing or bool(self._parts.view.tails)

    def _has_work(self) -> bool:
        view = self._parts.view
        return self._closing or bool(view.tails) or choose_merge(view.spans) is not None

    def _flush(self) -> None:
        """Write what is full into files."""
        while tails := _group(self._parts.view.tails):
            start, end = tails[0].start, tails[-1].end
            keys = np.concatenate([tail.keys(start) for tail in tails])
            keys.sort()
            self._parts.swap(tails, write_run(self.folder, start, end, [keys]))

    def _merge(self) -> None:
        """Merge files of like size, so that a look-up has few to look at."""
        while (chosen := choose_merge(self._parts.view.spans)) is not None:
            runs = self._parts.view.runs[chosen]
            self._parts.swap(runs, merge_runs(self.folder, runs, self._between_slices))

    def _between_slices(self) -> None:
        """While much is being merged: write what has come meanwhile, or give up."""
        if self._closing:
            raise _ClosingError
        self._flush()

    def _is_given_up(self, error: Exception) -> bool:
        """Wait before the next attempt: the disk may be full. Nobody waits when closing."""
        if not self._failing:
            LOG.warning("the digest index %s cannot be written: %s", self.folder, error)
        self._failing = True  # says so once, until it goes well again
        with self._parts.changed:
            return self._parts.changed.wait_for(lambda: self._closing, RETRY)


def _open(folder: Path) -> list[Run]:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        runs, left, problem = open_chain(folder)
    except OSError as error:
        message = f"the digest index {folder} cannot be used: {error}"
        hint = "remove the folder and start again: it is rebuilt from the entries"
        raise InternalError("damaged-index", message, hint=hint) from error
    if problem is not None:
        LOG.warning("the digest index %s is damaged, and is rebuilt: %s", folder, problem)
    remove(left)
    return runs


def _group(tails: Sequence[Tail]) -> Sequence[Tail]:
    """The first ones, as many as go into one file."""
    return [tail for tail in tails[:GROUP] if tail.end - tails[0].start <= SPAN]


def _is_of(run: Run, digest_of: Callable[[int], bytes | None]) -> bool:
    """Whether a file's first keys say what the entries do."""
    for key in run.keys(0, 1)[::100].tolist() if run.count else ():
        try:
            digest = digest_of(run.start + key % SPAN)
        except ChopmarkError:
            continue  # the ledger's own damage, which others see to
        if digest is None or read_word(digest) != key - key % SPAN:
            return False
    return True

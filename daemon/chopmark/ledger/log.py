"""One log as the rest of the gateway sees it: writer, reader and digest index together."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import Columns
from chopmark.core.errors import InternalError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.ledger.beside import NOTHING, Beside
from chopmark.ledger.duplicates import Duplicates
from chopmark.ledger.filler import Filler
from chopmark.ledger.index import MAX_FOUND, RETRY, DigestIndex
from chopmark.ledger.pruning import PREFIX, PrunedError
from chopmark.ledger.reader import Reader
from chopmark.ledger.run import DamagedRunError
from chopmark.ledger.seeds import Sealed
from chopmark.ledger.sieve import Sieve
from chopmark.ledger.store import LogState, Store, keys_of
from chopmark.ledger.summary import summarise
from chopmark.ledger.worker import Worker

T = TypeVar("T")

Check = Callable[[VerifierKey, VerifierKey], None]
"""Raises if the log key and cosigner key that a database was made for are not those it should be
for; nothing has been written to it then."""

MAX_GRAVES: Final = 16
"""Grave revocations of one digest that one look-up gives: each says the same."""

MAX_PAGES: Final = 16
"""Times that the index is asked for more where digests share their first bytes on purpose."""


class Log:
    """One log's files. Methods are safe to call from any task; writes are serialised.

    Reads see signed entries only: those below `state.head.size`.
    """

    def __init__(
        self,
        path: Path,
        index_path: Path,
        reading: Worker,
        open_index: Callable[[Path], DigestIndex] = DigestIndex,
        check: Check = lambda *_: None,
    ) -> None:
        """Open the files; `open_log` does it off the event loop."""
        with ExitStack() as undo:
            self._reader = Reader(path)
            undo.callback(self._reader.close)
            check(*self._reader.look(keys_of))
            self._store = Store(path)
            undo.callback(self._store.close)
            self._index = open_index(index_path)
            self._filler = Filler(path, self._index, lambda: self._store.size)
            undo.callback(self._close_index)
            self._filler.begin(self._reader)
            undo.pop_all()
        self._beside_writer: Reader | None = None
        self._writing = Worker(f"write-{path.stem}")
        self._reading = reading
        self._moved = asyncio.Event()
        self._unknown: InternalError | None = None
        self._doubted = asyncio.Event()

    @property
    def state(self) -> LogState:
        """The newest durable state."""
        return self._store.state

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.state.head.origin

    @property
    def path(self) -> Path:
        """The database."""
        return self._store.path

    @property
    def signed_size(self) -> int:
        """Size of the newest signed head."""
        return self.state.head.size

    @property
    def head_note(self) -> bytes | None:
        """The note of that head; None before the first."""
        return self.state.note

    @property
    def seen_notes(self) -> list[bytes]:
        """The newest witnessed head: who asks may find its own cosignature there."""
        return [self.state.witnessed_note] if self.state.witnessed_note else []

    @property
    def index(self) -> DigestIndex:
        """The digest index, to see how far it has come."""
        return self._index

    def open_seeds(self, opener: Callable[[Sealed], bytes]) -> None:
        """Let proofs of blinded entries be made, with what opens their seeds."""
        self._reader.open_seed = opener

    async def package(self, start: int) -> tuple[bytes, int]:
        """The package of signed entries from `start` on, and the index after its last entry.

        Raises:
            MissingError: `not-signed` if no signed entry is there.
        """
        package, count = await self.read(lambda reader, state: reader.package(start, state))
        return package.encode(), start + count

    async def write(self, call: Callable[[Store], T]) -> T:
        """Run a call on the writer's thread.

        Raises:
            InternalError: `commit-unknown`; `watch` ends then, too, for the process must.
        """
        signed = self.signed_size
        try:
            return await self._writing.run(call, self._store)
        except InternalError as error:
            if error.code == "commit-unknown":
                self._unknown = error
                self._doubted.set()
            raise
        finally:
            if self.signed_size != signed:
                self._moved.set()
                self._moved = asyncio.Event()

    async def watch(self) -> NoReturn:
        """Run until a write has failed so that nobody knows what the disk holds.

        Raises:
            InternalError: what that write raised, whoever asked for it.
        """
        await self._doubted.wait()
        raise self._unknown or InternalError("commit-unknown", f"a commit to {self.path} failed")

    async def grown(self, size: int) -> None:
        """Return once the newest signed head covers more than `size` entries."""
        while self.signed_size <= size:
            await self._moved.wait()

    async def read(self, call: Callable[[Reader, LogState], T]) -> T:
        """Run a call on the readers' thread, with the newest durable state."""
        return await self._reading.run(lambda: call(self._reader, self.state))

    def read_now(self, call: Callable[[Reader, LogState], T]) -> T:
        """As `read`, for callers that run on the readers' thread already."""
        return call(self._reader, self.state)

    def append_now(
        self,
        runs: Sequence[Columns],
        leaves: Sequence[bytes] | None = None,
        head: tuple[Checkpoint, bytes] | None = None,
        beside: Beside = NOTHING,
    ) -> Checkpoint:
        """See `Store.append`; the digest index follows. Call it on the writer's thread."""
        start = self._store.size
        reached, digests = self._store.append(runs, leaves, head, beside)
        self._index.put_many(start, digests)
        return reached

    @cached_property
    def duplicates(self) -> Duplicates:
        """Where what was attested before is found; for the writer's thread, and our own log."""
        self._beside_writer = Reader(self.path)
        return Duplicates(self._index, self._beside_writer)

    @cached_property
    def sieve(self) -> Sieve:
        """Which digests may have been attested before; for our own log."""
        return Sieve()

    async def load_sieve(self) -> None:
        """Have the sieve know what was attested before now, as soon as the index does."""
        while True:
            # Damage is seen to by whoever looks a digest up; and there may be too much to do.
            with suppress(OSError, DamagedRunError, TryAgainError):
                if await self._reading.run(self._load_sieve):
                    return
            await asyncio.sleep(RETRY)

    def _load_sieve(self) -> bool:
        if self._index.is_whole:
            self.sieve.load(self._index.all_words())
        return self.sieve.loaded

    def find(self, digest: bytes) -> list[tuple[int, bytes | None]]:
        """Signed entries that name this SHA-256, newest first. Call it on the readers' thread.

        Of one whose body was pruned there is None: eight bytes of its digest are this one's.

        Of very many the newest are given, and with them those that were gravely revoked: these
        win over the others, and no number of newer attestations may hide one.

        Raises:
            TryAgainError: `index-rebuilding` while the index does not cover the log.
        """
        size = self.state.head.size
        if not size:
            return []
        graves = self._reader.graves(digest, size, MAX_GRAVES)
        found = dict(self._matches(digest, graves))
        below = size
        for _ in range(MAX_PAGES):  # the index knows five bytes of a digest only
            page = self._index.find(digest, below)
            found.update(self._matches(digest, page))
            if len(page) < MAX_FOUND or len(found) >= MAX_FOUND:
                break
            below = page[0]
        return sorted(found.items(), key=lambda one: one[0], reverse=True)

    def find_below(
        self, digest: bytes, below: int, limit: int
    ) -> tuple[list[tuple[int, bytes | None]], int]:
        """Signed entries below an index that name this SHA-256, newest first, at most `limit`.

        Gives them as `find` does, and the index below which nothing was looked at: 0 if nothing is
        left. Call it on the readers' thread.

        Raises:
            TryAgainError: `index-rebuilding`.
        """
        below = min(below, self.state.head.size)
        known = self._index.find(digest, below, limit) if below else []
        found = sorted(self._matches(digest, known), key=lambda one: one[0], reverse=True)
        return found, known[0] if len(known) >= limit else 0

    def _matches(self, digest: bytes, known: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
        for index in known:
            try:
                entry = self._reader.entry(index)
            except PrunedError as error:
                if error.prefix == digest[:PREFIX]:
                    yield index, None
            else:
                if summarise(entry).sha256 == digest:
                    yield index, entry

    async def close(self) -> None:
        """Finish what was begun, and close the files, each on the thread that uses it."""
        await self._reading.run(self._reader.close)
        await self._writing.run(self._close_index)
        if self._beside_writer is not None:
            await self._writing.run(self._beside_writer.close)
        await self._writing.run(self._store.close)  # the last to close writes the log back
        self._writing.close()

    def _close_index(self) -> None:
        self._index.close()
        self._filler.close()


async def open_log(
    path: Path,
    index_path: Path,
    reading: Worker,
    open_index: Callable[[Path], DigestIndex] = DigestIndex,
    check: Check = lambda *_: None,
) -> Log:
    """Open a log off the event loop.

    Args:
        path: its database.
        index_path: its digest index.
        reading: where it is opened, and read from then on.
        open_index: opens or makes the index.
        check: sees the keys that the database was made for before anything is written.

    Raises:
        MissingError, ConfigurationError, InternalError: what `connect`, `Store` and `check` raise.
    """
    return await reading.run(Log, path, index_path, reading, open_index, check)

"""Our own log: takes what arrives, appends it, has the head signed, and says so.

The commit order, never another: 1 append entries and tree, durable; 2 sign the head; 3 move the
head, durable; 4 answer and publish. Two tasks do it: while the HSM signs one head, the next batch
is appended, so a slow HSM makes larger batches and an idle gateway answers at once. Start-up runs
the same steps on what is stored: what was appended but not signed is signed then.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np

from chopmark.core.blinding import whole_minute
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import Columns, frame_entries, make_columns
from chopmark.core.draft import PLAINLY, Asking, Draft, Drafts, Recorded
from chopmark.core.entry import Adoption, Commitment, Revocation, encode_entry
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError
from chopmark.core.merkle import HASH
from chopmark.core.note import Note
from chopmark.core.ports import Clock, Signer
from chopmark.ledger.beside import Beside
from chopmark.ledger.idempotency import forget_some, has_old
from chopmark.ledger.known import Fresh, leave_out, pick
from chopmark.ledger.log import Log
from chopmark.ledger.packed import read_words
from chopmark.ledger.requests import Claim, Part
from chopmark.ledger.seeds import KeptSeed, Sealed
from chopmark.ledger.sieve import Sieve
from chopmark.ledger.store import Store
from chopmark.ledger.waits import Waits

MAX_INTAKE: Final = 65_536
"""Entries waiting to be appended; beyond that callers are told to come back."""
MAX_BATCH: Final = 16_384
"""Entries in one transaction: some 2 MB, 30 ms of work, so that nobody waits long behind it."""
RETRY: Final = 1.0
"""Seconds between attempts to sign while the HSM is away."""
FORGET: Final = 60.0
"""Seconds between looks for idempotency keys that are over."""

Make = Callable[[int], Adoption | Commitment]
"""Makes an entry of the time at which it is made."""
Item = Draft | Drafts | tuple[int, int] | Make
"""An attestation to make, or many; a revocation as (target, reason); or what makes an entry."""
_DRAFTS: Final = (Draft, Drafts)


@dataclass(slots=True)
class _Run:
    """What one caller submitted; `done` is resolved once it is durable."""

    items: Sequence[Item]
    done: asyncio.Future[Recorded]
    claim: Claim | None = None
    sealed: Sealed | None = None
    asking: Asking = PLAINLY
    begun: bool = False
    count: int = field(init=False)
    """Entries."""
    arrived: float = field(init=False)
    """When, by the loop's clock."""

    def __post_init__(self) -> None:
        self.arrived = self.done.get_loop().time()
        self.count = sum([len(item) if isinstance(item, _DRAFTS) else 1 for item in self.items])


@dataclass(slots=True)
class Counters:
    """What the sequencer has done since it started."""

    entries: int = 0
    appends: int = 0
    heads: int = 0


@dataclass(slots=True)
class _Intake:
    """What waits to be appended, bounded by the number of entries."""

    runs: deque[_Run] = field(default_factory=deque)
    entries: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def put(self, run: _Run) -> None:
        if self.closed:
            raise TryAgainError("not-recorded", "the gateway is stopping", retry_after=5)
        if self.entries + run.count > MAX_INTAKE:
            message = "too many attestations are waiting to be recorded"
            raise TryAgainError("queue-full", message, hint="send less at once", retry_after=1)
        self.runs.append(run)
        self.entries += run.count
        self.arrived.set()

    def take(self) -> list[_Run]:
        """All that has arrived, up to a batch; runs that were given up are left out."""
        batch: list[_Run] = []
        count = 0
        while self.runs and (not batch or count + self.runs[0].count <= MAX_BATCH):
            run = self.runs.popleft()
            self.entries -= run.count
            if not run.done.done():
                run.begun = True
                batch.append(run)
                count += run.count
        if not self.runs:
            self.arrived.clear()
        return batch

    def close(self) -> None:
        """Take nothing more, and tell those who wait."""
        self.closed = True
        for run in self.runs:
            _fail(run, TryAgainError("not-recorded", "the gateway is stopping", retry_after=5))
        self.runs.clear()


class Sequencer:
    """The one writer of our log."""

    def __init__(self, log: Log, signer: Signer, clock: Clock) -> None:
        self._log = log
        self._sieve = log.sieve
        self._signer = signer
        self._clock = clock
        self._intake = _Intake()
        self._unsigned = asyncio.Event()
        self._moved = asyncio.Event()
        self._stalled: TryAgainError | None = None
        self._reached = log.state.head
        self.counters = Counters()
        self.waits = Waits()
        self.on_head: Callable[[], None] = lambda: None
        self.room: Callable[[], Awaitable[None]] = _no_wait
        self.refuse: Callable[[int], ChopmarkError | None] = lambda _waiting: None
        self.permitted: Callable[[], Awaitable[None]] = _no_wait

    @property
    def waiting(self) -> int:
        """Entries that wait to be appended."""
        return self._intake.entries

    @property
    def stalled(self) -> str | None:
        """Why heads cannot be signed at present, or None."""
        return self._stalled.message if self._stalled else None

    async def run(self) -> None:
        """Serve for ever; any error that ends it must end the process."""
        try:
            self._reached = await self._log.write(_reach)
            self._unsigned.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._append_all(), name="sequencer-append")
                tasks.create_task(self._sign_all(), name="sequencer-sign")
                tasks.create_task(self._log.load_sieve(), name="sequencer-sieve")
                tasks.create_task(self._forget_keys(), name="sequencer-keys")
        finally:
            self._intake.close()

    async def record(
        self,
        items: Sequence[Item],
        seconds: float,
        claim: Claim | None = None,
        sealed: Sealed | None = None,
        asking: Asking = PLAINLY,
    ) -> Recorded:
        """Append entries as one run; durable once this returns.

        What is known already, by its idempotency key or as a duplicate, is not appended again.

        Args:
            items: what to make entries of; drafts that are blinded hold no bare digests any more.
            seconds: to wait for the disk; see `_give_up`.
            claim: the part of a request that they are, if it may be resumed.
            sealed: the seed of those that are blinded.
            asking: for whom, and how.

        Raises:
            TryAgainError: `not-recorded`, `queue-full`, `too-many-keys`, what `refuse` gives, or
                what keeps heads from being signed; then nothing was recorded.
            RefusedError, MalformedError: an item cannot be made an entry; nothing was recorded.
            RefusedError: `request-moved` if the claim does not follow what is recorded.
        """
        if self._stalled is not None:
            raise _again(self._stalled)
        run = _Run(items, asyncio.get_running_loop().create_future(), claim, sealed, asking)
        if (refusal := self.refuse(self.waiting + run.count)) is not None:
            raise refusal
        if run.count > MAX_BATCH:
            raise RefusedError("too-many", f"at most {MAX_BATCH} entries go into one run")
        self._intake.put(run)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(run.done)
        except TimeoutError:
            return await self._give_up(run)
        except asyncio.CancelledError:
            if not run.begun:
                run.done.cancel()
            raise

    async def wait_signed(self, index: int, seconds: float) -> bool:
        """Wait until a signed head covers an index; false if time ran out first."""
        return await self._wait_until(lambda: self._log.state.head.size > index, seconds)

    async def wait_first_head(self, seconds: float) -> bool:
        """Wait until there is a signed head at all, if only of the empty log."""
        return await self._wait_until(lambda: self._log.state.note is not None, seconds)

    async def _wait_until(self, reached: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _give_up(self, run: _Run) -> Recorded:
        """The deadline has passed: take back what has not begun, wait for what has."""
        if run.begun:
            return await run.done
        run.done.cancel()
        message = "the deadline passed before the attestation was recorded"
        raise TryAgainError("not-recorded", message, hint="send it again", retry_after=1)

    async def _forget_keys(self) -> None:
        """Remove idempotency keys that are over, some at a time, beside everything else."""
        while True:
            with suppress(TryAgainError):  # the disk is full, or there is too much to do
                while await self._log.read(lambda reader, _: reader.look(self._have_old_keys)):
                    await self._log.write(lambda store: store.change(self._forget_some_keys))
            await asyncio.sleep(FORGET)

    def _have_old_keys(self, db: sqlite3.Connection) -> bool:
        return has_old(db, self._clock.now_ms())

    def _forget_some_keys(self, db: sqlite3.Connection) -> None:
        forget_some(db, self._clock.now_ms())

    async def _append_all(self) -> None:
        while True:
            await self._intake.arrived.wait()
            await self.room()  # peers may be too far behind: meanwhile the intake fills up
            batch = self._intake.take()
            if batch:
                await _finish(self._append(batch))

    async def _append(self, batch: Sequence[_Run]) -> None:
        made_at = self._clock.now_ms()
        try:
            results, reached = await self._log.write(
                lambda store: self._append_now(store, batch, made_at)
            )
        except ChopmarkError as error:
            for run in batch:
                _fail(run, error)
            if isinstance(error, TryAgainError):
                return
            raise
        self._reached = reached
        self.waits.appended(batch[0].arrived)  # runs are taken in the order in which they came
        self.counters.appends += 1
        self._unsigned.set()
        for run, result in zip(batch, results, strict=True):
            self._answer(run, result)

    def _append_now(
        self, store: Store, batch: Sequence[_Run], now: int
    ) -> tuple[list[Recorded | ChopmarkError], Checkpoint]:
        """On the writer's thread: append what can be made entries, in one transaction."""
        now = max(now, store.state.made_last)
        making = _Making(store, now, Fresh(store, self._log.duplicates, now))
        suspects = _suspects(self._sieve, batch)
        results = [making.add(run, some) for run, some in zip(batch, suspects, strict=True)]
        beside = making.beside()
        if not making.runs and not beside.records:
            return results, _reach(store)
        return results, self._log.append_now(making.runs, beside=beside)

    def _answer(self, run: _Run, result: Recorded | ChopmarkError) -> None:
        if isinstance(result, ChopmarkError):
            _fail(run, result)
            return
        self.counters.entries += result.count
        if not run.done.done():
            run.done.set_result(result)

    async def _sign_all(self) -> None:
        while True:
            await self._unsigned.wait()
            self._unsigned.clear()
            while self._log.state.note is None or self._log.signed_size < self._reached.size:
                await self.permitted()
                await self._sign(self._reached)

    async def _sign(self, head: Checkpoint) -> None:
        since = self.waits.take()
        try:
            signature = await self._signer.sign_checkpoint(head)
            await self.permitted()  # what was signed while that ended is not shown to anybody
            note = Note(head.encode(), (signature,)).encode()
            # Entries may have been appended meanwhile: the head is of the tree as it was then.
            await self._log.write(lambda store: store.move_head(head, note))
        except TryAgainError as error:
            self._stalled = error
            if since is not None:
                self.waits.appended(since)
            await asyncio.sleep(RETRY)
            return
        self._stalled = None
        self.waits.signed(since, asyncio.get_running_loop().time())
        self.counters.heads += 1
        self._moved.set()
        self._moved = asyncio.Event()
        self.on_head()


@dataclass(slots=True)
class _Making:
    """The entries of one transaction, as they are made of what came."""

    store: Store
    made_at: int
    fresh: Fresh
    runs: list[Columns] = field(default_factory=list)
    count: int = 0
    parts: list[tuple[bytes, Part]] = field(default_factory=list)
    seeds: list[KeptSeed] = field(default_factory=list)
    clients: list[tuple[int, str]] = field(default_factory=list)

    def add(self, run: _Run, suspects: Sequence[int]) -> Recorded | ChopmarkError:
        """Make a run's entries; what cannot be made is refused, and disturbs no other.

        Args:
            run: what is asked for.
            suspects: places in it of what may have been attested before.
        """
        try:
            if run.claim is not None:
                self._check(run.claim)
            # A revocation is never turned away: for want of a key it might be made twice, or late.
            if run.asking.keys and not isinstance(run.items[0], tuple):
                self.fresh.check_room(run.asking.keys.values(), batch=run.asking.batch)
            made = _make_all(run.items, self.made_at)
        except ChopmarkError as error:
            return error
        recorded = self._look(run, suspects)
        self.runs += leave_out(made, recorded.known) if recorded.known else made
        self.count += recorded.count
        self._note(run, recorded)
        return recorded

    def beside(self) -> Beside:
        """What is written with them."""
        return Beside(self.parts, self.clients, self.fresh.records(), self.seeds)

    def _look(self, run: _Run, suspects: Sequence[int]) -> Recorded:
        start, made_at = self.store.size + self.count, _made_at(run.items, self.made_at)
        if not suspects and not run.asking.keys:
            return Recorded(start, run.count, made_at)
        drafts = pick(run.items, sorted({*suspects, *run.asking.keys}))
        known = self.fresh.look(drafts, run.asking, start, made_at)
        return Recorded(start, run.count - len(known), made_at, known)

    def _note(self, run: _Run, recorded: Recorded) -> None:
        """What is kept of a run beside its entries."""
        if run.claim is not None:
            part = Part(run.claim.first, recorded.start, run.count, recorded.made_at)
            self.parts.append((run.claim.request, part))
        if run.sealed is not None and recorded.count:
            # Salts go by place: who blinds a run with keys makes a run of each entry.
            self.seeds.append(KeptSeed(recorded.start, recorded.count, run.sealed))
        if recorded.count and isinstance(run.items[0], _DRAFTS):
            self.clients.append((recorded.start, run.asking.client))

    def _check(self, claim: Claim) -> None:
        """No digest of a request is recorded twice, though two connections send it at once."""
        made = [p.first + p.size for request, p in self.parts if request == claim.request]
        end = made[-1] if made else self.store.request_end(claim.request)
        if claim.first != end:
            message = f"{end} digests of this request are recorded, not {claim.first}"
            hint = "send the request again from there"
            raise RefusedError("request-moved", message, hint=hint)


def _suspects(sieve: Sieve, batch: Sequence[_Run]) -> list[Sequence[int]]:
    """Of each run the places of what may have been attested before, or comes twice."""
    digests = [_digests(run) for run in batch]
    may = np.flatnonzero(sieve.admit(read_words(b"".join(digests))))
    if not len(may):
        return [()] * len(batch)
    ends = np.cumsum([len(some) // HASH for some in digests])
    parts = np.split(may, np.searchsorted(may, ends[:-1]))
    starts = [0, *ends[:-1].tolist()]
    return [(part - start).tolist() for part, start in zip(parts, starts, strict=True)]


def _digests(run: _Run) -> bytes:
    """The digests of a run of attestations; none if they are not what they should be."""
    parts = [item.sha256 for item in run.items if isinstance(item, _DRAFTS)]
    joined = b"".join(parts)
    return joined if len(parts) == len(run.items) and len(joined) == HASH * run.count else b""


def _make_all(items: Sequence[Item], made_at: int) -> list[Columns]:
    """The entries; of drafts in a row, what they have in common is made once."""
    if len(items) == 1 and isinstance(first := items[0], _DRAFTS):  # as nearly every run is
        return [make_columns(first.columns(), _made_at(items, made_at))]
    made: list[Columns] = []
    for alike, group in groupby(items, _terms):
        if alike is None:
            entries = [_make(item, made_at) for item in group]
            made.append(frame_entries([encode_entry(entry) for entry in entries if entry]))
        else:
            drafts = [item for item in group if isinstance(item, _DRAFTS)]
            made.append(make_columns(_join(drafts), _made_at(drafts, made_at)))
    return made


def _made_at(items: Sequence[Item], now: int) -> int:
    """The time that all of these say, or those that are not blinded: blinded ones say the minute.

    So an entry may say an earlier time than the one before it, by less than a minute.
    """
    for item in items:
        if not isinstance(item, _DRAFTS) or not item.blinded:
            return now
    return whole_minute(now)


def _make(item: Item, made_at: int) -> Adoption | Commitment | Revocation | None:
    """An entry that is no attestation."""
    if isinstance(item, _DRAFTS):
        return None
    return Revocation(made_at, *item) if isinstance(item, tuple) else item(made_at)


def _terms(item: Item) -> tuple[object, ...] | None:
    """What an attestation says besides its digests; None for whatever else."""
    if not isinstance(item, _DRAFTS):
        return None
    names = tuple(name for name, _ in item.canonical)
    return item.kind, item.valid_until, item.supersedes, item.sm3 is None, item.blinded, names


def _join(drafts: Sequence[Draft | Drafts]) -> Drafts:
    """Drafts of the same terms in columns.

    Raises:
        MalformedError: `malformed-entry`.
    """
    first = drafts[0]
    if len(drafts) == 1 and isinstance(first, Drafts):
        return first
    columns = [draft.columns() for draft in drafts]
    sm3 = None if first.sm3 is None else b"".join(column.sm3 or b"" for column in columns)
    sha256 = b"".join(column.sha256 for column in columns)
    terms = first.kind, sm3, first.valid_until, first.supersedes, first.blinded
    canonical = tuple(
        (name, b"".join(column.canonical[place][1] for column in columns))
        for place, (name, _) in enumerate(first.canonical)
    )
    return Drafts(sha256, *terms, canonical=canonical)


async def _no_wait() -> None:
    """Room for ever."""


def _reach(store: Store) -> Checkpoint:
    return Checkpoint(store.state.head.origin, store.size, store.root())


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Do it to the end, though we be cancelled: those who wait for it must be told how it ended."""
    task = asyncio.create_task(work, name="sequencer-batch")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.result()
        raise


def _fail(run: _Run, error: ChopmarkError) -> None:
    if not run.done.done():
        run.done.set_exception(_again(error))
        run.done.exception()  # a caller that left does not fetch it, and that is no fault


def _again(error: ChopmarkError) -> ChopmarkError:
    """The same error for one more caller: a shared one would gather everybody's traceback."""
    return type(error)(error.code, error.message, hint=error.hint, retry_after=error.retry_after)

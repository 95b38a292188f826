"""A verified copy of a peer's log.

Rules:
1. Nothing unverified is stored: a package's entries must lie under a checkpoint that the peer's
   log key signed, and what comes before them must be what we hold.
2. The replica only grows, one bundle after the other; what is held already is not stored again.
3. Its head moves when the entries reach the size of a signed checkpoint, in the same transaction.
4. A signed head that contradicts what we hold stops the replica, for good: it is reported, kept
   as evidence, and never followed.
5. The as-of time is the newest time at which the peer's cosigner vouched for a head that we hold.
6. Every signed head that comes, from whatever side, is compared: at once, or once we hold as much.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.follow import Follower, Taken
from chopmark.core.member import Member
from chopmark.core.package import Package, parse_package
from chopmark.core.policy import Policy
from chopmark.core.ports import Clock
from chopmark.ledger.heads import Heads, Seen
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store

LOG: Final = logging.getLogger("chopmark.ledger")

CLOCK_SKEW: Final = 60
"""Seconds by which a peer's clock may be ahead of ours."""


@dataclass(slots=True)
class Counters:
    """What a replica has done since start."""

    entries: int = 0
    packages: int = 0
    duplicates: int = 0
    gaps: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Intake:
    """Packages that are being taken, in order: what each was good for, or why it was refused."""

    follower: Follower
    results: list[Taken | ChopmarkError] = field(default_factory=list)
    forked: bytes | None = None

    def take(self, payload: bytes) -> None:
        try:
            package = parse_package(payload)
            self.results.append(self._follow(package))
        except ChopmarkError as error:
            self.results.append(error)

    def _follow(self, package: Package) -> Taken:
        try:
            return self.follower.take(package)
        except RefusedError as error:
            if error.code == "fork":
                self.forked = package.note
            raise


class Replica:
    """The replica of one peer's log. Its methods are called on the event loop.

    Attributes:
        policy: whose cosignatures of its heads are known, and which of them are a quorum.
        on_announced: told each head that its owner announces.
        on_grown: called after entries may have been stored.
    """

    def __init__(self, member: Member, log: Log, clock: Clock) -> None:
        self.member = member
        self.log = log
        self.counters = Counters()
        self.problem: str | None = None
        self.conflict: str | None = None
        self.admit: Callable[[int], bool] = lambda _size: True
        self.policy = Policy((member.log_key,))
        self.on_announced: Callable[[SignedCheckpoint], None] = lambda _head: None
        self.on_grown: Callable[[], None] = _nothing
        self._clock = clock
        self._target = log.state.size
        self._heads = Heads()
        self._open = lru_cache(maxsize=64)(self._open_note)
        self._evidence = log.state.fork_note
        if self._evidence is not None:
            self.conflict = "a signed head that came before the last start contradicts it"

    @property
    def peer(self) -> str:
        """Member id of the peer."""
        return self.member.id

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.member.origin

    @property
    def size(self) -> int:
        """Entries that are stored."""
        return self.log.state.size

    @property
    def signed_size(self) -> int:
        """Size of the newest signed head whose entries are all here."""
        return self.log.signed_size

    @property
    def head_note(self) -> bytes | None:
        """The note of that head."""
        return self.log.head_note

    @property
    def seen_notes(self) -> list[bytes]:
        """The newest head seen above that one, and one that contradicts it."""
        above = self._heads.newest
        notes = (above.note if above else None, self._evidence)
        return [note for note in notes if note]

    async def package(self, start: int) -> tuple[bytes, int]:
        """See `Log.package`."""
        return await self.log.package(start)

    @property
    def frozen(self) -> bool:
        """Whether it is not followed any more, for good."""
        return self.conflict is not None

    @property
    def missing(self) -> int:
        """Entries that a signed head promises and that are not here yet."""
        return 0 if self.conflict else max(0, self._target - self.log.state.head.size)

    @property
    def paused(self) -> bool:
        """Whether nothing is taken in because the disk is nearly full."""
        return not self.admit(0)

    async def ingest(self, payloads: Sequence[bytes]) -> int:
        """Verify packages and store what is new, in one transaction for each signed head reached.

        Bad packages are counted, reported once, and change nothing. While `admit` says that there
        is no room nothing is looked at, and nothing added.

        Returns:
            Number of entries added.

        Raises:
            TryAgainError: `not-recorded` if the disk refused; the packages may be offered again.
        """
        if self.conflict is not None:
            await self._keep_evidence()
            return 0
        if not self.admit(sum(map(len, payloads))):  # catch-up brings them when there is room
            return 0
        intake = await self.log.write(lambda store: self._ingest(store, payloads))
        follower = intake.follower
        self.counters.entries += len(follower.leaves)
        for result in intake.results:
            self._count(result)
        for head in follower.seen.values():
            self._see(head, 0)
        if intake.forked is not None:
            self._stop("a signed head contradicts the entries held", intake.forked)
        await self._compare()
        self.on_grown()
        return len(follower.leaves)

    async def observe_head(self, note: bytes) -> None:
        """Learn of a head that the peer's log key signed, from whatever side.

        Raises:
            ChopmarkError: what `open_checkpoint` raises.
            TryAgainError: `not-recorded` if the disk refused; it may be offered again.
        """
        self._see(self._open(note), 0)
        await self._compare()

    async def observe_announced(self, note: bytes) -> None:
        """Take a head that its owner announces for witnessing, with the cosignatures it has so far.

        Raises:
            ChopmarkError: what `open_checkpoint` raises.
            TryAgainError: `not-recorded` if the disk refused; it may be offered again.
        """
        head = self._open(note)
        self._see(head, 0)
        await self._compare()
        self.on_announced(head)

    async def agrees(self, head: Checkpoint) -> bool:
        """Whether all entries under a head are here, durable, and have its root."""
        if self.frozen or head.size > self.log.state.size:
            return False
        root: bytes = await self.log.read(lambda reader, _: reader.root_at(head.size))
        return root == head.root and not self.frozen

    async def observe_cosignature(self, note: bytes) -> None:
        """Take a heartbeat: a head cosigned by the peer's own cosigner key.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; RefusedError: `bad-time` if the time lies
                ahead, `no-known-signature` if the cosigner has not signed.
            TryAgainError: `not-recorded` if the disk refused; it may be offered again.
        """
        head = self._open(note)
        time = next((v.time for v in head.verified if v.key == self.member.cosigner_key), 0)
        if not time:
            raise RefusedError("no-known-signature", "the peer's cosigner key has not signed")
        if time > self._clock.now_ms() // 1000 + CLOCK_SKEW:
            raise RefusedError("bad-time", f"a heartbeat of {self.member.id} lies in the future")
        self._see(head, time)
        await self._compare()

    def drop(self, error: ChopmarkError) -> None:
        """Count a message that was refused, and say so once until a good one comes."""
        self.counters.dropped += 1
        if self.problem is None:
            LOG.warning(
                "dropped a message about %s: %s",
                self.member.origin,
                error.message,
                extra={"peer": self.member.id, "code": error.code},
            )
        self.problem = error.message

    def _open_note(self, note: bytes) -> SignedCheckpoint:
        others = (self.member.cosigner_key, *self.policy.witnesses.values())
        return open_checkpoint(note, self.member.log_key, others)

    def _count(self, result: Taken | ChopmarkError) -> None:
        if isinstance(result, ChopmarkError):
            self.drop(result)
            return
        self.problem = None
        self.counters.packages += 1
        self.counters.duplicates += result is Taken.HELD
        self.counters.gaps += result is Taken.GAP

    def _see(self, signed: SignedCheckpoint, time: int) -> None:
        head = signed.checkpoint
        self._target = max(self._target, head.size)
        if not self._heads.add(Seen(head, signed.encode(), time)):
            self._stop(f"two signed heads of size {head.size} differ", signed.encode())

    async def _compare(self) -> None:
        """Compare the heads seen with what is held; move the as-of time with those that agree."""
        due = self._heads.up_to(self.log.state.size)
        if due and self.conflict is None:
            size = [seen.head.size for seen in due]
            roots = await self.log.read(lambda reader, _: [reader.root_at(n) for n in size])
            wrong = [s for s, root in zip(due, roots, strict=True) if s.head.root != root]
            if wrong:
                self._stop("a signed head contradicts the entries held", wrong[0].note)
            else:
                await self._settle(due)
        await self._keep_evidence()

    async def _settle(self, agreeing: Sequence[Seen]) -> None:
        """Forget heads that agree with what is held, once the newest time is stored.

        Entries above the newest head reached are held, but nobody is answered from them yet:
        what a cosigner vouched for waits until they are.
        """
        signed = self.log.state.head.size
        done = [seen for seen in agreeing if not seen.time or seen.head.size <= signed]
        newest = max(done, key=lambda seen: seen.time, default=None)
        if newest is not None and newest.time > self.log.state.seen_time:
            await self.log.write(lambda store: store.move_seen(newest.time, newest.note))
        for seen in done:
            self._heads.remove(seen)

    def _ingest(self, store: Store, payloads: Sequence[bytes]) -> _Intake:
        """On the writer's thread."""
        hashes = store.compact_hashes()
        intake = _Intake(Follower.after(self.origin, store.size, hashes, self._open))
        for payload in payloads:
            if intake.forked is None:
                intake.take(payload)
        self._store(store.size, intake.follower)
        return intake

    def _store(self, size: int, follower: Follower) -> None:
        """Store up to the newest head that was reached together with it, and then the rest."""
        runs, leaves = follower.gathered, follower.leaves
        cut = 0
        if follower.reached is not None:
            head = (follower.reached.checkpoint, follower.reached.encode())
            cut = head[0].size - size
            self.log.append_now(runs[: follower.whole], leaves[:cut], head)
        if runs[follower.whole :]:
            self.log.append_now(runs[follower.whole :], leaves[cut:])

    def _stop(self, reason: str, note: bytes) -> None:
        if self.conflict is not None:
            return
        self.conflict, self._evidence = reason, note
        LOG.error(
            "%s contradicts its replica: %s",
            self.member.origin,
            reason,
            extra={"peer": self.member.id, "code": "fork"},
        )

    async def _keep_evidence(self) -> None:
        """Store what stopped the replica, so that it stays stopped."""
        note = self._evidence
        if note is not None and self.log.state.fork_note is None:
            await self.log.write(lambda store: store.mark_fork(note))


def _nothing() -> None:
    """Nobody is told."""

"""A verified copy of a peer's log.

Rules:
1. Nothing unverified is stored: a package's entries must lie under a checkpoint that the peer's
   log key signed, and what comes before them must be what we hold.
2. The replica only grows, one bundle after the other; what is held already is not stored again.
3. Its head moves when the entries reach the size of a signed checkpoint, in the same transaction.
4. A signed head that contradicts what we hold stops the replica, for good: it is reported, kept
   as evidence (`forks`), and never followed. Two officers may release it (`releases`): then the
   head that they have rejected is refused, and any other that contradicts stops it again.
5. The as-of time is the newest time at which the peer's cosigner vouched for a head that we hold.
6. Every signed head that comes, from whatever side, is compared: at once, or once we hold as much.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.evidence import Branch, Evidence, differing_heads
from chopmark.core.follow import Follower, Taken
from chopmark.core.member import Member
from chopmark.core.merkle import leaf_hash, root_from_inclusion
from chopmark.core.package import VerifiedPackage, parse_package
from chopmark.core.policy import Policy
from chopmark.core.ports import Clock
from chopmark.core.proof import Proof, parse_extra
from chopmark.core.refute import Anchor, Shown, refute_entry, refute_head, refute_package
from chopmark.ledger.blame import Blame
from chopmark.ledger.forks import Kept, Refute, Stop, find_evidence, keep_stop
from chopmark.ledger.heads import Heads, Seen
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store

LOG: Final = logging.getLogger("chopmark.ledger")

_CONTRADICTS: Final = "a signed head contradicts the entries held"
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

    def take(self, payload: bytes) -> None:
        try:
            package = parse_package(payload)
            self.results.append(self.follower.take(package))
        except ChopmarkError as error:
            self.results.append(error)

    @property
    def forked(self) -> VerifiedPackage | None:
        """The package that contradicts what is held."""
        return self.follower.refuted


class Replica:
    """The replica of one peer's log. Its methods are called on the event loop.

    Attributes:
        policy: whose cosignatures of its heads are known, and which of them are a quorum.
        on_announced: told each head that its owner announces.
        on_grown: called after entries may have been stored.
        rejected: sizes and roots of signed heads that officers have rejected.
    """

    def __init__(self, member: Member, log: Log, clock: Clock) -> None:
        self.member = member
        self.log = log
        self.counters = Counters()
        self.problem: str | None = None
        self.stopped: Stop | None = None
        self.admit: Callable[[int], bool] = lambda _size: True
        self.blame = Blame()
        self.on_heartbeat: Callable[[int], None] = lambda _seconds: None
        self.on_evidence: Callable[[Evidence], Awaitable[None]] = _ignore
        self.policy = Policy((member.log_key,))
        self.on_announced: Callable[[SignedCheckpoint], None] = lambda _head: None
        self.on_grown: Callable[[], None] = _nothing
        self.rejected: frozenset[tuple[int, bytes]] = frozenset()
        self._clock = clock
        self._target = log.state.size
        self._heads = Heads()
        self._opened = lru_cache(maxsize=64)(self._open_note)
        self._tail: Anchor | None = None
        self._against: tuple[bytes, Refute] | None = None
        if log.state.fork_note is not None:
            reason = "a signed head that came before the last start contradicts it"
            self.stopped = Stop(reason, self._read_size(log.state.fork_note))

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
        notes = (above.note if above else None, self.log.state.fork_note)
        return [note for note in notes if note]

    async def package(self, start: int) -> tuple[bytes, int]:
        """See `Log.package`."""
        return await self.log.package(start)

    @property
    def conflict(self) -> str | None:
        """Why the log is not followed any more."""
        return self.stopped.reason if self.stopped else None

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

    async def ingest(self, payloads: Sequence[bytes], senders: Sequence[str] = ()) -> int:
        """Verify packages and store what is new, in one transaction for each signed head reached.

        Bad packages are counted, reported once, and change nothing. While `admit` says that there
        is no room nothing is looked at, and nothing added.

        Args:
            payloads: the packages.
            senders: for each the member that sent it when asked; empty for the log's own gateway.

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
        self._tail = _find_tail(follower) or self._tail
        self.counters.entries += len(follower.leaves)
        for result, sender in zip_longest(intake.results, senders[: len(intake.results)]):
            self._count(result, sender or "")
        for head in follower.seen.values():
            self._see(head, 0)
        if intake.forked is not None:
            self._refute_package(intake.forked)
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
        keys = self.member.cosigner_keys
        time = max((v.time for v in head.verified if v.key in keys), default=0)
        if not time:
            raise RefusedError("no-known-signature", "the peer's cosigner key has not signed")
        self.on_heartbeat(time)
        if time > self._clock.now_ms() // 1000 + CLOCK_SKEW:
            raise RefusedError("bad-time", f"a heartbeat of {self.member.id} lies in the future")
        self._see(head, time)
        await self._compare()

    async def observe_proof(self, proof: Proof) -> None:
        """Learn of a proof that was presented: of its head, and of the entry that it proves.

        The entry counts though its head lies beyond what we hold, and may never be reached.

        Raises:
            ChopmarkError: what `open_checkpoint` and `parse_extra` raise; `bad-inclusion`.
            TryAgainError: `not-recorded` if the disk refused; it may be offered again.
        """
        signed = self._open(proof.note)
        head, leaf = signed.checkpoint, leaf_hash(parse_extra(proof.extra).entry)
        if root_from_inclusion(leaf, proof.index, head.size, proof.hashes) != head.root:
            raise RefusedError("bad-inclusion", "the entry does not lie under the proof's head")
        self._see(signed, 0)
        if head.size > self.size and proof.index < self.signed_size:
            await self._compare_entry(proof.index, Branch(leaf, proof.hashes, signed.encode()))
        await self._compare()

    async def freeze(self, stop: Stop) -> None:
        """Stop following the log, or learn more of why; for evidence from other sides.

        Raises:
            TryAgainError: `not-recorded` if the disk refused; it may be offered again.
        """
        self.stopped = stop
        if stop.evidence is not None and self.log.state.fork_note is None:
            note = stop.evidence.branches[1].note
            await self.log.write(lambda store: keep_stop(store, note, None))

    async def resume(self) -> None:
        """Follow the log again; the parts of a gateway have just been made.

        Raises:
            TryAgainError: `not-recorded` if the disk refused.
        """
        await self.log.write(lambda store: store.forget_fork())
        self.stopped = None

    def drop(self, error: ChopmarkError, sender: str = "") -> None:
        """Count a message that was refused; what another member sent is no fault of the log's own.

        Args:
            error: what is wrong.
            sender: member id of who sent it; empty for the log's own gateway.
        """
        self.blame.note(sender or self.peer, self.origin, error)
        if sender in ("", self.peer):
            self.counters.dropped += 1
            self.problem = error.message

    def _open(self, note: bytes) -> SignedCheckpoint:
        """Read a note of the log; every head comes in through here."""
        signed = self._opened(note)
        head = signed.checkpoint
        if (head.size, head.root) in self.rejected:
            message = f"a head of {self.origin} at {head.size} of the branch that was not kept"
            raise RefusedError("rejected-head", message, hint="`chopmark evidence show`")
        return signed

    def _open_note(self, note: bytes) -> SignedCheckpoint:
        signed = self.member.open_head(note, tuple(self.policy.witnesses.values()))
        return replace(signed, verified=self.policy.counting(signed.verified))

    def _read_size(self, note: bytes) -> int:
        """The smaller of what we hold and a head that contradicts it; 0 if that is damaged."""
        try:
            return min(self._open(note).checkpoint.size, self.signed_size)
        except ChopmarkError:
            return 0

    def _count(self, result: Taken | ChopmarkError, sender: str) -> None:
        if isinstance(result, ChopmarkError):
            self.drop(result, sender)
            return
        self.problem = None
        self.counters.packages += 1
        self.counters.duplicates += result is Taken.HELD
        self.counters.gaps += result is Taken.GAP

    def _see(self, signed: SignedCheckpoint, time: int) -> None:
        head, note = signed.checkpoint, signed.encode()
        self._target = max(self._target, head.size)
        other = self._heads.add(Seen(head, note, time))
        if other is not None:
            evidence = differing_heads(other.note, note)
            reason = f"two signed heads of size {head.size} differ"
            self._stop(reason, head.size, note, lambda _: None, evidence)

    async def _compare(self) -> None:
        """Compare the heads seen with what is held; move the as-of time with those that agree."""
        due = self._heads.up_to(self.log.state.size)
        if due and self.conflict is None:
            size = [seen.head.size for seen in due]
            roots = await self.log.read(lambda reader, _: [reader.root_at(n) for n in size])
            wrong = [s for s, root in zip(due, roots, strict=True) if s.head.root != root]
            if wrong:
                self._refute_head(wrong[0])
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

    async def _compare_entry(self, index: int, theirs: Branch) -> None:
        held = await self.log.read(lambda reader, _: reader.node(0, index))
        if held != theirs.value:
            reason = f"a proof under a signed head has another entry {index}"
            size = theirs.head().size
            self._stop(reason, size, theirs.note, lambda ours: refute_entry(ours, index, theirs))

    def _refute_package(self, package: VerifiedPackage) -> None:
        theirs = Shown.by_package(package)
        self._stop(_CONTRADICTS, theirs.head.size, theirs.note, lambda o: refute_package(o, theirs))

    def _refute_head(self, seen: Seen) -> None:
        head, note = seen.head, seen.note
        self._stop(_CONTRADICTS, head.size, note, lambda ours: refute_head(ours, head, note))

    def _stop(
        self,
        reason: str,
        size: int,
        note: bytes,
        refute: Refute,
        evidence: Evidence | None = None,
    ) -> None:
        """Stop now; the evidence is made and stored by whoever waits for it next."""
        if self.stopped is not None:
            return
        below, now = min(size, self.signed_size), self._clock.now_ms()
        self.stopped = Stop(reason, below, now, evidence)
        self._against = note, refute
        LOG.error(
            "%s contradicts its replica: %s",
            self.member.origin,
            reason,
            extra={"peer": self.member.id, "code": "fork"},
        )

    async def _keep_evidence(self) -> None:
        """Make and store what proves why the replica is stopped, and tell of it."""
        if self._against is None or self.stopped is None:
            return
        note, refute = self._against
        tail, found_at = self._tail, self.stopped.found_at or 0
        evidence = self.stopped.evidence or await self.log.read(
            lambda reader, state: find_evidence(reader, state, tail, refute)
        )
        kept = None
        if evidence is not None:
            below = evidence.branches[0].head().size
            self.stopped = replace(self.stopped, evidence=evidence, below=below)
            kept = Kept(evidence.digest, self.origin, found_at, evidence.encode())
        await self.log.write(lambda store: keep_stop(store, note, kept))
        if evidence is not None:
            await self.on_evidence(evidence)
        self._against = None


def _find_tail(follower: Follower) -> Anchor | None:
    """The head under which the newest entries came."""
    last = follower.last
    if last is None:
        return None
    return Anchor(last.head.checkpoint, last.head.encode(), follower.tree.size, last.right)


async def _ignore(_evidence: Evidence) -> None:
    return None


def _nothing() -> None:
    """Nobody is told."""

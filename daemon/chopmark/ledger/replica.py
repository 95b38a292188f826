"""A verified copy of a peer's log.

Rules:
1. Nothing unverified is stored: a package's entries must lie under a checkpoint that the peer's
   log key signed, and what comes before them must be what we hold.
2. The replica only grows, one bundle after the other; what is held already is not stored again.
3. Its head moves when the entries reach the size of a signed checkpoint, in the same transaction.
4. A signed head that contradicts what we hold stops the replica: it is reported and never followed.
5. The as-of time is the newest time at which the peer's cosigner vouched for a head that we hold.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.follow import Follower, Taken
from chopmark.core.member import Member
from chopmark.core.package import parse_package
from chopmark.core.ports import Clock
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.ledger.summary import summarise

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


class Replica:
    """The replica of one peer's log."""

    def __init__(self, member: Member, log: Log, clock: Clock) -> None:
        self.member = member
        self.log = log
        self.counters = Counters()
        self.conflict: str | None = None
        self.problem: str | None = None
        self._clock = clock
        self._target = log.state.head.size
        self._promised: tuple[int, SignedCheckpoint] | None = None
        self._open = lru_cache(maxsize=64)(self._open_note)

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

    async def package(self, start: int) -> tuple[bytes, int]:
        """See `Log.package`."""
        return await self.log.package(start)

    @property
    def missing(self) -> int:
        """Entries that a signed head promises and that are not here yet."""
        return 0 if self.conflict else max(0, self._target - self.log.state.head.size)

    async def ingest(self, payloads: list[bytes]) -> int:
        """Verify packages and store what is new, in one transaction for each signed head reached.

        Bad packages are counted, reported once, and change nothing.

        Returns:
            Number of entries added.

        Raises:
            TryAgainError: `not-recorded` if the disk refused; the packages may be offered again.
        """
        before = self.log.state.size
        await self.log.write(lambda store: self._ingest(store, payloads))
        added = self.log.state.size - before
        self.counters.entries += added
        await self._keep_promise()
        return added

    async def observe_head(self, note: bytes) -> None:
        """Learn of a head that the peer's log key signed, from whatever side.

        Raises:
            ChopmarkError: what `open_checkpoint` raises.
        """
        head = self._open(note)
        if not await self._contradicts(head.checkpoint):
            self._target = max(self._target, head.checkpoint.size)

    async def observe_cosignature(self, note: bytes) -> None:
        """Take a heartbeat: a head cosigned by the peer's own cosigner key.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; RefusedError: `bad-time` if the time lies
                ahead, `no-known-signature` if the cosigner has not signed.
        """
        head = self._open(note)
        time = next((v.time for v in head.verified if v.key == self.member.cosigner_key), 0)
        if not time:
            raise RefusedError("no-known-signature", "the peer's cosigner key has not signed")
        if time > self._clock.now_ms() // 1000 + CLOCK_SKEW:
            raise RefusedError("bad-time", f"a heartbeat of {self.member.id} lies in the future")
        if await self._contradicts(head.checkpoint):
            return
        self._target = max(self._target, head.checkpoint.size)
        if self._promised is None or time > self._promised[0]:
            self._promised = (time, head)
        await self._keep_promise()

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
        return open_checkpoint(note, self.member.log_key, (self.member.cosigner_key,))

    async def _contradicts(self, head: Checkpoint) -> bool:
        """Compare a signed head with what we hold; a contradiction stops the replica."""
        if head.size > self.log.state.size:
            return False
        root = await self.log.read(lambda reader, _: reader.root_at(head.size))
        if root != head.root:
            self._stop(f"two signed heads of size {head.size} differ")
        return root != head.root

    async def _keep_promise(self) -> None:
        """Move the as-of time once the head that was vouched for lies in the replica."""
        if self._promised is None or self.conflict:
            return
        time, head = self._promised
        if head.checkpoint.size > self.log.state.head.size:
            return
        self._promised = None
        if not await self._contradicts(head.checkpoint):
            note = head.note.encode()
            await self.log.write(lambda store: store.move_seen(time, note))

    def _ingest(self, store: Store, payloads: Iterable[bytes]) -> None:
        hashes = store.compact_hashes()
        follower = Follower.after(self.member.origin, store.size, hashes, self._open)
        for payload in payloads:
            if self.conflict is None:
                self._take(follower, payload)
        self._target = max(self._target, follower.seen)
        self._store(follower)

    def _take(self, follower: Follower, payload: bytes) -> None:
        try:
            taken = follower.take(parse_package(payload))
        except ChopmarkError as error:
            self.drop(error)
            if error.code == "fork":
                self._stop(error.message)
            return
        self.problem = None
        self.counters.packages += 1
        self.counters.duplicates += taken is Taken.HELD
        self.counters.gaps += taken is Taken.GAP

    def _store(self, follower: Follower) -> None:
        """Store up to the newest head that was reached together with it, and then the rest."""
        size, entries, leaves = self.log.state.size, follower.entries, follower.leaves
        head, cut = None, 0
        if follower.reached is not None:
            head = (follower.reached.checkpoint, follower.reached.note.encode())
            cut = head[0].size - size
        for part, reached in ((slice(0, cut), head), (slice(cut, None), None)):
            if entries[part]:
                summaries = [summarise(entry) for entry in entries[part]]
                self.log.append_now(entries[part], summaries, leaves[part], reached)

    def _stop(self, reason: str) -> None:
        if self.conflict is None:
            LOG.error(
                "%s contradicts its replica: %s",
                self.member.origin,
                reason,
                extra={"peer": self.member.id, "code": "fork"},
            )
        self.conflict = reason

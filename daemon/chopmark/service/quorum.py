"""The owner's side of witnessing: announces our heads, collects cosignatures, tells who waits.

A head is announced, and the next one only when that one has its quorum, or after a while: under
load the witnesses thus meet on the same heads. While no quorum comes the while grows longer, so
that slow witnesses find each other too; peers hear of newer heads by packages and heartbeats.

Where kinds demand notaries, a head waits for these too, but not for those that were late before and
were not heard of since.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.cosigned import Cosignatures
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.policy import Policy
from chopmark.core.ports import Clock
from chopmark.ledger.log import Log
from chopmark.ledger.witnessed import move_witnessed
from chopmark.mesh import topics
from chopmark.mesh.topics import Topic

LOG: Final = logging.getLogger("chopmark.witness")

PATIENCE: Final = 1.0
"""Seconds for which an announced head may wait for its quorum before a newer one is announced."""
MAX_PATIENCE: Final = 16.0
"""As long as no quorum comes each wait is twice the one before, up to this."""
MAX_HEADS: Final = 8
"""Heads whose cosignatures are kept: the largest. Witnesses cosign announced ones only."""
MAX_AHEAD: Final = 60
"""Seconds by which a cosignature's time may be ahead of our clock."""
AGAIN: Final = 30.0
"""Seconds after which a quiet log's newest witnessed head, or the one that waits for its quorum, is
told once more: brokers lose messages, and need not retain any."""
LATE: Final = 1.0
"""Seconds in which cosignatures beyond the quorum are gathered, to be stored in one go."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest head of ours that a witness has cosigned, and when (seconds)."""

    size: int
    time: int


class Quorum:
    """Collects the cosignatures of our own heads.

    Args:
        own: who we are.
        log: our log.
        policy: of our log.
        cosigners: by member id, the cosigner keys that peers are known by.
        clock: the guarded clock.
        tell: publishes a note, retained.

    Attributes:
        on_witnessed: called when the witnessed head has moved.
        observe_own_head: told each note of our own log that is none of the heads at hand.
        seen: by member id, what each witness has cosigned.
    """

    def __init__(
        self,
        own: Member,
        log: Log,
        policy: Policy,
        cosigners: Mapping[str, Sequence[VerifierKey]],
        clock: Clock,
        tell: Callable[[str, bytes], None],
    ) -> None:
        self._own = own
        self._log = log
        self.policy = policy
        self._cosigners = cosigners
        self._clock = clock
        self._tell = tell
        self._topic = topics.checkpoint(own.id)
        self._heads: dict[int, Cosignatures] = {}
        self._announced: SignedCheckpoint | None = None
        self._patience = PATIENCE
        self._settled = asyncio.Event()
        self._notaries = {
            key for _, names in policy.notaries.values() for key in _expand(policy, names)
        }
        self._absent: set[VerifierKey] = set()
        self._late = asyncio.Event()
        self.on_witnessed: Callable[[], None] = lambda: None
        self.observe_own_head: Callable[[bytes], Awaitable[None]] = _ignore
        self.seen: dict[str, Seen] = {}

    @property
    def unreachable(self) -> bool:
        """Whether the last head that was announced did not get its quorum in time."""
        return self._patience > PATIENCE

    @property
    def unnotarised(self) -> list[str]:
        """Kinds whose notaries were late, and were not heard of since."""
        return [kind for kind in self.policy.notaries if kind not in self._expected()]

    async def run(self) -> None:
        """Keep what comes after a quorum, and tell it again when nothing comes, for ever."""
        while True:
            # Not `wait_for`: in Python 3.11 it may swallow a cancellation, and never end.
            try:
                async with asyncio.timeout(AGAIN):
                    await self._late.wait()
            except TimeoutError:
                self.tell_again()
                continue
            await asyncio.sleep(LATE)
            self._late.clear()
            newest = self._heads.get(self._log.state.witnessed_size)
            if newest is not None:
                with contextlib.suppress(TryAgainError):  # the quorum is stored
                    await self._keep(newest)

    async def announced(self, note: bytes) -> None:
        """Wait until a head that was announced has its quorum, or was given its time."""
        head = open_checkpoint(note, self._own.log_key)
        self._announced = head
        self._settled.clear()
        if self._is_settled(head.checkpoint.size):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._settled.wait()
        if self._log.state.witnessed_size >= head.checkpoint.size:
            if not self._settled.is_set():
                known = self._heads.get(head.checkpoint.size)
                self._absent |= self._notaries - (known.lines.keys() if known else set())
            self._patience = PATIENCE
            return
        self._patience = min(2 * self._patience, MAX_PATIENCE)
        self.tell_again()

    async def take(self, sender: str, _topic: Topic, payload: bytes) -> None:
        """Take a note of our own log that a witness has cosigned; see `mesh.bulletins.Handler`.

        Raises:
            ChopmarkError: it is not good, or of a head that is not ours.
            TryAgainError: the disk refused; it may be offered again.
        """
        keys = tuple(self._cosigners[sender])
        signed = open_checkpoint(payload, self._own.log_key, keys)
        by = next((one for one in signed.verified if one.key in keys), None)
        if by is None:
            message = f"{keys[0].name} has not signed its cosignature"
            raise RefusedError("no-known-signature", message)
        key, time = by.key, by.time
        if time > self._clock.now_ms() // 1000 + MAX_AHEAD:
            raise RefusedError("bad-time", f"a cosignature of {sender} lies in the future")
        if not await self._is_ours(signed.checkpoint, payload):
            message = f"{sender} has cosigned a head of {self._own.origin} that is not here"
            LOG.error("%s", message, extra={"peer": sender, "code": "not-our-head"})
            raise RefusedError("not-our-head", message)
        await self._collect(sender, key, time, signed)

    def tell_again(self) -> None:
        """Publish once more the newest witnessed head, and then the newest announced one."""
        state = self._log.state
        if state.witnessed_note is not None:
            self._tell(self._topic, state.witnessed_note)
        head = self._announced
        if head is None or head.checkpoint.size <= state.witnessed_size:
            return
        so_far = self._heads.get(head.checkpoint.size)
        self._tell(self._topic, head.encode() if so_far is None else so_far.note(self.policy))

    async def _is_ours(self, head: Checkpoint, note: bytes) -> bool:
        known = self._heads.get(head.size)
        if head == self._log.state.head or (known is not None and known.head == head):
            return True
        await self.observe_own_head(note)
        if head.size > self._log.state.size:
            return False
        root: bytes = await self._log.read(lambda reader, _: reader.root_at(head.size))
        return root == head.root

    async def _collect(
        self, sender: str, key: VerifierKey, time: int, signed: SignedCheckpoint
    ) -> None:
        head = signed.checkpoint
        self._absent.discard(key)
        before = self.seen.get(sender, Seen(0, 0))
        self.seen[sender] = Seen(max(before.size, head.size), max(before.time, time))
        if head.size < max(1, self._log.state.witnessed_size):
            return
        lines = {(line.name, line.key_id): line for line in signed.lines()}
        log_key = self._own.log_key
        one = self._heads.get(head.size)
        if one is None:
            one = Cosignatures(head, lines[log_key.name, log_key.key_id])
            self._recall(one)
            self._heads[head.size] = one
            if len(self._heads) > MAX_HEADS:
                del self._heads[min(self._heads.keys() - self._awaited)]
        if not one.add(key, time, lines[key.name, key.key_id]):
            return
        if head.size == self._log.state.witnessed_size and not self._completes(one):
            self._late.set()
        elif one.existed_by(self.policy) is not None:
            try:
                await self._keep(one)
            except TryAgainError:
                del one.lines[key]  # it is offered again
                raise

    @property
    def _awaited(self) -> set[int]:
        """Size of the head that was announced: cosignatures of others must not oust it."""
        return set() if self._announced is None else {self._announced.checkpoint.size}

    def _recall(self, one: Cosignatures) -> None:
        """Add what is stored of a head, be it from before a start: more may come of it."""
        state = self._log.state
        if one.head.size != state.witnessed_size or state.witnessed_note is None:
            return
        keys = tuple(self.policy.witnesses.values())
        held, _ = self._own.read_head(state.witnessed_note, keys)
        lines = {(line.name, line.key_id): line for line in held.lines()}
        for verified in held.verified:
            if verified.key in keys:
                line = lines[verified.key.name, verified.key.key_id]
                one.add(verified.key, verified.time, line)

    def _completes(self, one: Cosignatures) -> bool:
        """Whether a head has the notaries of a kind, and that is not stored yet."""
        held = self._log.state.notarised
        kinds = self.policy.notarised(one.lines)
        return any(held.get(kind, (0, b""))[0] < one.head.size for kind in kinds)

    def _is_settled(self, size: int) -> bool:
        """Whether nobody is waited for any more who has not cosigned a head of this size."""
        state = self._log.state
        if state.witnessed_size < size:
            return False
        return all(state.notarised.get(kind, (0, b""))[0] >= size for kind in self._expected())

    def _expected(self) -> tuple[str, ...]:
        """The kinds whose notaries are waited for."""
        return self.policy.notarised(set(self.policy.witnesses.values()) - self._absent)

    async def _keep(self, one: Cosignatures) -> None:
        """Store a quorum, then tell."""
        by = one.existed_by(self.policy)
        if by is None:
            return
        size, note = one.head.size, one.note(self.policy)
        kinds = self.policy.notarised(one.lines)
        await self._log.write(lambda store: move_witnessed(store, size, by, note, kinds))
        for older in [other for other in self._heads if other < size]:
            del self._heads[older]
        self.on_witnessed()
        self._tell(self._topic, note)
        announced = self._announced
        if announced is not None and self._is_settled(announced.checkpoint.size):
            self._settled.set()


def _expand(policy: Policy, names: Iterable[str]) -> Iterator[VerifierKey]:
    """The keys of witnesses, and of the groups among these names."""
    for name in names:
        if name in policy.witnesses:
            yield policy.witnesses[name]
        else:
            yield from _expand(policy, policy.groups[name][1])


async def _ignore(_note: bytes) -> None:
    """Nobody else compares."""

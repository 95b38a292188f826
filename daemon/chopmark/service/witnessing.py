"""This gateway as a witness: cosigns the heads that peers announce, once it holds all under them.

For each log: the newest head announced, and no other, so that the witnesses of a busy log meet on
the same heads; one at a time. What is published is the whole note, retained, on
`<owner>/cosignature/<us>`, after the row of our cosigner has moved. A head that its quorum has
cosigned is kept with the replica, also where no policy names us: verdicts rest on it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from chopmark.core.checkpoint import SignedCheckpoint
from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.core.policy import NONE
from chopmark.core.ports import Clock
from chopmark.ledger.replica import Replica
from chopmark.ledger.witness import Cosigner
from chopmark.ledger.witnessed import move_witnessed
from chopmark.mesh import topics

LOG: Final = logging.getLogger("chopmark.witness")

RETRY: Final = 1.0
"""Seconds between attempts while the HSM is away or the disk refuses."""
MAX_AHEAD: Final = 60
"""Seconds by which a cosignature's time may be ahead of our clock."""
REFRESH: Final = 600
"""Seconds after which a head that is still the newest is cosigned again: that it was seen."""


class Witness:
    """Keeps what a quorum has cosigned of one peer's heads, and cosigns them.

    Args:
        me: our member id.
        replica: of the peer's log.
        cosigner: cosigns.
        clock: tells when.
        tell: publishes.
        named: whether the log's policy names us; if not, nothing is cosigned.

    Attributes:
        cosigned: heads cosigned since the start, refreshes among them.
    """

    def __init__(
        self,
        me: str,
        replica: Replica,
        cosigner: Cosigner,
        clock: Clock,
        tell: Callable[[str, bytes], None],
        *,
        named: bool = True,
    ) -> None:
        self._named = named
        self._replica = replica
        self._cosigner = cosigner
        self._clock = clock
        self._tell = tell
        self._topic = topics.cosignature(replica.peer, me)
        self._announced: SignedCheckpoint | None = None
        self._quorate: SignedCheckpoint | None = None
        self._due = asyncio.Event()
        self.cosigned = 0
        self._checked = False
        replica.on_announced, replica.on_grown = self._take, self._due.set

    async def run(self) -> None:
        """Cosign for ever."""
        while True:
            await self._wait()
            try:
                await self._keep_quorate()
                if self._named:
                    await self._settle()
                    await self._cosign()
            except InternalError:
                raise
            except TryAgainError as error:
                self._checked = False  # the row may have been raised
                LOG.debug("not cosigned: %s", error.message)
                await asyncio.sleep(RETRY)
                self._due.set()
            except ChopmarkError as error:
                self._announced = None
                self._replica.drop(error)

    def tell_again(self) -> None:
        """Publish the newest cosignature once more: a broker may have lost it.

        Not before it is known to be the newest: a broker has what an older disk does not know of.
        """
        last = self._cosigner.last(self._replica.origin)
        told = last is not None and self._cosigner.may_tell(self._replica.origin)
        if self._named and last is not None and told:
            self._tell(self._topic, last.note)

    def take_back(self) -> None:
        """A cosignature of ours has come back from a broker: look at it."""
        self._due.set()

    async def _wait(self) -> None:
        # Not `wait_for`: in Python 3.11 it may swallow a cancellation, and never end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH):
                await self._due.wait()
        self._due.clear()

    def _take(self, head: SignedCheckpoint) -> None:
        """A head that was announced: what counts is the largest."""
        policy = self._replica.policy
        announced = self._announced
        if announced is None or head.checkpoint.size >= announced.checkpoint.size:
            self._announced = head
        keys = {v.key for v in head.verified}
        reached = policy.quorum != NONE and policy.is_satisfied(keys)
        if reached:
            quorate = self._quorate
            if quorate is None or head.checkpoint.size >= quorate.checkpoint.size:
                self._quorate = head
        complete = reached and len(policy.notarised(keys)) == len(policy.notaries)
        if self._named and not complete and self._cosigner.key not in keys:
            self._tell_lost(head)
        self._due.set()

    def _tell_lost(self, head: SignedCheckpoint) -> None:
        """Publish our cosignature again if its owner, who has no quorum, does not have it."""
        origin = self._replica.origin
        last = self._cosigner.last(origin)
        if last is None or last.head != head.checkpoint or self._replica.frozen:
            return
        if self._cosigner.may_tell(origin):
            self._tell(self._topic, last.note)

    async def _settle(self) -> None:
        if await self._cosigner.settle(self._replica.origin):
            self._checked = False

    async def _keep_quorate(self) -> None:
        """Store what a quorum has cosigned as soon as we hold it."""
        head, replica = self._quorate, self._replica
        if head is None or not await replica.agrees(head.checkpoint):
            return
        by = replica.policy.existed_by(head.verified)
        if by is not None and by <= self._now() + MAX_AHEAD:
            size, note = head.checkpoint.size, head.encode()
            kinds = replica.policy.notarised(v.key for v in head.verified)
            await replica.log.write(lambda store: move_witnessed(store, size, by, note, kinds))
        if self._quorate is head:
            self._quorate = None

    async def _cosign(self) -> None:
        head, replica = self._announced, self._replica
        if head is None or not self._is_due(head) or not await replica.agrees(head.checkpoint):
            return
        if not self._checked:
            self._checked = await self._check_last()
            if not self._checked:
                return
        made = await self._cosigner.cosign(head.checkpoint, head.log_note(), self._now())
        self.cosigned += 1
        if not replica.frozen:  # it may have come up while the HSM signed
            self._tell(self._topic, made.note)

    async def _check_last(self) -> bool:
        """Whether what we cosigned last is held here; if not, nothing more is cosigned.

        A replica may be another history than it was: its file was moved away, or officers have
        released it. A witness never cosigns two. Once is enough while the row is not raised, as
        replicas only grow.
        """
        last = self._cosigner.last(self._replica.origin)
        if last is None or await self._replica.agrees(last.head):
            return True
        origin, size = self._replica.origin, last.head.size
        message = "%s is not cosigned: we have cosigned another history of it, at %d"
        LOG.error(message, origin, size, extra={"code": "cosigned-another"})
        self._announced = None
        return False

    def _is_due(self, head: SignedCheckpoint) -> bool:
        last = self._cosigner.last(self._replica.origin)
        if last is None or head.checkpoint.size > last.head.size:
            # Nobody relies on an empty log, and before 1970 no cosignature has a time.
            return head.checkpoint.size > 0 and self._now() > 0
        return last.head == head.checkpoint and self._now() >= last.time + REFRESH

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

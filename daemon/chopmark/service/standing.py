"""Whether our own log may be signed: is this ledger the one that our token last signed for?

confirming → standing   the token has answered, its mark fits the ledger, and a peer has said what
                        it has seen of our log, where that is asked for
any → behind            the ledger lacks something that our key has signed, or contradicts it, or
                        the token's epoch is another's; it stays so until `chopmark recover`
standing                heads and cosignatures are signed, and attestations taken

Only `standing` signs. In every state we verify, replicate, and answer peers. A run begins as
`confirming`: no signature is made before the token has answered. (docs/operations/recovery.md)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    InternalError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.mark import HeadMark
from chopmark.core.member import Member
from chopmark.ledger.epoch import Epochs, forget_seen, keep_seen
from chopmark.ledger.log import Log
from chopmark.mesh.messages import HeadsSeen
from chopmark.service.marks import Marks, is_clean

State = Literal["standing", "behind", "confirming"]
STATES: Final[tuple[State, ...]] = ("standing", "behind", "confirming")
LOG: Final = logging.getLogger("chopmark")

RETRY: Final = 1.0
"""Seconds between two tries to reach the token, and two questions to a peer."""
MARK: Final = 60.0
"""Seconds between two marks while the head moves."""
SEEN: Final = "a checkpoint that was seen"
RECOVER: Final = (
    "stop the gateway and run `chopmark recover`, which takes the log back from the peers; "
    "if another gateway uses this token, stop one of the two for good"
)
RETIRE: Final = (
    "proofs of what it holds are served; if institutions have not answered, run `chopmark recover` "
    "again once they do; otherwise the origin ends here, and a successor is set up"
)
CONFIRM: Final = (
    "it goes on by itself once a peer has answered; "
    "with no peer to be reached, and if no disk was restored, set `alone = true` under [start]"
)

Ask = Callable[[str], Awaitable[HeadsSeen]]
"""Asks a peer for the newest heads of our log that it has seen."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a run of parts that was `standing` left behind when it stopped in order.

    The parts that follow in the same process need no peer's word where ledger and token are still
    those: whoever had used either since would have written another epoch.

    Attributes:
        epochs: that of that run, and of runs after it that came to nothing.
        head: its newest head.
        size: of the log, with entries that were not signed yet.
    """

    epochs: frozenset[bytes]
    head: Checkpoint
    size: int

    def fits(self, mark: HeadMark | None, kept: Epochs, log: Log) -> bool:
        """Whether ledger and token are as they were left; a token without marks has none."""
        found = {kept.current, kept.next} if mark is None else {mark.epoch}
        ours = not self.epochs.isdisjoint(found)
        return ours and (self.head, self.size) == (log.state.head, log.state.size)


class Standing:
    """Decides, and keeps the head mark.

    Args:
        log: our own log.
        own: whose log it is, with its keys.
        marks: keeps the head mark.
        peers: member ids of those who can be asked.
        alone: nobody is asked (`[start] alone`).
        warning: what must be said about the token's make if it has no rollback protection.

    Attributes:
        before: what earlier parts of this process left.
        left: what these have left.
    """

    def __init__(
        self,
        log: Log,
        own: Member,
        marks: Marks,
        peers: Sequence[str],
        warning: Callable[[], str | None] = lambda: None,
        *,
        alone: bool = False,
    ) -> None:
        self._log = log
        self._own = own
        self._marks = marks
        self._peers = tuple(peers)
        self._alone = alone
        self._warning = warning
        self._permitted = asyncio.Event()
        self._settled = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._refusal: ChopmarkError = _confirming("the token has not answered yet")
        self._old: str | None = None
        self.state: State = "confirming"
        self.before: Left | None = None
        self.left: Left | None = None
        self.ask: Ask = _nobody
        self.on_standing: Callable[[], None] = lambda: None

    def may_sign(self) -> ChopmarkError | None:
        """Why neither heads nor cosignatures are signed, and nothing is issued; None if they are.

        Each call gives an error of its own: a shared one would gather everybody's traceback.
        """
        if self.state == "standing":
            return None
        error = self._refusal
        return type(error)(
            error.code, error.message, hint=error.hint, retry_after=error.retry_after
        )

    def refuse(self, _waiting: int) -> ChopmarkError | None:
        """For `Sequencer.refuse`."""
        return self.may_sign()

    async def permitted(self) -> None:
        """Wait until signing is allowed."""
        await self._permitted.wait()

    async def settled(self) -> None:
        """Wait until the log is `standing` or `behind`."""
        await self._settled.wait()

    async def run(self) -> None:
        """Decide, then keep the mark, for ever."""
        await self._decide()
        while True:
            await asyncio.sleep(MARK)
            if self.state == "standing" and self._marks.due:
                await self._keep(self._marks.write)

    async def leave(self) -> None:
        """The gateway stops in order: nothing is signed any more. Never raises."""
        if self.state != "standing":
            if self.before is not None:
                epochs = self.before.epochs | {self._marks.epoch}
                self.left = replace(self.before, epochs=epochs)
            return
        self.state = "confirming"
        self._permitted.clear()
        try:
            await self._marks.end()
        except ChopmarkError as error:
            LOG.warning("no head mark was written at the stop: %s", error.message)
        state = self._log.state
        self.left = Left(frozenset({self._marks.epoch}), state.head, state.size)

    async def observe_own_head(self, note: bytes) -> None:
        """Take a checkpoint note of our own log that anyone shows us, from whatever side.

        Raises:
            ChopmarkError: no log key of ours has signed it; what `open_checkpoint` raises.
        """
        head = self._own.read_vouched(note).checkpoint
        reason = await self._compare(head, SEEN)
        if reason is not None and self.state != "behind":
            self._fall(reason)
            await asyncio.shield(self._remember(note))
            self._settled.set()

    def describe(self) -> dict[str, Any]:
        """The state as JSON."""
        mark, refusal = self._marks.last, self.may_sign()
        return {
            "state": self.state,
            "reason": refusal.message if refusal else None,
            "hint": refusal.hint if refusal else None,
            "alone": self._alone,
            "mark": {"size": mark.head.size, "counter": mark.counter} if mark else None,
            "rollback_protection": not (self._marks.refused or self._warning()),
        }

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        found = []
        if self.state == "behind":
            found.append(_alarm("log-behind", self._refusal.message, self._refusal.hint))
        if (refused := self._marks.refused or self._old) is not None:
            hint = "see that the token has room and may be written: without a mark nobody but the "
            hint += "peers notices a restored disk"
            found.append(_alarm("mark-refused", refused, hint))
        return found

    async def _remember(self, note: bytes) -> None:
        """So that a restart does not forget it; whoever has shown it once will show it again."""
        with suppress(TryAgainError):
            await self._log.write(lambda store: store.change(lambda db: keep_seen(db, note)))

    async def _decide(self) -> None:
        while self.state == "confirming":
            try:
                await self._look()
            except TryAgainError as error:
                if not self._is_behind():
                    self._refusal = error
                    await asyncio.sleep(RETRY)
            except RefusedError as error:
                self._fall(error.message)
        self._settled.set()

    async def _look(self) -> None:
        """Compare the ledger with its token and its peers; sign only after that."""
        mark, epochs = await self._marks.read()
        if (reason := await self._find_fault(mark, epochs)) is not None:
            self._fall(reason, RECOVER if epochs.barred is None else RETIRE)
            return
        if not self._confirmed.is_set() and (why := self._why_ask(mark, epochs)) is not None:
            await self._confirm(why)
        if not self._is_behind():
            await self._keep(self._marks.begin)
            self._stand()

    async def _find_fault(self, mark: HeadMark | None, epochs: Epochs) -> str | None:
        if epochs.barred is not None:
            return epochs.barred
        if epochs.seen_note is not None:
            reason = await self._compare_seen(epochs.seen_note)
            if reason is not None:
                return reason
        if mark is not None:
            reason = await self._compare(mark.head, "the head mark in the token")
            if reason is not None:
                return reason
        if not epochs.fits(mark.epoch if mark else None):
            return (
                "the token was last used with another copy of this ledger"
                if mark
                else "the token has lost its head mark, or is another one than before"
            )
        return None

    async def _compare_seen(self, note: bytes) -> str | None:
        seen = self._own.read_counted(note)
        if seen is not None:
            return await self._compare(seen.checkpoint, SEEN)
        with suppress(TryAgainError):  # it counts for nothing, kept or not
            await self._log.write(lambda store: store.change(lambda db: forget_seen(db, note)))
        return None

    async def _compare(self, head: Checkpoint, source: str) -> str | None:
        """Why the ledger does not cover a head that our key has signed; None if it does."""
        size = self._log.state.size
        if head.size > size:
            return f"{source} says that our key has signed {head.size} entries, and here are {size}"
        root = await self._log.read(lambda reader, _: reader.root_at(head.size))
        if root != head.root:
            return f"{source} contradicts it: our key has signed another root at {head.size}"
        return None

    def _why_ask(self, mark: HeadMark | None, epochs: Epochs) -> str | None:
        if self._alone or not self._peers or not self._log.state.size:
            return None
        if self.before is not None and self.before.fits(mark, epochs, self._log):
            return None
        if not is_clean(mark, epochs, self._log):
            return "the last run did not stop in order"
        return self._marks.refused or self._warning()

    async def _confirm(self, why: str) -> None:
        """Ask all peers until one has answered with a head of ours, which the ledger covers."""
        if self._is_behind():  # somebody showed a head while the token was read
            return
        self._refusal = _confirming(f"no peer has confirmed our log since the start: {why}")
        LOG.warning("%s", self._refusal, extra={"code": "confirming"})
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(self._ask(peer)) for peer in self._peers]
            ends = [tasks.create_task(e.wait()) for e in (self._confirmed, self._settled)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (*asking, *ends):
                task.cancel()

    async def _ask(self, peer: str) -> None:
        while True:
            if await self._is_confirmed_by(peer):
                if not self._confirmed.is_set():
                    LOG.info("our log is confirmed by %s", peer, extra={"peer": peer})
                self._confirmed.set()
                return
            await asyncio.sleep(RETRY)

    async def _is_confirmed_by(self, peer: str) -> bool:
        """Whether a peer has answered with a head of ours, or needs none as none was signed."""
        try:
            answer = (await self.ask(peer)).notes
            notes = [note for note in answer if self._own.read_counted(note) is not None]
            for note in notes:
                await self.observe_own_head(note)
        except InternalError:
            raise  # our own fault, not the peer's
        except ChopmarkError as error:
            LOG.debug("%s does not confirm our log: %s", peer, error.message)
            return False
        return self.state != "behind" and (bool(notes) or not self._log.state.head.size)

    async def _keep(self, call: Callable[[], Awaitable[None]]) -> None:
        """Write the mark; another gateway's in its place ends our signing."""
        try:
            await call()
            self._old = None
        except RefusedError as error:
            self._fall(error.message)
        except ConfigurationError as error:
            self._old = error.message
            LOG.error("%s", error.message, extra={"code": error.code})  # noqa: TRY400 - it says all
        except TryAgainError as error:
            if self.state != "standing":
                raise
            LOG.debug("no head mark: %s", error.message)

    def _is_behind(self) -> bool:
        return self.state == "behind"

    def _stand(self) -> None:
        if self._is_behind():
            return
        self.state = "standing"
        self._permitted.set()
        self._settled.set()
        self.on_standing()

    def _fall(self, reason: str, hint: str = RECOVER) -> None:
        message = f"our own log is behind, and nothing is signed: {reason}"
        self._refusal = TryAgainError("log-behind", message, hint=hint, retry_after=300)
        self.state = "behind"
        self._permitted.clear()
        LOG.error("%s", self._refusal, extra={"code": "log-behind"})


def _confirming(reason: str) -> TryAgainError:
    return TryAgainError("confirming", reason, hint=CONFIRM, retry_after=2)


def _alarm(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


async def _nobody(_peer: str) -> HeadsSeen:
    return HeadsSeen(None)

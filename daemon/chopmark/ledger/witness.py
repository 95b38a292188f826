"""Our cosigner: what it has cosigned of each log, and that this never goes back.

Rules (C2SP tlog-witness; design, "Cosigning"):
1. One row for each log and cosigner key: the newest head cosigned, and when.
2. Never a smaller size than the row's, never another root at its size. The row itself is compared
   in the transaction that moves it, whatever this process remembers. The time never goes back,
   unless the clock had been so far ahead that nobody took what it said.
3. Sign, store, publish, in this order: a signature whose row was not stored leaves nobody's hands.
4. A refresh, the same head at a later time, moves no row: nothing would be lost with it.
5. One signature at a time for each log.
6. The row is raised to what a cosignature of ours says that comes back from a broker, before
   anything more is signed: the row may lie on a disk that was put back. It is never lowered.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, InternalError, RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.note import Note
from chopmark.core.ports import Signer
from chopmark.ledger.log import Log
from chopmark.ledger.returned import Returned, open_cosigned
from chopmark.ledger.store import Store

LOG: Final = logging.getLogger("chopmark.witness")
MAX_AHEAD: Final = 60
"""Seconds by which a time may be ahead of a reader's clock: later ones are discarded by all."""
_MOVE: Final = (
    "INSERT INTO cosigner (origin, vkey, size, root, time, note) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (origin, vkey) DO UPDATE SET"
    " size = excluded.size, root = excluded.root, time = excluded.time, note = excluded.note"
    " WHERE excluded.size > size OR (excluded.size = size AND excluded.root = root)"
)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The newest head of a log that our cosigner has cosigned, when (seconds), and the note."""

    head: Checkpoint
    time: int
    note: bytes


class Cosigner:
    """Cosigns heads of logs, our own among them; made by `open_cosigner`.

    Attributes:
        may_cosign: what forbids it at present, or None.
    """

    def __init__(self, log: Log, signer: Signer, rows: dict[str, Cosigned]) -> None:
        self._log = log
        self._signer = signer
        self._rows = rows
        self._returned = Returned()
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.may_cosign: Callable[[], ChopmarkError | None] = lambda: None

    @property
    def key(self) -> VerifierKey:
        """The key that cosigns."""
        return self._signer.cosigner_key

    def last(self, origin: str) -> Cosigned | None:
        """The newest head of a log that was cosigned."""
        return self._rows.get(origin)

    def take_back(self, member: Member, note: bytes) -> None:
        """Take a note of a member's log on which our cosignature came back; not verified yet."""
        last = self._rows.get(member.origin)
        if last is None or last.note != note:
            self._returned.add(member, note)

    def may_tell(self, origin: str) -> bool:
        """Whether the row of a log is known to be the newest: an older one must not cover it."""
        return self.may_cosign() is None and not self._returned.waits(origin)

    async def settle(self, origin: str) -> bool:
        """Raise the row of a log to what has come back; whether it has moved.

        Raises:
            TryAgainError: the disk refused.
            InternalError: `cosigner-moved`.
        """
        async with self._busy[origin]:
            return await self._settle(origin)

    async def cosign(self, head: Checkpoint, note: Note, now: int) -> Cosigned:
        """Cosign a head that this gateway holds in full; what comes back may be published.

        Args:
            head: of our own log or of a replica, durable with all its entries.
            note: its note, signed by the log.
            now: seconds since the epoch, by our clock.

        Raises:
            RefusedError: `cosigned-larger`, `cosigned-another`: nothing was signed.
            TryAgainError: the HSM is away, or the disk refused; nothing may be published.
                `cosigner-raised`: nothing was signed; look at `last` again.
            ChopmarkError: what `may_cosign` gives.
            InternalError: `cosigner-moved`: another process wrote the row; the process must end.
        """
        async with self._busy[head.origin]:
            if (refusal := self.may_cosign()) is not None:
                raise refusal
            if await self._settle(head.origin):
                message = f"more of {head.origin} was cosigned than its row said"
                raise TryAgainError("cosigner-raised", message, retry_after=1)
            last = self._rows.get(head.origin)
            if last is not None:
                _check(last, head)
            refresh = last is not None and last.head == head
            time = now
            if last is not None and last.time <= now + MAX_AHEAD:
                time = max(now, last.time)
            signature = await self._signer.cosign(head, time, refresh=refresh)
            made = Cosigned(head, time, note.with_signature(signature).encode())
            if not refresh:
                await self._store(made)
            self._rows[head.origin] = made
            return made

    async def _settle(self, origin: str) -> bool:
        moved = False
        while (found := self._returned.first(origin)) is not None:
            member, note = found
            opened = open_cosigned(member, note, self.key)
            if opened is not None:
                signed, time = opened
                made = Cosigned(signed.checkpoint, time, signed.encode())
                moved = await self._raise(made) or moved
            self._returned.done(origin, note)
        return moved

    async def _raise(self, made: Cosigned) -> bool:
        """Rule 6."""
        last, origin = self._rows.get(made.head.origin), made.head.origin
        size = last.head.size if last is not None else 0
        if made.head.size <= size:
            return False
        await self._store(made)
        self._rows[origin] = made
        message = "%s was cosigned at %d already, and the row said %d: was an older disk put back?"
        LOG.warning(message, origin, made.head.size, size, extra={"code": "cosigner-raised"})
        return True

    async def _store(self, made: Cosigned) -> None:
        try:
            await self._log.write(lambda store: self._move(store, made))
        except TryAgainError:
            # Our own head is in the same file already, and cannot go back: a full disk must not
            # keep peers from hearing of us.
            if made.head.origin != self._log.origin:
                raise

    def _move(self, store: Store, made: Cosigned) -> None:
        """On the writer's thread."""
        head = made.head
        values = (head.origin, self.key.encode(), head.size, head.root, made.time, made.note)
        if store.change(lambda db: db.execute(_MOVE, values).rowcount) != 1:
            message = f"another process has cosigned {head.origin} with our key"
            raise InternalError("cosigner-moved", message, hint="run one gateway per ledger")


async def open_cosigner(log: Log, signer: Signer) -> Cosigner:
    """The cosigner with what it has cosigned up to now.

    Args:
        log: our own log, in whose database the rows are.
        signer: has the key.
    """
    vkey = signer.cosigner_key.encode()
    rows = await log.read(lambda reader, _: reader.cosigned(vkey))
    cosigned = {row[0]: Cosigned(Checkpoint(*row[:3]), row[3], row[4]) for row in rows}
    return Cosigner(log, signer, cosigned)


def _check(last: Cosigned, head: Checkpoint) -> None:
    """Rule 2.

    Raises:
        RefusedError: `cosigned-larger`, `cosigned-another`.
    """
    if head.size < last.head.size:
        message = f"{head.origin} was cosigned at {last.head.size} already, beyond {head.size}"
        raise RefusedError("cosigned-larger", message)
    if head.size == last.head.size and head.root != last.head.root:
        message = f"{head.origin} was cosigned at {head.size} with another root"
        raise RefusedError("cosigned-another", message)

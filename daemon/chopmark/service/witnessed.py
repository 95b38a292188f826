"""Which logs a gateway cosigns by HTTP, by which key, and what it holds of each."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import Note, Signature
from chopmark.core.ports import WitnessSigner
from chopmark.ledger.cosigned import Cosigned
from chopmark.ledger.floors import move_last, read_last
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import LogState
from chopmark.ledger.witness import Cosigned as CosignedHead
from chopmark.ledger.witness import Cosigner
from chopmark.service.config_model import WitnessLog
from chopmark.service.submissions import RETRY, Witnessed

LOG: Final = logging.getLogger("chopmark.witness")


@dataclass(frozen=True, slots=True)
class RowDesk:
    """A key and its rows in our own log's database; implements `submissions.Desk`.

    Attributes:
        log: our own log.
        origin: of the log that is cosigned.
        own: the key.
        sign: makes the cosignature.
    """

    log: Log
    origin: str
    own: Callable[[], VerifierKey | None]
    sign: Callable[[Checkpoint, int], Awaitable[Signature]]

    @property
    def key(self) -> VerifierKey | None:
        """The key; None while the token has not shown it."""
        return self.own()

    async def last(self) -> Cosigned | None:
        """The newest checkpoint cosigned.

        Raises:
            TryAgainError: `floor-unknown`; see `ledger.floors`.
        """
        origin, vkey = self.origin, self._vkey()
        return await self.log.read(lambda reader, _: reader.look(read_last, origin, vkey))

    async def cosign(
        self, head: Checkpoint, note: Note, before: Cosigned | None, time: int
    ) -> Cosigned | None:
        """Sign, then store by compare-and-swap; None if the row has moved meanwhile.

        Raises:
            TryAgainError: the HSM is away, or the disk refused: nothing was stored.
            InternalError: `commit-unknown`.
        """
        signature = await self.sign(head, time)
        signed = note.with_signature(signature).encode()
        after = Cosigned(head.size, head.root, time, signed)
        origin, vkey = self.origin, self._vkey()
        moved = await self.log.write(
            lambda store: store.change(lambda db: move_last(db, origin, vkey, before, after))
        )
        return after if moved else None

    def _vkey(self) -> str:
        key = self.own()
        if key is None:
            raise TryAgainError("hsm-away", "the HSM does not show the key", retry_after=RETRY)
        return key.encode()


@dataclass(frozen=True, slots=True)
class MemberDesk:
    """Our cosigner, which cosigns what replicas hold by itself too; implements `submissions.Desk`.

    Attributes:
        cosigner: has the rows of the cosigner key.
        origin: of the log that is cosigned.
    """

    cosigner: Cosigner
    origin: str

    @property
    def key(self) -> VerifierKey | None:
        """The key."""
        return self.cosigner.key

    async def last(self) -> Cosigned | None:
        """The newest checkpoint cosigned."""
        last = self.cosigner.last(self.origin)
        return None if last is None else _row(last)

    async def cosign(
        self, head: Checkpoint, note: Note, _before: Cosigned | None, time: int
    ) -> Cosigned | None:
        """See `Cosigner.cosign`; None if a larger head was cosigned meanwhile."""
        try:
            return _row(await self.cosigner.cosign(head, note, time))
        except RefusedError as error:
            if error.code in ("cosigned-larger", "cosigned-another"):
                return None
            raise


def _row(made: CosignedHead) -> Cosigned:
    return Cosigned(made.head.size, made.head.root, made.time, made.note)


def member_log(replica: Replica, cosigner: Cosigner) -> Witnessed:
    """A member's log: the cosigner key signs what its replica holds."""

    async def hold(head: Checkpoint) -> None:
        await _hold(replica, head)

    desk = MemberDesk(cosigner, replica.origin)
    return Witnessed(
        replica.origin, replica.member.log_keys, desk, observe=replica.observe_head, hold=hold
    )


def foreign_logs(log: Log, others: Sequence[WitnessLog], signer: WitnessSigner) -> list[Witnessed]:
    """The configured logs of others: the witness key signs what follows from before."""

    def own() -> VerifierKey | None:
        return signer.witness_key

    made = []
    for other in others:
        desk = RowDesk(log, other.origin, own, signer.cosign_foreign)
        one = Witnessed(other.origin, (other.log_key,), desk)
        made.append(one if other.pin is None else replace(one, pin=other.pin))
    return made


async def _hold(replica: Replica, head: Checkpoint) -> None:
    """Refuse a head that is not the newest that the replica holds.

    Raises:
        TryAgainError: `not-replicated`.
        RefusedError: `log-forked`.
    """

    def root(reader: Reader, state: LogState) -> tuple[int, bytes | None]:
        size = state.head.size
        return size, reader.root_at(head.size) if head.size == size else None

    size, held = await replica.log.read(root)
    if replica.conflict is not None or (held is not None and held != head.root):
        message = f"{replica.origin} has shown two histories: nothing of it is cosigned"
        raise RefusedError("log-forked", message)
    if size != head.size:
        message = f"the replica holds {size} entries of {replica.origin}, not {head.size}"
        hint = "it is cosigned once the replica is there; come again"
        raise TryAgainError("not-replicated", message, hint=hint, retry_after=RETRY)

"""Which logs a gateway cosigns by HTTP, and what it holds of each."""

from collections.abc import Sequence

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.ports import Signer, WitnessSigner
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import LogState
from chopmark.service.config_model import WitnessLog
from chopmark.service.submissions import RETRY, Witnessed


def member_log(replica: Replica, signer: Signer) -> Witnessed:
    """A member's log: the cosigner key signs what its replica holds."""

    async def hold(head: Checkpoint) -> None:
        await _hold(replica, head)

    return Witnessed(
        replica.origin,
        (replica.member.log_key,),
        lambda: signer.cosigner_key,
        signer.cosign,
        observe=replica.observe_head,
        hold=hold,
    )


def foreign_logs(logs: Sequence[WitnessLog], signer: WitnessSigner) -> list[Witnessed]:
    """The configured logs of others: the witness key signs what follows from before."""

    def own() -> VerifierKey | None:
        return signer.witness_key

    made = []
    for log in logs:
        one = Witnessed(log.origin, (log.log_key,), own, signer.cosign_foreign)
        pin = log.pin
        made.append(one if pin is None else Witnessed(one.origin, one.keys, own, one.cosign, pin))
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

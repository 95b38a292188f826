"""Who waits for cosignatures of our own log: the quorum's, and those of a kind's notaries."""

import asyncio
from collections.abc import Collection, Iterable
from functools import partial

from chopmark.ledger.log import Log
from chopmark.ledger.worker import Worker
from chopmark.service.signing import Signing


class Awaiting:
    """Waits until an entry is witnessed, and gives its proof.

    Args:
        log: our log.
        reading: where proofs are made.
        kinds: of documents that demand notaries.
    """

    def __init__(self, log: Log, reading: Worker, kinds: Iterable[str] = ()) -> None:
        self._quorum = Signing(log, reading, lambda: log.state.witnessed_size)
        self._notaries = {
            kind: Signing(log, reading, partial(_notarised, log, kind)) for kind in kinds
        }

    async def proof(self, index: int, seconds: float, kind: str) -> bytes | None:
        """The proof of an entry of this kind; None if time ran out. Raises as `Signing.proof`."""
        return await self._notaries.get(kind, self._quorum).proof(index, seconds)

    async def wait(self, index: int, seconds: float, kinds: Collection[str]) -> bool:
        """Wait until entries of these kinds, up to an index, are witnessed; false if time ran out.

        The notaries' heads have the quorum too.
        """
        due = [self._notaries[kind] for kind in kinds if kind in self._notaries]
        waits = (one.wait(index, seconds) for one in due or [self._quorum])
        return all(await asyncio.gather(*waits))

    def head_moved(self) -> None:
        """More was cosigned: those whom it serves wait no more."""
        for one in (self._quorum, *self._notaries.values()):
            one.head_moved()


def _notarised(log: Log, kind: str) -> int:
    size, _ = log.state.notarised.get(kind, (0, b""))
    return size

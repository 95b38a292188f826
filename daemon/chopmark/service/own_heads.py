"""Heads of our own log that others show us, compared with the log itself."""

from chopmark.core.evidence import Evidence
from chopmark.core.member import Member
from chopmark.core.refute import refute_head
from chopmark.ledger.forks import find_evidence
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState
from chopmark.service.forks import LOG, Forks


class OwnHeads:
    """Compares heads of our own log that others show us with the log itself."""

    def __init__(self, own: Member, log: Log, forks: Forks) -> None:
        self._own = own
        self._log = log
        self._forks = forks

    async def observe(self, note: bytes) -> None:
        """Take the note of a head.

        Raises:
            ChopmarkError: what `open_checkpoint` raises; `past-key`; `not-recorded` if the disk
                refused.
        """
        signed = self._own.read_vouched(note)
        head, text = signed.checkpoint, signed.encode()
        if head.size > self._log.state.size:
            message = "a head of our own log beyond what we hold: size %d"
            LOG.error(message, head.size, extra={"code": "own-head"})
            return

        def compare(reader: Reader, state: LogState) -> tuple[bool, Evidence | None]:
            refuted = find_evidence(reader, state, None, lambda ours: refute_head(ours, head, text))
            return reader.root_at(head.size) == head.root, refuted

        same, evidence = await self._log.read(compare)
        if not same:
            LOG.error("our own key has signed another head of size %d", head.size)
        if evidence is not None and self._forks.of(self._own.origin) is None:
            await self._forks.found(evidence)

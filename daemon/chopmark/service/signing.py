"""Hands out the proofs of new entries: those that one head covers are made in one go."""

import asyncio
from collections.abc import Callable, Sequence

from chopmark.core.errors import ChopmarkError
from chopmark.ledger.gather import Gather
from chopmark.ledger.log import Log
from chopmark.ledger.worker import Worker


class Signing:
    """Proofs of our own log's entries, for callers that wait for the signature, or the quorum.

    Args:
        log: our log.
        reading: where proofs are made.
        size: how far the log has what is waited for; its signed size, if None.
    """

    def __init__(self, log: Log, reading: Worker, size: Callable[[], int] | None = None) -> None:
        self._log = log
        self._size = size or (lambda: log.signed_size)
        self._proofs = Gather(reading, self._prove_all, "proofs")
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []

    async def proof(self, index: int, seconds: float) -> bytes | None:
        """The proof of an entry as soon as such a head covers it; None if time ran out.

        Raises:
            ChopmarkError: it is covered, and its proof cannot be read.
        """
        covered = await self.wait(index, seconds)
        return await self._proofs.ask(index) if covered else None

    async def wait(self, index: int, seconds: float) -> bool:
        """Wait until such a head covers an entry; false if time ran out."""
        return index < self._size() or await self._wait(index, seconds)

    def head_moved(self) -> None:
        """The head moved: those that it covers wait no more."""
        size = self._size()
        due = [future for index, future in self._waiting if index < size]
        self._waiting = [one for one in self._waiting if one[0] >= size]
        for future in due:
            if not future.done():  # its caller has left
                future.set_result(True)

    async def _wait(self, index: int, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((index, future))
        timer = loop.call_later(seconds, self._give_up, index, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _give_up(self, index: int, future: asyncio.Future[bool]) -> None:
        if not future.done():
            self._waiting.remove((index, future))
            future.set_result(False)

    def _prove_all(self, indexes: Sequence[int]) -> list[bytes | Exception]:
        """On the readers' thread."""
        try:
            proofs = self._log.read_now(lambda reader, state: reader.proofs(indexes, state))
            return [proof.encode() for proof in proofs]
        except ChopmarkError:  # one that is damaged must not keep the others from theirs
            return [self._prove(index) for index in indexes]

    def _prove(self, index: int) -> bytes | Exception:
        try:
            return self._log.read_now(lambda reader, state: reader.proof(index, state)).encode()
        except ChopmarkError as error:
            return error

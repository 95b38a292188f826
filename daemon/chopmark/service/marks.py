"""Writes the head mark: at the start of a run, every minute while there are changes, at its end."""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from chopmark.core.errors import ConfigurationError, TryAgainError
from chopmark.core.mark import EPOCH, HeadMark
from chopmark.core.ports import MarkKeeper
from chopmark.ledger.epoch import Epochs, finish, read_epochs, settle, stop_clean
from chopmark.ledger.log import Log

LOG: Final = logging.getLogger("chopmark")


class Marks:
    """The mark in the token, as one run of the gateway keeps it.

    Attributes:
        last: what the token holds, as far as we know.
        refused: why the token keeps no mark, or None.
    """

    def __init__(
        self,
        log: Log,
        keeper: MarkKeeper,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._log = log
        self._keeper = keeper
        self._random = random
        self._epoch = b""
        self._tried: HeadMark | None = None
        self._sure = True
        self.last: HeadMark | None = None
        self.refused: str | None = None

    async def read(self) -> tuple[HeadMark | None, Epochs]:
        """What the token holds, and what the ledger says to it.

        Raises:
            TryAgainError: the HSM is away.
            RefusedError: `bad-mark`.
        """
        self.last = await self._keeper.read_mark()
        return self.last, await self._log.write(lambda store: store.change(read_epochs))

    async def begin(self) -> None:
        """Write a fresh epoch into ledger and token; what was just read must have fitted.

        If it does not come to its end, read and begin again.

        Raises:
            TryAgainError: the HSM is away, the disk is full, or (`mark-refused`) the token that
                has a mark takes no other.
            RefusedError: `mark-moved`: another gateway has written the token since.
        """
        held = self.last.epoch if self.last else None
        self._epoch = fresh = self._random(EPOCH)
        await self._log.write(lambda store: store.change(lambda db: settle(db, held, fresh)))
        try:
            await self.write()
        except ConfigurationError as error:
            if self.last is not None:
                hint = "see that the token has room and may be written"
                raise TryAgainError(error.code, error.message, hint=hint, retry_after=60) from error
            self._give_up(error)
            return
        await self._log.write(lambda store: store.change(finish))

    @property
    def due(self) -> bool:
        """Whether the head has moved since the mark was written."""
        held = self.last.head if self.last else None
        return self.refused is None and held != self._log.state.head

    async def write(self, *, clean: bool = False) -> None:
        """Write the newest head.

        Raises:
            TryAgainError: the HSM is away.
            RefusedError: `mark-moved`, `bad-mark`.
            ConfigurationError: `mark-refused`.
        """
        if not self._sure:  # the last try may have been carried out after we stopped to wait
            found = await self._keeper.read_mark()
            if found == self._tried:
                self.last = found
        counter = self.last.counter + 1 if self.last else 1
        mark = HeadMark(self._log.state.head, counter, self._epoch, clean)
        self._tried, self._sure = mark, False
        await self._keeper.write_mark(mark, self.last)
        self.last, self._sure = mark, True

    async def end(self) -> None:
        """The run ends in order, and signs nothing more; raises as `write`.

        With entries that were recorded, and not signed, it was not in order: a ledger that is
        taken back from the peers has none of them.
        """
        state = self._log.state
        clean = state.size == state.head.size
        if clean:
            await self._log.write(lambda store: store.change(stop_clean))
        if self.refused is None:
            await self.write(clean=clean)

    def _give_up(self, error: ConfigurationError) -> None:
        self.refused = error.message
        LOG.warning("no protection against rollback: %s", error.message, extra={"code": error.code})


def is_clean(mark: HeadMark | None, epochs: Epochs, log: Log) -> bool:
    """Whether the last run stopped in order, by the token's word and the ledger's."""
    return mark is not None and mark.clean and epochs.clean and mark.head == log.state.head

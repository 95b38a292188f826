"""A token's head mark in software, as a real one, that fails where a test wants."""

from dataclasses import dataclass

from chopmark.core.errors import ConfigurationError, RefusedError, TryAgainError
from chopmark.core.mark import HeadMark


class PowerCutError(Exception):
    """The process ended here."""


@dataclass
class SoftToken:
    """Implements `core.ports.MarkKeeper`.

    Attributes:
        mark: what it holds.
        cut: the power goes `before` or `after` the next mark is written.
        away: it does not answer.
        refuses: it takes no marks.
    """

    mark: HeadMark | None = None
    cut: str = ""
    away: bool = False
    refuses: bool = False
    writes: int = 0

    async def read_mark(self) -> HeadMark | None:
        self._answer()
        return self.mark

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        self._answer()
        if self.refuses:
            raise ConfigurationError("mark-refused", "the token keeps no head mark")
        if self.mark not in (after, mark):
            raise RefusedError("mark-moved", "the head mark was written by another gateway")
        if self.cut == "before":
            raise PowerCutError
        assert self.mark is None or self.mark == mark or mark.counter == self.mark.counter + 1
        self.mark = mark
        self.writes += 1
        if self.cut == "after":
            raise PowerCutError

    def _answer(self) -> None:
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=1)

"""What a command of the console is given: a line of bytes, and a person at the end of it.

Commands know nothing of ports, terminals or echoes. `session` makes a `Desk` over any `Wire`;
tests make one over a pair of queues.
"""

from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from chopmark.core.errors import ChopmarkError

Language = Literal["en", "zh-Hans", "zh-Hant"]


class HungUpError(ChopmarkError):
    """The other end is gone: unplugged, hung up, or nobody has read for too long."""


class InterruptedByUserError(ChopmarkError):
    """Ctrl-C: what was going on ends, and the prompt comes back."""


class Wire(Protocol):
    """Bytes to and from a terminal, as they are."""

    async def read(self) -> bytes:
        """Give at least one byte.

        Raises:
            HungUpError: `hung-up`.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Return when all is handed over, at the pace of the line.

        Raises:
            HungUpError: `hung-up`, or `nobody-reads` after the time that a full line may last.
        """
        ...


class Desk(Protocol):
    """One person at a terminal.

    Attributes:
        language: in which the person reads.
        plain: only ASCII may be sent.
        width: columns of the terminal.
        speed: bits a second of the line; None if it has none.
    """

    language: Language
    plain: bool
    width: int

    @property
    def speed(self) -> int | None:
        """See above."""
        ...

    async def say(self, text: str = "") -> None:
        """Show lines, page by page; whatever is in the text is inert.

        Raises:
            InterruptedByUserError: Ctrl-C, or `q` at `--more--`.
            HungUpError: see `Wire`.
        """
        ...

    async def ask(self, prompt: str, *, secret: bool = False, default: str = "") -> str:
        """Ask for one line, without its end; `secret` is not echoed and not kept.

        Raises:
            InterruptedByUserError: Ctrl-C or Ctrl-D.
            HungUpError: see `Wire`.
        """
        ...

    def raw(self) -> AbstractAsyncContextManager[Wire]:
        """The line itself, for a transfer; the desk does not touch it meanwhile."""
        ...

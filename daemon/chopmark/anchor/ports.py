"""What anchoring needs from the rest of the gateway, as protocols; `service` plugs it in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from chopmark.core.transaction import Anchor

Word = Literal["good", "ahead", "ignored", "fork", "bad"]
"""What an anchor was found to be: of the history that is held here; of entries that are not here
yet; by a key that does not count (any more); signed by the log and of another history, of which
there is evidence then; or in contradiction to what it should be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What comparing a note gave.

    Attributes:
        reason: for what is `ignored`, `fork` or `bad`, in words.
    """

    word: Word
    reason: str | None = None


class Account(Protocol):
    """The gateway's account on the chain."""

    @property
    def kind(self) -> Literal["hsm", "software"]:
        """Whether its key is in the HSM, or in a file."""
        ...

    @property
    def account(self) -> str | None:
        """`0x…`; None while its key is not there."""
        ...

    @property
    def is_missing(self) -> bool:
        """Whether its key is known not to be there."""
        ...

    async def sign(self, anchor: Anchor) -> bytes:
        """The transaction's bytes.

        Raises:
            MissingError: `no-chain-key`.
            TryAgainError: nothing was signed.
        """
        ...


class OwnLog(Protocol):
    """Our own log."""

    @property
    def origin(self) -> str:
        """Its name."""
        ...

    def newest(self) -> bytes | None:
        """The note of its newest witnessed checkpoint; None while there is none."""
        ...


class Histories(Protocol):
    """All logs that are held here, ours too."""

    def size(self, origin: str) -> int:
        """Entries that are held."""
        ...

    async def compare(self, origin: str, notes: Sequence[bytes]) -> list[Finding]:
        """Compare heads that were anchored with what is held.

        What two signatures of the log prove becomes evidence as with any head, whoever shows it;
        a head that lies ahead is sought from now on.

        Raises:
            TryAgainError: the disk refused; ask again.
        """
        ...

"""What the mesh needs from the ledger; `ledger` has it, `service` brings the two together."""

from collections.abc import Sequence
from typing import Protocol

from chopmark.core.errors import ChopmarkError


class HeldLog(Protocol):
    """A log whose signed entries we hold: ours, or a replica."""

    @property
    def origin(self) -> str:
        """The log's name."""
        ...

    @property
    def signed_size(self) -> int:
        """Size of the newest signed head whose entries are all here."""
        ...

    @property
    def head_note(self) -> bytes | None:
        """The note of that head; None before the first."""
        ...

    @property
    def seen_notes(self) -> Sequence[bytes]:
        """Further signed heads of it that were seen: above that one, or contradicting it."""
        ...

    async def package(self, start: int) -> tuple[bytes, int]:
        """The package of signed entries from `start` on, and the index after its last entry.

        Raises:
            MissingError: `not-signed` if no signed entry is there.
        """
        ...


class FollowedLog(HeldLog, Protocol):
    """The replica of a peer's log, which grows by what the mesh brings."""

    @property
    def peer(self) -> str:
        """Member id of the peer."""
        ...

    @property
    def size(self) -> int:
        """Entries that are stored, some perhaps beyond the newest head reached."""
        ...

    @property
    def missing(self) -> int:
        """Entries that a signed head promises and that are not here yet."""
        ...

    @property
    def conflict(self) -> str | None:
        """Why the log is not followed any more."""
        ...

    @property
    def paused(self) -> bool:
        """Whether there is no room for what catch-up would bring."""
        ...

    async def ingest(self, payloads: list[bytes], senders: list[str]) -> int:
        """Verify packages and store what is new; durable once it returns.

        Bad packages are counted, not raised, against the senders of each: members that were asked
        for it, or empty for the log's own gateway. Gives the number of entries added.

        Raises:
            TryAgainError: `not-recorded`: nothing was stored; the same may be offered again.
        """
        ...

    async def observe_head(self, note: bytes) -> None:
        """Learn of a signed head; durable, as far as it brings anything, once it returns.

        Raises:
            ChopmarkError: the note is bad.
            TryAgainError: `not-recorded`; the same may be offered again.
        """
        ...

    async def observe_announced(self, note: bytes) -> None:
        """Take a head that its owner announces for witnessing; see `observe_head`."""
        ...

    async def observe_cosignature(self, note: bytes) -> None:
        """Take a heartbeat; see `observe_head`."""
        ...

    def drop(self, error: ChopmarkError, sender: str = "") -> None:
        """Count and log a message that was refused, against its sender or the log's gateway."""
        ...

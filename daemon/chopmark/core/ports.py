"""What the core needs from outside, as protocols; `service` plugs the real things in."""

from typing import Protocol

from chopmark.core.blinding import SaltKey
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.core.note import Signature
from chopmark.core.roster import Roster


class Clock(Protocol):
    """The guarded clock of the gateway."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class AuditSink(Protocol):
    """Takes note of what people and the box do (docs/formats/audit.md)."""

    def note(
        self, action: str, *, actor: str = "gateway", outcome: str = "done", **about: str | int
    ) -> None:
        """Take note of something, now.

        Returns at once, raises nothing, and may be called from any task of the event loop; the
        record is durable a moment later. Too many of a kind within a minute are counted only.

        Args:
            action: what was done, a stable code such as `hsm.away`.
            actor: who did it; the gateway itself by default.
            outcome: how it ended, or the code of an error.
            about: what it was about; longer texts than a record may hold are cut short.
        """
        ...

    async def settle(self) -> None:
        """Wait until what was noted is durable, at most some seconds: before a person is told."""
        ...


class NoAudit:
    """Takes note of nothing: for parts that run without a gateway."""

    def note(
        self, action: str, *, actor: str = "gateway", outcome: str = "done", **about: str | int
    ) -> None:
        """Forget it."""

    async def settle(self) -> None:
        """There is nothing to wait for."""


class Signer(Protocol):
    """Signs typed objects, never bytes, with keys that stay in the HSM.

    Safe to call from many tasks; calls are served one at a time. Each signature was verified in
    software before it is returned. Every method raises `TryAgainError` (`hsm-away`) while the
    HSM does not answer; nothing is signed then, and trying again is safe.
    """

    @property
    def log_key(self) -> VerifierKey:
        """The key that signs checkpoints; its name is the origin."""
        ...

    @property
    def cosigner_key(self) -> VerifierKey:
        """The key that cosigns checkpoints."""
        ...

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        """Sign a head of our own log."""
        ...

    async def cosign(
        self, checkpoint: Checkpoint, time: int, *, refresh: bool = False
    ) -> Signature:
        """Cosign a head as of `time`, in seconds since the Unix epoch.

        Args:
            checkpoint: of our own log, as a heartbeat, or of another.
            time: seconds, positive.
            refresh: it is cosigned already; this one may wait for all others.
        """
        ...

    async def sign_roster(self, roster: Roster) -> Signature:
        """Sign a version of the roster with the log key.

        That only one text of a version is signed is for the caller to see to.
        """
        ...


class MarkKeeper(Protocol):
    """Keeps the head mark where no restored disk brings it back. Raises as `Signer`."""

    async def read_mark(self) -> HeadMark | None:
        """The mark, or None if there is none.

        Raises:
            RefusedError: `bad-mark`: what stands in its place is no mark of our log.
        """
        ...

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        """Put a mark in the place of `after`; trying again is harmless.

        Raises:
            RefusedError: `mark-moved`: another mark is there; `bad-mark`.
            ConfigurationError: `mark-refused`: this token takes no such object.
        """
        ...


class SaltKeeper(Protocol):
    """Keeps the keys that seal the seeds of blinded attestations. Raises as `Signer`."""

    async def random(self, count: int) -> bytes:
        """Random bytes of the token's generator; none if it has none."""
        ...

    async def read_salt_keys(self) -> tuple[SaltKey, ...]:
        """The salt keys of our log, the oldest first."""
        ...

    async def write_salt_key(self, key: SaltKey) -> None:
        """Keep a salt key; trying again is harmless.

        Raises:
            ConfigurationError: `salt-key-refused`: this token takes no such object.
        """
        ...

    async def destroy_salt_keys(self, before: int) -> int:
        """Destroy the salt keys that began before a time (ms), for good; gives how many."""
        ...


class WitnessSigner(Protocol):
    """Cosigns for logs that are no member's, by a key and name that no policy of ours contains.

    What `Signer` promises holds here too.
    """

    @property
    def witness_key(self) -> VerifierKey | None:
        """The key; None if the token has none, or was not seen yet."""
        ...

    async def cosign_foreign(self, checkpoint: Checkpoint, time: int) -> Signature:
        """Cosign a head of a log that is no member's, as of `time` in seconds since the epoch."""
        ...

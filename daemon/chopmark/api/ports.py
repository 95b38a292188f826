"""What the API needs from the gateway; `service` provides it.

Every method may raise a `ChopmarkError`; the API maps it to problem details and does nothing else.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.dealings import Dealings
from chopmark.api.found import DocumentsOut
from chopmark.core.catalogue import Terms
from chopmark.core.compact import End, Header, Run
from chopmark.core.digest import Digests
from chopmark.core.draft import PLAINLY, Asking, Draft, Drafts, Earlier, Recorded
from chopmark.core.idempotency import Key
from chopmark.core.verdict import Question, Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """One verification: at least one of digests, proof and reference (`origin#index`) is there."""

    digests: Digests | None
    proof: bytes | None
    reference: tuple[str, int] | None
    question: Question


Until = Literal["witnessed", "signed"]
"""What a request waits for."""
Duplicates = Literal["first", "again"]
"""What becomes of a document that the client has had attested before: the answer is the first
attestation that lives, or it is attested again."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """How far an entry has come, and its proof.

    Attributes:
        state: `witnessed`, `signed`, or `recorded`: then there is no proof yet.
        provisional: whether the proof lacks a quorum that is demanded.
    """

    state: Literal["witnessed", "signed", "recorded"]
    proof: bytes | None = None
    provisional: bool = False

    @classmethod
    def signed(cls, proof: bytes | None, *, provisional: bool = False) -> Self:
        """What is signed, if there is a proof that it is."""
        if proof is None:
            return cls("recorded")
        return cls("signed", proof, provisional)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this gateway is, for other gateways' configuration; vkeys as text.

    Attributes:
        chain: its account on a chain, where it has one.
    """

    id: str
    origin: str
    log_vkey: str
    cosigner_vkey: str
    institution: str
    jurisdiction: str
    kinds: tuple[str, ...]
    chain: str | None = None


class Rosters(Protocol):
    """The roster: which version is in force, and what an operator does about it."""

    def show(self) -> dict[str, Any]:
        """The version in force as JSON (docs/api.md)."""
        ...

    async def sign(self, data: bytes, *, confirmed: bool = False) -> bytes:
        """Sign a text, or one more line under a note; gives the note. One text of a version.

        `confirmed`: nothing else of this version was signed, though the record may be lost.
        """
        ...

    async def publish(self, data: bytes) -> dict[str, Any]:
        """Take a version that follows the one in force, or a suspension, and tell the others."""
        ...

    async def pin(self, data: bytes, fingerprint: str) -> dict[str, Any]:
        """Put a version in force whose fingerprint, in hexadecimal or words, an operator gives."""
        ...


class Keys(Protocol):
    """The keys in the token of this gateway."""

    async def keys(self) -> list[dict[str, Any]]:
        """Those of ours, and what else lies in the token."""
        ...

    async def generate(self, role: Literal["log", "cosigner"]) -> dict[str, Any]:
        """Make one that signs nothing yet."""
        ...

    async def activate(self, vkey: str) -> list[dict[str, Any]]:
        """Let one sign in place of the one before (`no-such-key`, `key-not-in-roster`)."""
        ...

    async def retire(self, vkey: str) -> list[dict[str, Any]]:
        """Destroy one for good (`no-such-key`, `key-in-use`)."""
        ...

    async def destroy(self, label: str, fingerprint: str) -> list[dict[str, Any]]:
        """Destroy a leftover for good (`no-such-key`, `key-in-use`, `ambiguous-key`)."""
        ...


class Hsm(Protocol):
    """The HSM of this gateway."""

    def describe(self) -> dict[str, Any]:
        """How it is, as JSON (docs/api.md)."""
        ...

    async def unlock(self, pin: str) -> dict[str, Any]:
        """Give the PIN, which is tried once (`hsm-ready`, `malformed-pin`, `pin-latched`)."""
        ...

    async def unlatch(self) -> dict[str, Any]:
        """Let the PIN be tried again, once (`pin-latched`)."""
        ...

    async def maintain(self, *, on: bool) -> dict[str, Any]:
        """Take the HSM out of use, or into use again."""
        ...


class Forks(Protocol):
    """The evidence of forks that this gateway holds."""

    def describe(self) -> list[dict[str, Any]]:
        """All of it, as JSON (docs/api.md)."""
        ...

    async def release(self, data: bytes) -> dict[str, Any]:
        """Follow a forked log again, as two officers have signed."""
        ...


class Gateway(Protocol):
    """The gateway's own log, its replicas, and its state."""

    @property
    def rosters(self) -> Rosters:
        """The roster."""
        ...

    @property
    def forks(self) -> Forks:
        """The evidence of forks."""
        ...

    @property
    def dealings(self) -> Dealings:
        """Consents, uses and traces."""
        ...

    @property
    def hsm(self) -> Hsm:
        """The HSM."""
        ...

    @property
    def rotation(self) -> Keys:
        """The keys in the token."""
        ...

    def now_ms(self) -> int:
        """The guarded clock, ms since the Unix epoch."""
        ...

    def identity(self) -> Identity:
        """Who we are, without the account."""
        ...

    def export(self) -> Identity:
        """Who we are, with all that other gateways' configuration must say."""
        ...

    def check_draft(self, draft: Draft) -> Terms:
        """Refuse what the catalogue of kinds does; gives what is to be set.

        Looks at `kind`, `valid_until`, `blinded` and whether `sm3` is there: a batch asks once for
        each four of them.
        """
        ...

    async def check_supersedes(self, index: int, draft: Draft) -> None:
        """Refuse a supersession of anything but an earlier attestation of our log, of its kind."""
        ...

    async def earlier(self, key: Key) -> Earlier | None:
        """What an idempotency key stands for already; None if it is new (`key-reused`)."""
        ...

    async def record(
        self, drafts: Sequence[Draft | Drafts], seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        """Append attestations as one run; they are durable once this returns.

        What is known already is not appended, be it by its idempotency key or as a duplicate:
        `Recorded.known` says so. A key is kept in the transaction of its entry.

        Digests are bare; those of blinded drafts are hidden here. Runs are appended in the order
        of the calls, those with blinded drafts in their own; several may be waiting at once.
        `TryAgainError` (`not-recorded`, `hsm-away`, `queue-full`) means that nothing was recorded.
        A deadline that passes while the commit is under way waits for its result. Cancelling takes
        back what has not begun; what has begun is recorded, though nobody is told.
        """
        ...

    async def request_runs(self, header: Header, client: str = "") -> list[Run]:
        """What is recorded of a client's request in compact form, from the header's offset on.

        Another client's request of the same id is another request.

        Raises `RefusedError` (`compact-gap`, `compact-mismatch`).
        """
        ...

    async def compare_compact(self, header: Header, run: Run, digests: bytes) -> None:
        """Refuse digests that are not the ones recorded from this run's first one on.

        There may be fewer than the run has. Raises `RefusedError` (`compact-mismatch`).
        """
        ...

    async def record_compact(
        self, header: Header, first: int, drafts: Drafts, seconds: float, client: str = ""
    ) -> Run:
        """As `record`, for the digests of a request from its number `first` on.

        Which these are is recorded with them, so that `request_runs` knows. `RefusedError`
        (`request-moved`) if they do not follow what is recorded of the request by then.
        """
        ...

    async def end_compact(self, runs: Sequence[Run]) -> End | None:
        """The end of an answer with these signed runs; None if there is no signed head yet."""
        ...

    async def revoke(
        self, index: int, reason: int, seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        """Append a revocation of an earlier attestation of our log (`no-such-attestation`).

        One that says what another one says already is that one; one that would not count beside
        it is refused (`already-revoked`).
        """
        ...

    async def wait_signed(self, index: int, seconds: float) -> bool:
        """Wait until a signed head covers this index of our log; false if time ran out."""
        ...

    def demands_quorum(self) -> bool:
        """Whether the policy of our log demands that others cosign it."""
        ...

    async def wait_witnessed(self, index: int, seconds: float, kinds: Collection[str] = ()) -> bool:
        """As `wait_signed`, until a quorum has cosigned such a head, where one is demanded.

        And until the notaries of these kinds of documents have, where they demand some.
        """
        ...

    async def awaited_proof(
        self, index: int, until: Until, seconds: float, kind: str = ""
    ) -> Awaited:
        """The proof of an entry of our log, once it has come so far, or time has run out.

        Witnessed is what a quorum has cosigned, and the notaries of its kind if it demands some.
        Where no quorum is demanded, nothing comes after `signed`. Raises for an entry that is
        signed and whose proof cannot be read.
        """
        ...

    async def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        """The proof of an entry of our log (member is our id) or of a replica.

        That of a blinded entry has its salt, unless it is `bare`; `MissingError` (`salt-gone`) if
        that is not here (any more), `ForbiddenError` (`salt-not-yours`) if it is not the caller's.
        """
        ...

    async def proofs(self, indexes: Sequence[int]) -> list[bytes]:
        """Proofs of our own signed entries, in this order."""
        ...

    async def verify(self, asked: Asked) -> Verdict:
        """The verdict from our own replicas."""
        ...

    async def documents(
        self, digest: bytes, after: str | None, limit: int, *, with_sm3: bool
    ) -> DocumentsOut:
        """Attestations of a digest in our log and all replicas, page by page.

        Args:
            digest: 32 bytes.
            after: `next` of the page before; None for the first.
            limit: attestations on a page, at most.
            with_sm3: it is an SM3 digest, not SHA-256.

        Raises:
            MalformedError: `malformed-cursor`.
            TryAgainError: `index-rebuilding`, `overloaded`.
        """
        ...

    async def entries(self, member: str, after: int, limit: int) -> tuple[list[bytes], int]:
        """Entries of a log after an index, at most `limit`, and the log's signed size."""
        ...

    async def browse(self, member: str, asked: Browsed) -> LedgerOut:
        """A page of a log's signed entries, the newest first (`no-such-member`)."""
        ...

    async def wait_entry(self, member: str, index: int, seconds: float) -> None:
        """Wait until a signed head covers this index of a log; not longer than it takes to stop."""
        ...

    def policy(self, member: str) -> str:
        """The trust policy for a member's log, as tlog-policy text."""
        ...

    def status(self) -> dict[str, Any]:
        """State of the gateway as JSON (docs/api.md)."""
        ...

    def peers(self) -> list[dict[str, Any]]:
        """State of each replica as JSON (docs/api.md)."""
        ...

    async def round_trip(self, member: str) -> float:
        """Seconds that a question to a peer and its answer take.

        Raises:
            MissingError: `no-such-member`.
            TryAgainError: `no-reply`, `broker-away`.
        """
        ...

    def replicas(self) -> list[dict[str, Any]]:
        """What is held of each peer's log, as JSON (docs/api.md)."""
        ...

    def rates(self) -> dict[str, Any]:
        """How much was done each minute of the last day, as JSON (docs/api.md)."""
        ...

    def not_ready(self) -> list[str]:
        """Why the gateway is not ready, in words; empty when it is."""
        ...

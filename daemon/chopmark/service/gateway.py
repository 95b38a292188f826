"""The gateway as the API sees it: our log, the replicas and the HSM brought together."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.dealings import Dealings
from chopmark.api.found import DocumentsOut
from chopmark.api.identity import CALLER
from chopmark.api.ports import Asked, Awaited, Forks, Hsm, Identity, Keys, Rosters, Until
from chopmark.core.catalogue import Catalogue, Terms
from chopmark.core.compact import End, Header, Run
from chopmark.core.draft import PLAINLY, Asking, Draft, Drafts, Earlier, Recorded
from chopmark.core.entry import REASONS
from chopmark.core.errors import (
    ChopmarkError,
    MissingError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.idempotency import Key
from chopmark.core.member import Member
from chopmark.core.ports import AuditSink, Clock, NoAudit
from chopmark.core.proof import Proof
from chopmark.core.verdict import Verdict
from chopmark.ledger.duplicates import check_grave, find_named
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.requests import Claim, scope
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.store import LogState
from chopmark.service.auditing import noted
from chopmark.service.awaiting import Awaiting
from chopmark.service.browsing import Browsing
from chopmark.service.compact import compare, make_end, read_runs
from chopmark.service.documents import Documents
from chopmark.service.following import Following
from chopmark.service.named import (
    check_replaceable,
    check_revocable,
    check_salt_of,
    revoked_before,
)
from chopmark.service.salts import Hidden, Salts
from chopmark.service.signing import Signing
from chopmark.service.verifier import Verifier


class Reporter(Protocol):
    """Tells how the gateway is."""

    def status(self) -> dict[str, Any]:
        """State as JSON."""
        ...

    def peers(self) -> list[dict[str, Any]]:
        """State of each replica as JSON."""
        ...

    async def round_trip(self, member: str) -> float:
        """Seconds that a question to a peer and its answer take."""
        ...

    def replicas(self) -> list[dict[str, Any]]:
        """What is held of each peer's log, as JSON."""
        ...

    def not_ready(self) -> list[str]:
        """Why the gateway is not ready."""
        ...

    def rates(self) -> dict[str, Any]:
        """How much was done, as JSON."""
        ...


class GatewayService:
    """Implements `api.ports.Gateway`."""

    dealings: Dealings
    """Set by who brings the parts together."""
    account: Callable[[], str | None] = staticmethod(lambda: None)
    """Likewise, where our heads are anchored: gives the account that does."""

    def __init__(
        self,
        own: Member,
        sequencer: Sequencer,
        logs: Mapping[str, Log],
        signing: Signing,
        verifier: Verifier,
        documents: Documents,
        reporter: Reporter,
        clock: Clock,
        rosters: Rosters,
        rotation: Keys,
        hsm: Hsm,
        forks: Forks,
        witnessing: Awaiting | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._catalogue = Catalogue(own) if catalogue is None else catalogue
        self.rosters = rosters
        self.rotation = rotation
        self.hsm = hsm
        self._own = own
        self._witnessing = witnessing
        self._sequencer = sequencer
        self._logs = logs
        self._signing = signing
        self._verifier = verifier
        self._documents = documents
        self._browsing = Browsing(logs)
        self._reporter = reporter
        self._clock = clock
        self._identity = _identify(own)
        self._following = Following()
        self.audit: AuditSink = NoAudit()
        self.salts: Salts | None = None
        self.forks = forks

    def now_ms(self) -> int:
        """The clock."""
        return self._clock.now_ms()

    def identity(self) -> Identity:
        """Who we are, without the account."""
        return self._identity

    def export(self) -> Identity:
        """Who we are, with our account on a chain, where there is one."""
        return replace(self._identity, chain=self.account() or self._own.chain)

    def check_draft(self, draft: Draft) -> Terms:
        """Refuse what the catalogue of kinds does; gives what it has set.

        Raises:
            RefusedError: see `Catalogue.check`.
        """
        return self._catalogue.check(draft, self._clock.now_ms())

    async def check_supersedes(self, index: int, draft: Draft) -> None:
        """Refuse a supersession of what may not be superseded; see `service.named`."""
        await check_replaceable(self._log(self._own.id), index, draft)

    async def earlier(self, key: Key) -> Earlier | None:
        """What an idempotency key stands for; see `ledger.duplicates.find_named`."""
        now = self._clock.now_ms()
        log = self._log(self._own.id)
        found: Earlier | None = await log.read(
            lambda reader, state: find_named(reader, key, state.size, now)
        )
        return found

    async def record(
        self, drafts: Sequence[Draft | Drafts], seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        """Append attestations as one run; see `Sequencer.record`."""
        if not any(draft.blinded for draft in drafts):
            return await self._sequencer.record(drafts, seconds, asking=asking)
        alike = asking.again or all(draft.blinded for draft in drafts)
        if len(drafts) > 1 and (asking.keys or not alike):
            return await self._record_each(drafts, seconds, asking)
        if not asking.again:
            await self._check_graves(drafts)
        hidden = await self._hide(drafts, 0, seconds)
        return await self._sequencer.record(
            hidden.drafts, seconds, sealed=hidden.sealed, asking=asking
        )

    async def _check_graves(self, drafts: Sequence[Draft | Drafts]) -> None:
        """Before they are blinded, what the sequencer does with bare digests: of single ones."""
        if len(drafts) == 1 and isinstance(draft := drafts[0], Draft):
            log = self._log(self._own.id)
            await log.read(lambda reader, state: check_grave(reader, draft, state.size))

    async def _record_each(
        self, drafts: Sequence[Draft | Drafts], seconds: float, asking: Asking
    ) -> Recorded:
        """Each as a run of its own: of a run that is blinded no entry may be left out."""
        keys = [{0: asking.keys[at]} if at in asking.keys else {} for at in range(len(drafts))]
        works = [
            self.record([draft], seconds, msgspec.structs.replace(asking, keys=key))
            for draft, key in zip(drafts, keys, strict=True)
        ]
        results = await asyncio.gather(*works, return_exceptions=True)
        return Recorded(0, 0, 0, {at: one_of(result) for at, result in enumerate(results)})

    async def request_runs(self, header: Header, client: str = "") -> list[Run]:
        """What is recorded of a client's request; see `service.compact.read_runs`."""
        log = self._log(self._own.id)
        named = replace(header, request=scope(client, header.request))
        runs: list[Run] = await log.read(lambda reader, _: read_runs(reader, named))
        return runs

    async def compare_compact(self, header: Header, run: Run, digests: bytes) -> None:
        """Compare digests with what is recorded; see `service.compact.compare`."""
        log = self._log(self._own.id)
        await log.read(lambda reader, _: compare(reader, header, run, digests, log.origin))

    async def record_compact(
        self, header: Header, first: int, drafts: Drafts, seconds: float, client: str = ""
    ) -> Run:
        """Append part of a request as one run; see `Sequencer.record`."""
        claim, asking = Claim(scope(client, header.request), first), Asking(client)
        hidden = await self._hide([drafts], first, seconds) if drafts.blinded else None
        items, sealed = (hidden.drafts, hidden.sealed) if hidden else ([drafts], None)
        recorded = await self._sequencer.record(items, seconds, claim, sealed, asking)
        end = drafts.valid_until if header.valid_until is None else None  # set by the catalogue
        seed = hidden.seed if hidden else None
        return Run(first, recorded.start, recorded.count, recorded.made_at, end, seed)

    async def end_compact(self, runs: Sequence[Run]) -> End | None:
        """The end of an answer; see `service.compact.make_end`."""
        log = self._log(self._own.id)
        end: End | None = await log.read(lambda reader, state: make_end(reader, state, runs))
        return end

    async def revoke(
        self, index: int, reason: int, seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        """Append a revocation.

        Raises:
            RefusedError: `no-such-attestation`, `no-such-reason`; and what `record` raises.
            ExistsError: `already-revoked`.
        """
        work = self._revoke(index, reason, seconds, asking)
        return await noted(self.audit, "revocation", work, index=index, reason=reason)

    async def _revoke(self, index: int, reason: int, seconds: float, asking: Asking) -> Recorded:
        if not 0 <= reason < len(REASONS):
            hint = ", ".join(f"{code} {text}" for code, text in enumerate(REASONS))
            raise RefusedError("no-such-reason", f"there is no reason {reason}", hint=hint)
        log = self._log(self._own.id)
        await check_revocable(log, index)
        earlier = await revoked_before(log, index, reason)
        if earlier is not None:
            return Recorded(0, 0, 0, {0: earlier})
        return await self._sequencer.record([(index, reason)], seconds, asking=asking)

    async def wait_signed(self, index: int, seconds: float) -> bool:
        """Wait until a signed head covers an index."""
        return await self._sequencer.wait_signed(index, seconds)

    def demands_quorum(self) -> bool:
        """Whether the policy of our log demands that others cosign it."""
        return self._witnessing is not None

    async def wait_witnessed(self, index: int, seconds: float, kinds: Collection[str] = ()) -> bool:
        """Wait until entries of these kinds are witnessed; at once if no quorum is demanded."""
        if self._witnessing is None:
            return await self.wait_signed(index, seconds)
        return await self._witnessing.wait(index, seconds, kinds)

    async def awaited_proof(
        self, index: int, until: Until, seconds: float, kind: str = ""
    ) -> Awaited:
        """The proof of an entry of our log, once it is signed or witnessed."""
        if self._witnessing is None:
            return Awaited.signed(await self._signing.proof(index, seconds))
        if until == "witnessed":
            proof = await self._witnessing.proof(index, seconds, kind)
            if proof is not None:
                return Awaited("witnessed", proof)
            seconds = 0
        return Awaited.signed(await self._signing.proof(index, seconds), provisional=True)

    async def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        """The proof of an entry.

        Raises:
            MissingError: `no-such-member`, `not-signed`, `salt-gone`.
            ForbiddenError: `salt-not-yours`.
        """
        caller, own = CALLER.get(), member == self._own.id

        def read(reader: Reader, state: LogState) -> Proof:
            if own and not bare and 0 <= index < state.head.size:
                check_salt_of(caller, reader, index)
            return reader.proof(index, state, bare=bare)

        proof: Proof = await self._log(member).read(read)
        return proof.encode()

    async def proofs(self, indexes: Sequence[int]) -> list[bytes]:
        """Proofs of our own signed entries."""

        def read(reader: Reader, state: LogState) -> list[bytes]:
            return [proof.encode() for proof in reader.proofs(indexes, state)]

        return await self._log(self._own.id).read(read)

    async def verify(self, asked: Asked) -> Verdict:
        """The verdict from our own replicas."""
        return await self._verifier.verify(asked)

    async def documents(
        self, digest: bytes, after: str | None, limit: int, *, with_sm3: bool
    ) -> DocumentsOut:
        """Attestations of a digest; see `service.documents`."""
        return await self._documents.page(digest, after, limit, with_sm3=with_sm3)

    async def entries(self, member: str, after: int, limit: int) -> tuple[list[bytes], int]:
        """Entries after an index, and the signed size.

        Raises:
            MissingError: `no-such-member`.
        """

        def read(reader: Reader, state: LogState) -> tuple[list[bytes], int]:
            start = max(0, after + 1)
            end = min(start + limit, state.head.size)
            return (reader.entries(start, end) if start < end else []), state.head.size

        return await self._log(member).read(read)

    async def browse(self, member: str, asked: Browsed) -> LedgerOut:
        """A page of a log; see `service.browsing`.

        Raises:
            MissingError: `no-such-member`.
        """
        self._log(member)
        return await self._browsing.page(member, asked)

    async def wait_entry(self, member: str, index: int, seconds: float) -> None:
        """Wait until a signed head covers this index of a log, or time is up, or we stop.

        Raises:
            MissingError: `no-such-member`.
        """
        await self._following.wait(self._log(member), index, seconds)

    def stop_waiting(self) -> None:
        """Let requests go that wait for entries: they must not hold up the end."""
        self._following.stop()

    def policy(self, member: str) -> str:
        """The trust policy for a member's log."""
        return self._verifier.policy(self._log(member).origin).encode()

    def status(self) -> dict[str, Any]:
        """State of the gateway."""
        return self._reporter.status()

    def peers(self) -> list[dict[str, Any]]:
        """State of each replica."""
        return self._reporter.peers()

    async def round_trip(self, member: str) -> float:
        """Seconds that a question to a peer and its answer take; raises as the port says."""
        self._log(member)
        return await self._reporter.round_trip(member)

    def replicas(self) -> list[dict[str, Any]]:
        """What is held of each peer's log."""
        return self._reporter.replicas()

    def not_ready(self) -> list[str]:
        """Why the gateway is not ready."""
        return self._reporter.not_ready()

    def rates(self) -> dict[str, Any]:
        """How much was done each minute of the last day, as JSON."""
        return self._reporter.rates()

    async def _hide(self, drafts: Sequence[Draft | Drafts], first: int, seconds: float) -> Hidden:
        if self.salts is None:
            raise RuntimeError("nothing can be blinded here")
        try:
            async with asyncio.timeout(seconds):
                return await self.salts.hide(drafts, first)
        except TimeoutError:
            message = "the deadline passed before the attestation was blinded"
            hint = "is the HSM slow? send it again"
            raise TryAgainError("not-recorded", message, hint=hint, retry_after=1) from None

    def _log(self, member: str) -> Log:
        log = self._logs.get(member)
        if log is None:
            hint = f"known here: {', '.join(self._logs)}"
            raise MissingError("no-such-member", f"no member {member!r} is known here", hint=hint)
        return log


def _identify(own: Member) -> Identity:
    keys = (own.log_key.encode(), own.cosigner_key.encode())
    kinds = tuple(sorted(own.kinds))
    return Identity(own.id, own.origin, *keys, own.institution, own.jurisdiction, kinds)


def one_of(result: Recorded | BaseException) -> Earlier | ChopmarkError:
    """What became of a run of one entry."""
    if isinstance(result, ChopmarkError):
        return result
    if isinstance(result, BaseException):
        raise result
    known = result.known.get(0)
    return known or Earlier(result.start, result.made_at, duplicate=False)

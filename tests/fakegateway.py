"""A gateway for tests of the API: a FAKE, in memory, without log, HSM or peers.

It enforces the contract of `chopmark.api.ports`: a call that the real gateway would not stand
(an unchecked draft, a proof of an unsigned entry, a negative wait) fails the test.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.dealings import ConsentAsked, Made, TraceAsked, UseAsked
from chopmark.api.found import DocumentsOut, FoundOut, SearchedOut
from chopmark.api.leaves import describe_entry
from chopmark.api.ports import Asked, Awaited, Identity, Until
from chopmark.core.blinding import blind_all
from chopmark.core.catalogue import Terms
from chopmark.core.columns import make_columns
from chopmark.core.compact import End, Header, Run, beside, run_drafts
from chopmark.core.draft import PLAINLY, Asking, Draft, Drafts, Earlier, Recorded
from chopmark.core.entry import Attestation, Revocation, encode_entry, parse_entry
from chopmark.core.errors import ChopmarkError, MissingError, RefusedError
from chopmark.core.idempotency import Key, key_reused
from chopmark.core.judge import decide
from chopmark.core.trace import Report
from chopmark.core.verdict import Facts, Issuer, Match, Source, Verdict

NOW = 1_795_352_400_000
"""2026-11-22T13:00:00Z"""
YEARLY = "kyc-report"
"""A kind that the catalogue demands SM3 of, and a validity of a year."""
HIDDEN = "credit-file"
"""A kind that the catalogue demands to be blinded."""
SEED = bytes(range(32))
"""Of all blinded runs."""
YEAR = 365 * 86_400_000
WHO = Identity(
    "hk-1",
    "bank-hk.example/hk-1",
    "bank-hk.example/hk-1+00000000+AA==",
    "bank-hk.example/hk-1/cosigner+00000000+AA==",
    "Bank of Hong Kong (example)",
    "HK",
    ("*",),
)


class FakeDealings:
    """Has no attestation to consent to, no valid document to use, and nothing to trace."""

    async def consent(self, asked: ConsentAsked, seconds: float, asking: Asking) -> Made:
        assert seconds >= 0
        assert asking.again
        raise RefusedError("no-such-attestation", f"entry {asked.index} is no attestation")

    async def use(self, asked: UseAsked, seconds: float, asking: Asking) -> Made:
        assert seconds >= 0
        assert asking.again
        raise RefusedError("document-not-valid", f"for {asked.purpose}: it is unknown")

    async def trace(self, asked: TraceAsked) -> dict[str, Any]:
        assert asked.digests or asked.proof or asked.records
        report = Report(
            asked_at="2026-11-22T13:00:00.000Z",
            as_of=None,
            digests=None,
            parties={},
            policies={},
            steps=[],
        )
        values: dict[str, Any] = msgspec.to_builtins(report)
        return values


@dataclass
class FakeGateway:
    """The gateway's log as a list of entries.

    Attributes:
        fail_verify: called before each verification; may raise.
        fail_record: called before each record with its drafts; may raise.
        gate: when cleared, `record` hangs until it is set: a slow disk.
        signer: when cleared, `wait_signed` hangs: a slow HSM, and a clock that stands still.
        signing: when false, waiting always runs out of time.
        witnessing: whether the quorum comes; None if none is demanded.
        reasons: why it is not ready.
        askings: how entries were asked for.
        keys: what idempotency keys stand for, with their fingerprints.
        known: what of a run, by its entries, was there before.
    """

    leaves: list[bytes] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    looked_up: list[tuple[bytes, str | None, int, bool]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    fail_record: Callable[[Sequence[Draft | Drafts]], None] = lambda _: None
    fail_verify: Callable[[Asked], None] = lambda _: None
    verifying: int = 0
    most_verifying: int = 0
    fail_wait: ChopmarkError | None = None
    fail_proof: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    signer: asyncio.Event = field(default_factory=asyncio.Event)
    signing: bool = True
    witnessing: bool | None = None
    reasons: list[str] = field(default_factory=list)
    requests: dict[tuple[str, bytes], list[Run]] = field(default_factory=dict)
    waited: list[int] = field(default_factory=list)
    recording: int = 0
    most_recording: int = 0
    cancelled: int = 0
    askings: list[Asking] = field(default_factory=list)
    looked: list[Key] = field(default_factory=list)
    keys: dict[bytes, tuple[bytes, Earlier]] = field(default_factory=dict)
    known: Callable[[Sequence[bytes]], Mapping[int, Earlier | ChopmarkError]] = lambda _: {}

    dealings: FakeDealings = field(default_factory=FakeDealings)

    def __post_init__(self) -> None:
        self.gate.set()
        self.signer.set()
        self._terms: set[tuple[str, int | None, bool]] = set()
        self._superseded: set[int] = set()
        self.waited_kinds: set[str] = set()

    def now_ms(self) -> int:
        return NOW

    def identity(self) -> Identity:
        return WHO

    def export(self) -> Identity:
        return replace(WHO, chain="0x" + "ab" * 20)

    def check_draft(self, draft: Draft) -> Terms:
        if draft.kind == "credit-report":
            raise RefusedError("kind-not-allowed", f"may not issue {draft.kind}")
        if draft.valid_until is not None and draft.valid_until <= NOW:
            raise RefusedError("already-expired", "the validity has ended already")
        end = draft.valid_until
        if draft.kind == YEARLY:
            if draft.sm3 is None:
                raise RefusedError("digest-missing", "SM3 is due")
            end = NOW + YEAR if end is None else end
        terms = Terms(end, draft.blinded or draft.kind == HIDDEN)
        self._terms.add((draft.kind, *terms))
        return terms

    async def check_supersedes(self, index: int, draft: Draft) -> None:
        self._superseded.add(index)
        entry = parse_entry(self.leaves[index]) if index < len(self.leaves) else None
        if not isinstance(entry, Attestation):
            raise RefusedError("no-such-attestation", f"entry {index} is no attestation")
        if entry.kind != draft.kind and entry.sha256 != draft.sha256:
            raise RefusedError("kind-differs", f"entry {index} is of the kind {entry.kind}")

    async def earlier(self, key: Key) -> Earlier | None:
        self.looked.append(key)
        if key.id not in self.keys:
            return None
        fingerprint, earlier = self.keys[key.id]
        if fingerprint != key.fingerprint:
            raise key_reused()
        return earlier

    async def record(
        self, drafts: Sequence[Draft | Drafts], seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        assert drafts
        self.askings.append(asking)
        assert seconds >= 0
        for draft in drafts:
            terms = (draft.kind, draft.valid_until, draft.blinded)
            assert terms in self._terms, "not checked"
            assert draft.supersedes is None or draft.supersedes in self._superseded, "not checked"
        self.recording += 1
        self.most_recording = max(self.most_recording, self.recording)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
            self.fail_record(drafts)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.recording -= 1
        leaves = _make(drafts, 0)
        known = self.known(leaves)
        left = [leaf for place, leaf in enumerate(leaves) if place not in known]
        return replace(self._append(left), known=known)

    async def record_compact(
        self, header: Header, first: int, drafts: Drafts, seconds: float, client: str = ""
    ) -> Run:
        assert drafts.kind == header.kind
        recorded = await self.record([drafts], seconds, Asking(client))
        self.leaves[recorded.start :] = _make([drafts], first)
        runs = self.requests.setdefault((client, header.request), [])
        if first != (runs[-1].first + runs[-1].count if runs else 0):
            del self.leaves[recorded.start :]
            raise RefusedError("request-moved", f"not {first}")
        end = drafts.valid_until if header.valid_until is None else None
        seed = SEED if drafts.blinded else None
        runs.append(Run(first, recorded.start, recorded.count, recorded.made_at, end, seed))
        return runs[-1]

    async def request_runs(self, header: Header, client: str = "") -> list[Run]:
        runs = self.requests.get((client, header.request), [])
        if header.offset > sum(run.count for run in runs):
            raise RefusedError("compact-gap", "less is recorded")
        cut = [(run, min(run.count, max(0, header.offset - run.first))) for run in runs]
        made = [replace(r, first=r.first + n, start=r.start + n, count=r.count - n) for r, n in cut]
        return [run for run in made if run.count]

    async def compare_compact(self, header: Header, run: Run, digests: bytes) -> None:
        assert digests
        count = len(digests) // header.width
        assert count <= run.count
        drafts = run_drafts(header, run, digests, run.first, WHO.origin)
        wanted = list(make_columns(drafts, run.made_at))
        if self.leaves[run.start : run.start + count] != wanted:
            raise RefusedError("compact-mismatch", "another digest")

    async def end_compact(self, runs: Sequence[Run]) -> End | None:
        assert self.signing
        if not self.leaves:
            return None
        return End(b"note", (bytes(32),) * (len(beside(runs, len(self.leaves)))))

    def _append(self, leaves: list[bytes]) -> Recorded:
        start = len(self.leaves)
        self.leaves += leaves
        self.groups.append(len(leaves))
        return Recorded(start, len(leaves), NOW)

    async def revoke(
        self, index: int, reason: int, seconds: float, asking: Asking = PLAINLY
    ) -> Recorded:
        assert seconds >= 0
        self.askings.append(asking)
        if index >= len(self.leaves) or not isinstance(
            parse_entry(self.leaves[index]), Attestation
        ):
            raise RefusedError("no-such-attestation", f"entry {index} is no attestation")
        return self._append([encode_entry(Revocation(NOW, index, reason))])

    async def wait_signed(self, index: int, seconds: float) -> bool:
        assert 0 <= seconds <= 60
        assert index < len(self.leaves), "waits for an entry that is not there"
        if self.fail_wait is not None:
            raise self.fail_wait
        await self.signer.wait()
        return self.signing

    def demands_quorum(self) -> bool:
        return self.witnessing is not None

    async def wait_witnessed(self, index: int, seconds: float, kinds: Collection[str] = ()) -> bool:
        self.waited_kinds = set(kinds)
        return await self.wait_signed(index, seconds) and self.witnessing is not False

    async def awaited_proof(
        self, index: int, until: Until, seconds: float, kind: str = ""
    ) -> Awaited:
        self.waited_kinds = {kind}
        if not await self.wait_signed(index, seconds):
            return Awaited("recorded")
        proof = await self.proof(WHO.id, index)
        if self.witnessing and until == "witnessed":
            return Awaited("witnessed", proof)
        return Awaited("signed", proof, provisional=self.witnessing is not None)

    async def proof(self, member: str, index: int, *, bare: bool = False) -> bytes:
        if self.fail_proof is not None:
            raise self.fail_proof
        if member != WHO.id or index >= len(self.leaves):
            raise MissingError("no-such-entry", f"no entry {index} of {member}")
        assert self.signing, "a proof of an entry that is not signed"
        note = "bare" if bare else "note"
        return f"c2sp.org/tlog-proof@v1\nindex {index}\n\n— “{note}”\n".encode()

    async def proofs(self, indexes: Sequence[int]) -> list[bytes]:
        assert 0 < len(indexes) <= 256
        return [await self.proof(WHO.id, index) for index in indexes]

    async def verify(self, asked: Asked) -> Verdict:
        assert (asked.digests, asked.proof, asked.reference) != (None, None, None)
        self.asked.append(asked)
        self.verifying += 1
        self.most_verifying = max(self.most_verifying, self.verifying)
        await asyncio.sleep(0)
        self.verifying -= 1
        self.fail_verify(asked)
        issuer = Issuer(WHO.id, WHO.origin, WHO.institution, WHO.jurisdiction)
        found = []
        for index, leaf in enumerate(self.leaves):
            entry = parse_entry(leaf)
            digests = asked.digests
            if isinstance(entry, Attestation) and digests and entry.sha256 == digests.sha256:
                facts = Facts(issuer, index, entry, Source.OWN, Match.ALL, as_of=NOW)
                found.append(facts)
        return decide(found, asked.question, NOW)

    async def documents(
        self, digest: bytes, after: str | None, limit: int, *, with_sm3: bool
    ) -> DocumentsOut:
        assert len(digest) == 32
        assert 1 <= limit <= 256
        self.looked_up.append((digest, after, limit, with_sm3))
        found = [
            FoundOut(WHO.id, WHO.origin, WHO.institution, index, "live", entry.kind)
            for index, entry in enumerate(map(parse_entry, self.leaves))
            if isinstance(entry, Attestation)
            and digest == (entry.sm3 if with_sm3 else entry.sha256)
        ]
        return DocumentsOut(found, [SearchedOut(WHO.id, len(self.leaves), None)], None)

    async def entries(self, member: str, after: int, limit: int) -> tuple[list[bytes], int]:
        if member != WHO.id:
            raise MissingError("no-such-log", f"no log of {member}")
        return self.leaves[after + 1 : after + 1 + limit], len(self.leaves)

    async def browse(self, member: str, asked: Browsed) -> LedgerOut:
        if member != WHO.id:
            raise MissingError("no-such-member", f"no log of {member}")
        below = len(self.leaves) if asked.before is None else asked.before
        some = list(enumerate(self.leaves[:below]))[::-1][: asked.limit]
        entries = [describe_entry(index, leaf) for index, leaf in some]
        return LedgerOut(entries, len(self.leaves), some[-1][0] or None if some else None)

    async def wait_entry(self, member: str, index: int, seconds: float) -> None:
        assert member == WHO.id
        assert index >= 0
        assert 0 < seconds <= 60
        self.waited.append(index)

    def policy(self, member: str) -> str:
        if member != WHO.id:
            raise MissingError("no-such-log", f"no log of {member}")
        return f"log {WHO.log_vkey}\nquorum none\n"

    def status(self) -> dict[str, Any]:
        return {"id": WHO.id, "origin": WHO.origin, "ready": not self.reasons}

    def peers(self) -> list[dict[str, Any]]:
        return [{"id": "sz-1", "state": "following"}]

    async def round_trip(self, member: str) -> float:
        if member != "sz-1":
            raise MissingError("no-such-member", f"{member!r} is no peer")
        return 0.0042

    def replicas(self) -> list[dict[str, Any]]:
        return [{"id": "sz-1", "size": 0, "frozen": None}]

    def rates(self) -> dict[str, Any]:
        none: list[int] = []
        counts = {"recorded": none, "verified": none, "replicated": none}
        return {"step_seconds": 60, "until": "2026-11-22T13:00:00.000Z", **counts}

    def not_ready(self) -> list[str]:
        return self.reasons


def _make(drafts: Sequence[Draft | Drafts], first: int) -> list[bytes]:
    """The entries: blinded ones have whole minutes, and so has `NOW`."""
    hidden = blind_all(drafts, WHO.origin, SEED, first)
    return [leaf for draft in hidden for leaf in make_columns(draft.columns(), NOW)]

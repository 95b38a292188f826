"""Answers a verification from our own log and the replicas; nothing is asked over the network."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from chopmark.api.ports import Asked
from chopmark.core.check import (
    compare,
    facts_from_proof,
    lacks_notaries,
    read_attestation,
)
from chopmark.core.digest import Digests
from chopmark.core.errors import MalformedError, MissingError, TryAgainError
from chopmark.core.judge import decide, with_pruned
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.policy import NONE, Policy
from chopmark.core.proof import Proof, parse_proof
from chopmark.core.quorum import Generated
from chopmark.core.verdict import (
    Anchored,
    Facts,
    Issuer,
    Match,
    Pruned,
    Question,
    Source,
    Verdict,
    Word,
)
from chopmark.core.wording import explain_no_entry
from chopmark.ledger.forks import good_size, vouched_size
from chopmark.ledger.gather import Gather
from chopmark.ledger.pruning import PrunedError
from chopmark.ledger.worker import Worker
from chopmark.service.askings import check_question
from chopmark.service.shelf import (
    Shelf,
    add_warning,
    contradicted,
    entitle,
    prune,
    rejected,
    unvouched,
    with_references,
)

Times = Mapping[str, int | None]
"""By origin, the time (ms) up to which each log was known to be complete."""


Found = tuple[list[Facts], int | None, list[Pruned]]
"""Facts, the time (ms) up to which all logs that were searched are known to be complete, and what
may be of the document but has no body any more."""


class Verifier:
    """Verifies documents.

    Attributes:
        counts: the verdicts that were given.
    """

    def __init__(
        self,
        shelves: Iterable[Shelf],
        reading: Worker,
        max_age: Callable[[str], int],
        policies: Mapping[str, Generated] | None = None,
        past: Callable[[Member], Iterable[Generated]] = lambda _: (),
        blinded: Collection[str] = (),
        kinds: Collection[str] = (),
    ) -> None:
        self._shelves: Mapping[str, Shelf] = {shelf.member.origin: shelf for shelf in shelves}
        self._searches = Gather(reading, self._search_all, "verifications")
        self._max_age = max_age
        self._policies = policies or {}
        self._past = past
        self._blinded = blinded
        self._kinds = kinds
        self._cosigners = lru_cache(maxsize=64)(_read_cosigners)
        self.on_pruned: Callable[[str, int], None] = lambda _origin, _index: None
        self.anchored: Callable[[str, int], Anchored | None] = lambda _origin, _index: None
        self.counts: Counter[Word] = Counter()

    def policy(self, origin: str) -> Policy:
        """The policy for a log.

        Raises:
            MissingError: `no-such-member`.
        """
        shelf = self._shelves.get(origin)
        if shelf is None:
            raise MissingError("no-such-member", f"no log {origin} is known here")
        known = self._policies.get(origin)
        return Policy(shelf.member.log_keys) if known is None else known.policy

    async def verify(self, asked: Asked) -> Verdict:
        """The verdict.

        Raises:
            MalformedError: if the proof cannot be read at all.
            RefusedError: what `check_question` raises.
        """
        proof = parse_proof(asked.proof) if asked.proof is not None else None
        facts, as_of, pruned = await self._searches.ask((asked, proof))
        for one in pruned:
            self.on_pruned(one.issuer.origin, one.index)
        if proof is not None:
            await self._observe(proof)
        _check_here(pruned)
        verdict = decide(facts, asked.question, as_of, self._blinded)
        verdict = with_pruned(verdict, pruned, asked.question)
        issuers = (shelf.issuer for shelf in self._shelves.values())
        check_question(verdict, asked.question, issuers, self._kinds)
        self.counts[verdict.word] += 1
        if verdict.word is not Word.UNKNOWN:
            return verdict
        return self._warn_unknown(self._explain_reference(verdict, asked), asked.question)

    def _explain_reference(self, verdict: Verdict, asked: Asked) -> Verdict:
        """Of an unknown document: that there is no such entry, if one was pointed at."""
        if asked.reference is None:
            return verdict
        origin, index = asked.reference
        shelf = self._shelves.get(origin)
        size = None if shelf is None else shelf.log.signed_size
        sentence = explain_no_entry(origin, index, size, sorted(self._shelves))
        if asked.digests is not None:
            sentence = f"{sentence} {verdict.sentence}"
        return replace(verdict, sentence=sentence)

    def _warn_unknown(self, verdict: Verdict, question: Question) -> Verdict:
        """Nothing may be known here because it was in a history that officers have not kept."""
        told = [
            f" Warning about {shelf.member.origin}: {warning}."
            for shelf in self._asked_of(question)
            if (warning := shelf.warning()) is not None
        ]
        return replace(verdict, sentence=verdict.sentence + "".join(told)) if told else verdict

    def _asked_of(self, question: Question) -> list[Shelf]:
        """The logs that could hold what is asked for."""
        expected = question.expect_issuer
        return [
            shelf
            for shelf in self._shelves.values()
            if expected in (None, shelf.member.id, shelf.member.origin, shelf.member.institution)
        ]

    async def _observe(self, proof: Proof) -> None:
        """Let the replica know of a proof, as of any head that is shown to us."""
        shelf = self._shelves.get(proof.checkpoint().origin)
        if shelf is not None and shelf.observe_proof is not None:
            with suppress(MalformedError, TryAgainError):  # it proves nothing; it comes again
                await shelf.observe_proof(proof)

    def _search_all(
        self, questions: Sequence[tuple[Asked, Proof | None]]
    ) -> list[Found | Exception]:
        """On the readers' thread: one after the other, and what goes wrong for one is its own."""
        found: list[Found | Exception] = []
        for asked, proof in questions:
            try:
                found.append(self._search(asked, proof))
            except Exception as error:  # noqa: BLE001 - it is raised where the question came from
                found.append(error)
        return found

    def _search(self, asked: Asked, proof: Proof | None) -> Found:
        """All facts, and the time up to which they are complete.

        The times are taken before anything is read: a replica that grows meanwhile must not vouch
        for a look that was taken before.
        """
        now = asked.question.now
        times = {origin: shelf.as_of(now) for origin, shelf in self._shelves.items()}
        pruned: list[Pruned] = []
        facts = self._gather(asked, proof, times, pruned)
        known = {(fact.issuer.origin, fact.index) for fact in facts}
        unknown = [one for one in pruned if (one.issuer.origin, one.index) not in known]
        return facts, self._as_of(asked, times), unknown

    def _as_of(self, asked: Asked, times: Times) -> int | None:
        """Time up to which every log that could hold the document is known to be complete."""
        asked_of = [times[shelf.member.origin] for shelf in self._asked_of(asked.question)]
        known = [time for time in asked_of if time is not None]
        return min(known) if known and len(known) == len(asked_of) else None

    def _gather(
        self, asked: Asked, proof: Proof | None, times: Times, pruned: list[Pruned]
    ) -> list[Facts]:
        """All facts, one for each attestation; what was pointed at comes first and stays.

        What has no body any more goes into `pruned`.
        """
        facts: list[Facts] = []
        if proof is not None:
            fact = self._from_proof(proof, asked)
            known = fact.entry is not None
            facts.append(replace(fact, as_of=times[fact.issuer.origin]) if known else fact)
        if asked.reference is not None:
            facts += self._from_reference(*asked.reference, asked, times, pruned)
        if asked.digests is not None:
            for shelf in self._shelves.values():
                for index, entry in shelf.log.find(asked.digests.sha256):
                    if entry is None:
                        pruned.append(prune(shelf, index))
                    else:
                        facts.append(self._facts(shelf, index, entry, asked, times))
        facts = [self._warn(fact) for fact in facts]
        if len(facts) < 2:
            return facts
        unique = {(fact.issuer.origin, fact.index): fact for fact in reversed(facts)}
        return list(unique.values())

    def _warn(self, facts: Facts) -> Facts:
        """Add its anchor, and what every verdict about this log says."""
        origin = facts.issuer.origin
        shelf = self._shelves.get(origin)
        if facts.entry is not None and facts.problem is None:
            anchored = self.anchored(origin, facts.index)
            if anchored is not None:  # a copy costs as much as the search
                facts = replace(facts, anchored=anchored)
        return add_warning(facts, shelf.warning() if shelf is not None else None)

    def _from_reference(
        self, origin: str, index: int, asked: Asked, times: Times, pruned: list[Pruned]
    ) -> list[Facts]:
        shelf = self._shelves.get(origin)
        if shelf is None or not 0 <= index < shelf.log.signed_size:
            return []
        try:
            entry = shelf.log.read_now(lambda reader, _: reader.entry(index))
        except PrunedError:
            pruned.append(replace(prune(shelf, index), must_wait=True))
            return []
        return [replace(self._facts(shelf, index, entry, asked, times), referred=True)]

    def _from_proof(self, proof: Proof, asked: Asked) -> Facts:
        origin = proof.checkpoint().origin
        shelf = self._shelves.get(origin)
        if shelf is None:
            stranger = Issuer("", origin, origin, "")
            problem = f"the log {origin} belongs to no member that is known here"
            nothing = Facts(stranger, proof.index, None, Source.PROOF, Match.NO_DOCUMENT)
            return replace(nothing, referred=True, problem=problem)
        facts = self._judge(shelf, proof, asked)
        facts = self._with_replica(shelf, facts, proof, asked.question.now)
        return entitle(shelf, facts, asked.question.now)

    def _judge(self, shelf: Shelf, proof: Proof, asked: Asked) -> Facts:
        """What a proof tells under the policy of now, or an older one under which it is complete.

        Whether the issuer might issue this kind rests on what is known of the entry here.
        """

        def judge(policy: Policy) -> Facts:
            return facts_from_proof(proof, policy, asked.digests, shelf.issuer, lambda _: True)

        origin = shelf.member.origin
        facts = judge(self.policy(origin))
        if facts.quorum == "missing" and proof.checkpoint().size <= shelf.log.signed_size:
            for old in self._past(shelf.member):
                if (complete := judge(old.policy)).quorum == "reached":
                    return replace(complete, dropped=old.dropped)
        known = self._policies.get(origin)
        return facts if known is None else replace(facts, dropped=known.dropped)

    def _with_replica(self, shelf: Shelf, facts: Facts, proof: Proof, now: int) -> Facts:
        """Add what the replica knows about a proven attestation; compare the two histories."""
        if facts.entry is None:
            return facts
        contradiction = contradicted(shelf, proof)
        covered = facts.index < shelf.log.signed_size
        source = shelf.source if covered else facts.source
        problem = facts.problem or rejected(shelf, proof) or contradiction
        problem = problem or unvouched(shelf, proof)
        if facts.quorum == "missing" and covered and problem is None:
            facts = self._with_quorum(shelf, facts)  # it may have come since the proof was made
        facts = replace(facts, problem=problem, source=source)
        witnessed = (proof.checkpoint().size, facts.existed_by) if facts.existed_by else None
        kind = "" if facts.entry is None else facts.entry.kind
        facts = replace(self._doubt(shelf, facts, witnessed), max_age=self._max_age(kind))
        return with_references(shelf, facts, now)

    def look(
        self, origin: str, index: int, data: bytes, digests: Digests | None, now: int
    ) -> Facts:
        """What is known of one entry of a log that is held. On the readers' thread."""
        shelf = self._shelves[origin]
        asked = Asked(digests, None, None, Question(now))
        return self._facts(shelf, index, data, asked, {origin: shelf.as_of(now)})

    def _facts(self, shelf: Shelf, index: int, data: bytes, asked: Asked, times: Times) -> Facts:
        entry, problem = read_attestation(data)
        issuer, source = shelf.issuer, shelf.source
        if entry is None:
            return Facts(issuer, index, entry, source, Match.NO_DOCUMENT, problem=problem)
        facts = Facts(
            issuer,
            index,
            entry,
            source,
            compare(entry, asked.digests, issuer.origin),
            problem=problem,
            as_of=times[issuer.origin],
            max_age=self._max_age(entry.kind),
        )
        facts = with_references(shelf, facts, asked.question.now)
        facts = self._doubt(shelf, self._with_quorum(shelf, facts))
        return entitle(shelf, facts, asked.question.now)

    def _with_quorum(self, shelf: Shelf, facts: Facts) -> Facts:
        """Add what is known here of the quorum over an entry that is held here."""
        policy = self.policy(shelf.member.origin)
        kind = "" if facts.entry is None else facts.entry.kind
        if policy.for_kind(kind).quorum == NONE:
            return facts
        state = shelf.log.state
        if facts.index >= state.witnessed_size or state.witnessed_note is None:
            return replace(facts, quorum="missing", notaries=None)
        note = state.witnessed_note
        if kind in policy.notaries:
            size, note = state.notarised.get(kind, (0, b""))
            if facts.index >= size:
                return lacks_notaries(facts, policy)
        by = shelf.log.read_now(lambda reader, _: reader.existed_by(facts.index))
        keys = tuple(policy.witnesses.values())
        return replace(
            facts,
            quorum="reached",
            existed_by=None if by is None else by * 1000,
            notaries=None,
            witnesses=self._cosigners(note, shelf.member, keys),
            dropped=self._policies[shelf.member.origin].dropped,
        )

    def _doubt(self, shelf: Shelf, facts: Facts, witnessed: tuple[int, int] | None = None) -> Facts:
        """Add what it means that the log was forked, if it was (design: docs/verdicts.md, Forks).

        Args:
            shelf: the log.
            facts: about one of its entries.
            witnessed: size of a head over the entry, and the time (ms) by which a quorum had
                cosigned it, where a proof says so.
        """
        stop = shelf.stopped()
        if stop is None:
            return facts
        quorum = self.policy(shelf.member.origin).quorum != NONE
        good = shelf.log.read_now(lambda r, s: good_size(r, s, stop, quorum=quorum))
        if witnessed is not None and witnessed[0] < stop.below:
            early = stop.found_at is None or witnessed[1] <= stop.found_at
            good = max(good, witnessed[0] if early else 0)
        how = f"that was {'countersigned' if quorum else 'held here'} before that was found"
        if facts.index >= good:
            good = shelf.log.read_now(lambda r, s: vouched_size(r, s, stop, shelf.member))
            how = "for which the roster vouches"
        if facts.index >= good or facts.problem is not None:
            return replace(facts, problem=facts.problem or stop.reason)
        warning = f"{stop.reason}; this entry lies under a head {how}"
        return replace(facts, warning=warning)


def _read_cosigners(
    note: bytes, member: Member, keys: tuple[VerifierKey, ...]
) -> tuple[tuple[str, int], ...]:
    """Who has cosigned a head, and when (ms)."""
    verified = member.read_head(note, keys)[0].verified
    return tuple((one.key.name, one.time * 1000) for one in verified if one.time)


def _check_here(pruned: Iterable[Pruned]) -> None:
    """What decides must be here first.

    Raises:
        TryAgainError: `pruned`.
    """
    if any(one.must_wait for one in pruned):
        message = "the body of an attestation that decides was removed here: it is fetched again"
        raise TryAgainError("pruned", message, hint="ask again in a moment", retry_after=5)

"""Uses: recorded by the receiver, once it has verified a document for a purpose (docs/consent.md).

Rules, in this order:
1. What an idempotency key stands for is given again: a consent may have been withdrawn since.
2. The document's verdict here is valid, of just one issuer.
3. The roster has a scenario that fits, if it has any.
4. Where that demands consent, and where the roster has no scenarios, one of the consents that were
   shown holds: see `Grounds`. Where it demands none, one that holds is named all the same.
5. Rules 2 to 4 hold once more right before it is recorded, for its salt may have taken long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from chopmark.api.dealings import Made, UseAsked
from chopmark.api.ports import Asked
from chopmark.core.consent import Consent, Shown, Use, read_records, show
from chopmark.core.draft import Asking
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.member import Member
from chopmark.core.merkle import leaf_hash
from chopmark.core.proof import parse_extra, parse_proof
from chopmark.core.scenarios import Dealing, Scenarios
from chopmark.core.verdict import Facts, Question, Verdict, Word
from chopmark.service.commitments import Commitments, Grounded
from chopmark.service.grounds import Grounds
from chopmark.service.parties import Parties
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Uses:
    """Records uses in our log.

    Attributes:
        shelves: by origin, the logs that are held here.
        now: the clock, in ms.
    """

    own: Member
    shelves: Mapping[str, Shelf]
    verifier: Verifier
    commitments: Commitments
    parties: Parties
    scenarios: Scenarios
    now: Callable[[], int]

    async def record(self, asked: UseAsked, seconds: float, asking: Asking) -> Made:
        """Record one.

        Raises:
            RefusedError: `kind-not-allowed` at a notary's, `document-not-valid`, what
                `Scenarios.find` raises, and what `Grounds.find` raises.
            ChopmarkError: what verifying raises, and `Commitments.record`.
        """
        shown = [one for one in read_shown(asked.proof, asked.consents) if _is_consent(one)]
        earlier = await self.commitments.find(asking, self._guess(asked, shown))
        if earlier is not None:
            return earlier
        if self.own.is_notary:
            hint = "a notary countersigns what others attest and use"
            raise RefusedError("kind-not-allowed", "a notary's gateway uses nothing", hint=hint)
        found = await self._judge(asked, shown)  # before there is a salt
        earlier = await self.commitments.find(asking, [found.body])
        again = partial(self._judge, asked, shown)
        return earlier or await self.commitments.record(again, seconds, asking)

    async def _judge(self, asked: UseAsked, shown: Sequence[Shown]) -> Grounded:
        """The use, if document and consent let it be now; rules 2 to 4."""
        question = Question(self.now(), asked.expect_issuer)
        verdict = await self.verifier.verify(
            Asked(asked.digests, asked.proof, asked.reference, question)
        )
        facts = _choose(verdict, shown)
        shelf = self.shelves[facts.issuer.origin]
        return await shelf.log.read(lambda _r, _s: self._rest(asked, facts, shelf, shown))

    def _named(self, asked: UseAsked, facts: Facts, shown: Sequence[Shown]) -> set[str]:
        """The scenarios of consents to this use of the attestation by us."""
        about = facts.issuer.origin, facts.index, asked.purpose
        bodies = [one.body for one in shown]
        return {
            one.scenario
            for one in bodies
            if one.scenario is not None
            and (one.origin, one.index, one.purpose) == about
            and self.parties.same_institution(one.receiver, self.own)
        }

    def _guess(self, asked: UseAsked, shown: Sequence[Shown]) -> Iterator[Use]:
        """What may have been recorded when this was asked for before, under these consents."""
        names = dict.fromkeys((asked.scenario, None, *(one.name for one in self.scenarios.all)))
        for one, name in product(shown, names):
            of, rests = one.body, (one.proof.index, leaf_hash(one.entry))
            yield Use(of.origin, of.index, of.leaf, self.own.origin, asked.purpose, name, rests)

    def _rest(
        self, asked: UseAsked, facts: Facts, shelf: Shelf, shown: Sequence[Shown]
    ) -> Grounded:
        """The use, with the consent on which it rests. On the readers' thread."""
        kind = facts.entry.kind if facts.entry is not None else ""
        dealing = Dealing(kind, shelf.member, self.own, asked.purpose)
        scenario = self.scenarios.find(dealing, asked.scenario, self._named(asked, facts, shown))
        leaf = shelf.log.read_now(lambda reader, _: leaf_hash(reader.entry(facts.index)))
        policy = self.verifier.policy(shelf.member.origin)
        grounds = Grounds(shelf, policy, self.parties, self.own, self.now())
        name = None if scenario is None else scenario.name
        validity = None if scenario is None else scenario.validity
        use = Use(shelf.member.origin, facts.index, leaf, self.own.origin, asked.purpose, name)
        needed = scenario is None or scenario.consent
        found = grounds.find(shown, use, validity, needed=needed)
        if found is None or not isinstance(found.body, Consent):
            return Grounded(use)
        rests = found.proof.index, leaf_hash(found.entry)
        return Grounded(replace(use, consent=rests), found.body.until)


def read_shown(proof: bytes | None, more: Iterable[bytes]) -> list[Shown]:
    """The consents and uses that somebody shows: in a document's proof, and besides.

    Raises:
        MalformedError, RefusedError: what `show` raises.
    """
    held: list[Shown] = []
    if proof is not None:
        held += read_records(parse_extra(parse_proof(proof).extra).bodies)
    held += [show(parse_proof(one)) for one in more]
    return list({one.place: one for one in held}.values())


def _is_consent(shown: Shown) -> bool:
    return isinstance(shown.body, Consent)


def _choose(verdict: Verdict, shown: Iterable[Shown]) -> Facts:
    """The attestation that is used: of several that are valid, one that a consent names.

    Raises:
        RefusedError: `document-not-valid`.
    """
    valid = [one.facts for one in verdict.judgements if one.word is Word.VALID]
    if verdict.word is not Word.VALID or not valid:
        raise _not_valid(verdict)
    named = {(one.body.origin, one.body.index) for one in shown}
    return next((one for one in valid if (one.issuer.origin, one.index) in named), valid[0])


def _not_valid(verdict: Verdict) -> ChopmarkError:
    message = f"only a valid document can be used, and this one is {verdict.word}"
    hint = "`chopmark verify` shows the whole verdict"
    return RefusedError("document-not-valid", f"{message}: {verdict.sentence}", hint=hint)

"""Consents and uses over real logs: what is recorded, what is refused, what is given again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from anybody import ANYBODY
from bookshelves import BANKS, Book, Library, attest, revoke, sha
from chopmark.api.dealings import ConsentAsked, Made, TraceAsked, UseAsked
from chopmark.api.identity import CALLER
from chopmark.core.consent import Consent, Use, add_records, seal, show
from chopmark.core.digest import Digests
from chopmark.core.draft import PLAINLY, Asking
from chopmark.core.entry import Commitment, encode_entry, parse_entry
from chopmark.core.errors import ChopmarkError
from chopmark.core.idempotency import make_key
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof
from chopmark.core.roster import Scenario
from chopmark.core.scenarios import Scenarios
from chopmark.core.trace import HIDDEN, check_report, read_report
from chopmark.core.verdict import Source
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.worker import Worker
from chopmark.service.commitments import Commitments
from chopmark.service.consents import Consents
from chopmark.service.parties import Parties
from chopmark.service.salts import Salts
from chopmark.service.traces import Traces
from chopmark.service.uses import Uses
from chopmark.service.verifier import Verifier
from ledgers import NOW, Clock
from rosters import founding
from softkeys import SoftSigner
from softtoken import SoftSafe

LONG = 30.0
END = NOW + 1_000_000
LOAN = Scenario(
    name="loan",
    kinds=("bank-statement",),
    issuers=("CN",),
    receivers=("CN",),
    purposes=("sme-loan",),
    validity=5000,
)


class Bank:
    """A gateway that records in its own log, and holds the others'."""

    def __init__(self, library: Library, own: Book, stack: list[asyncio.Task[None]]) -> None:
        self.library, self.own = library, own
        own.source = Source.OWN
        self.clock = Clock()
        self.worker = Worker("blind")
        self.sequencer = Sequencer(own.log, SoftSigner(own.key, own.second), self.clock)
        self.salts = Salts(own.log, SoftSafe(), self.clock, self.worker)
        self.scenarios = Scenarios()
        stack.append(asyncio.create_task(self.sequencer.run()))

    @property
    def shelves(self) -> dict[str, Any]:
        return {book.key.name: book.shelf for book in self.library.books.values()}

    def parts(self) -> tuple[Any, ...]:
        members = [shelf.member for shelf in self.shelves.values()]
        commitments = Commitments(self.own.log, self.sequencer, self.salts, self.clock)
        return commitments, Parties(members), self.scenarios, lambda: NOW

    async def consent(self, asking: Asking = PLAINLY, **changes: object) -> Made:
        values: dict[str, object] = {
            "index": 0,
            "receiver": "hk-1",
            "purpose": "sme-loan",
            "until": END,
        }
        asked = ConsentAsked(**(values | changes))  # type: ignore[arg-type]
        consents = Consents(self.own.shelf.member, self.own.log, *self.parts())
        return await consents.give(asked, LONG, asking)

    def uses(self, **changes: object) -> Uses:
        own = replace(self.own.shelf.member, **changes)
        return Uses(own, self.shelves, self.verifier(), *self.parts())

    async def use(
        self, name: str, *proofs: bytes, purpose: str = "sme-loan", asking: Asking = PLAINLY
    ) -> Made:
        asked = UseAsked(Digests(sha(name)), purpose, consents=proofs)
        return await self.uses().record(asked, LONG, asking)

    def verifier(self) -> Verifier:
        return Verifier(self.shelves.values(), self.library.reading, lambda _: 86_400)

    async def trace(self, asked: TraceAsked) -> dict[str, Any]:
        traces = Traces(self.shelves, self.verifier(), self.library.reading, lambda: NOW)
        return await traces.trace(asked)

    async def shown(self, made: Made) -> bytes:
        """The proof that shows what was recorded."""
        assert await self.sequencer.wait_signed(made.entry.index, LONG)
        proof = await self.own.log.read(lambda r, s: r.proof(made.entry.index, s))
        return seal(proof, made.salt, made.body).encode()


@pytest.fixture
async def bank(library: Library, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bank]:
    """Shenzhen's gateway, which has attested a document."""
    monkeypatch.setitem(BANKS, "own-1", "Our own bank")
    CALLER.set(ANYBODY)
    library.books["own-1"].source = Source.REPLICA
    tasks: list[asyncio.Task[None]] = []
    sz = library.books["sz-1"]
    await sz.add(attest("a"))
    made = Bank(library, sz, tasks)
    yield made
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task  # what has ended it is what the test is to tell
    made.worker.close()


async def code_of(call: Any) -> str:
    with pytest.raises(ChopmarkError) as caught:
        await call
    return caught.value.code


async def test_consent_is_recorded_as_a_commitment_that_its_salt_opens(bank: Bank) -> None:
    made = await bank.consent()
    shown = show(parse_proof(await bank.shown(made)))
    assert shown.body == made.body
    assert isinstance(made.body, Consent)
    assert (made.body.receiver, made.body.until) == ("bank-hk.example/hk-1", END)
    data = await bank.own.log.read(lambda reader, _: reader.entry(made.entry.index))
    entry = parse_entry(data)
    assert isinstance(entry, Commitment)
    assert entry.type == 3


async def test_two_consents_that_say_the_same_have_other_salts(bank: Bank) -> None:
    first, second = await bank.consent(), await bank.consent()
    assert first.body == second.body
    assert first.salt != second.salt
    assert first.entry.index != second.entry.index


async def test_consent_is_given_again_by_its_key_and_only_to_the_same_request(bank: Bank) -> None:
    key = make_key("anna", "k", b"1")
    first = await bank.consent(Asking("anna", keys={0: key}))
    again = await bank.consent(Asking("anna", keys={0: key}))
    assert (again.entry.index, again.salt) == (first.entry.index, first.salt)
    other = Asking("anna", keys={0: make_key("anna", "k", b"2")})
    assert await code_of(bank.consent(other, purpose="mortgage")) == "key-reused"
    bank.clock.now += 25 * 3_600_000
    assert await code_of(bank.consent(Asking("anna", keys={0: key}), index=99)) != ""


async def test_consent_that_came_twice_at_once_is_recorded_once(bank: Bank) -> None:
    asking = Asking("anna", keys={0: make_key("anna", "k", b"1")})
    made = await asyncio.gather(*(bank.consent(asking) for _ in range(4)))
    assert len({(one.entry.index, one.salt) for one in made}) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"index": 7}, "no-such-attestation"),
        ({"receiver": "nobody"}, "no-such-member"),
        ({"until": NOW}, "already-expired"),
        ({"scenario": "loan"}, "no-such-scenario"),
    ],
)
async def test_consent_to_what_cannot_be_is_refused(
    bank: Bank, changes: dict[str, object], code: str
) -> None:
    size = bank.own.log.state.size
    assert await code_of(bank.consent(**changes)) == code
    assert bank.own.log.state.size == size


async def test_consent_to_a_notary_is_refused(bank: Bank) -> None:
    book = bank.library.books["hk-1"]
    members = [replace(book.shelf.member, role="notary"), bank.own.shelf.member]
    consents = Consents(
        bank.own.shelf.member,
        bank.own.log,
        bank.parts()[0],
        Parties(members),
        bank.scenarios,
        lambda: NOW,
    )
    asked = ConsentAsked(0, "hk-1", "sme-loan", END)
    assert await code_of(consents.give(asked, LONG, PLAINLY)) == "receiver-not-active"
    assert bank.own.log.state.size == 1


async def test_consent_to_a_revoked_document_is_refused(bank: Bank) -> None:
    await bank.own.add(revoke(0))
    assert await code_of(bank.consent()) == "attestation-over"


async def test_consent_to_a_revocation_or_a_consent_is_refused(bank: Bank) -> None:
    made = await bank.consent()
    assert await code_of(bank.consent(index=made.entry.index)) == "no-such-attestation"


async def test_scenario_bounds_what_may_be_consented_to(bank: Bank) -> None:
    roster = msgspec.structs.replace(founding(), scenario=(LOAN,))
    bank.scenarios = Scenarios(roster)
    made = await bank.consent(until=NOW + 5_000_000)
    assert made.body.scenario == "loan"
    assert await code_of(bank.consent(until=NOW + 5_000_001)) == "consent-too-long"
    assert await code_of(bank.consent(purpose="mortgage")) == "purpose-not-allowed"


async def test_use_rests_on_the_consent_that_was_shown(bank: Bank) -> None:
    own = "bank-sz.example/sz-1"
    consent = await bank.shown(await bank.consent(receiver=own))
    made = await bank.use("a", consent)
    assert isinstance(made.body, Use)
    assert made.body.consent is not None
    assert made.body.consent[0] == show(parse_proof(consent)).proof.index
    assert (made.body.receiver, made.body.origin, made.body.index) == (own, own, 0)


async def test_use_of_what_is_not_valid_says_why_once(bank: Bank) -> None:
    with pytest.raises(ChopmarkError) as caught:
        await bank.use("never")
    assert caught.value.code == "document-not-valid"
    assert "No attestation" in caught.value.message
    assert "No attestation" not in caught.value.hint


async def test_use_is_of_the_scenario_that_its_consent_names(bank: Bank) -> None:
    other = msgspec.structs.replace(LOAN, name="other")
    bank.scenarios = Scenarios(msgspec.structs.replace(founding(), scenario=(LOAN, other)))
    terms: dict[str, Any] = {"receiver": "sz-1", "until": NOW + 5_000_000}
    consent = await bank.shown(await bank.consent(scenario="other", **terms))
    assert (await bank.use("a", consent)).body.scenario == "other"
    wide = msgspec.structs.replace(LOAN, receivers=("CN", "HK"))
    both = (wide, msgspec.structs.replace(wide, name="other"))
    bank.scenarios = Scenarios(msgspec.structs.replace(founding(), scenario=both))
    terms["receiver"] = "hk-1"
    elsewhere = await bank.shown(await bank.consent(scenario="other", **terms))
    assert await code_of(bank.use("a", elsewhere)) == "ambiguous-scenario"


async def test_use_without_grounds_is_refused_and_leaves_no_trace(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    size = bank.own.log.state.size
    assert await code_of(bank.use("a")) == "consent-missing"
    assert await code_of(bank.use("a", consent, purpose="mortgage")) == "consent-other-purpose"
    assert await code_of(bank.use("never attested", consent)) == "document-not-valid"
    assert bank.own.log.state.size == size


async def test_use_is_given_again_by_its_key_though_the_consent_was_withdrawn(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    asking = Asking("anna", keys={0: make_key("anna", "k", b"1")})
    first = await bank.use("a", consent, asking=asking)
    await bank.own.add(revoke(show(parse_proof(consent)).proof.index, 3))
    again = await bank.use("a", consent, asking=asking)
    assert (again.entry.index, again.salt, again.body) == (
        *(first.entry.index, first.salt),
        first.body,
    )
    assert await code_of(bank.use("a", consent)) == "consent-withdrawn"


async def test_use_that_waited_for_its_salt_is_judged_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    index, size = show(parse_proof(consent)).proof.index, bank.own.log.state.size
    hide = bank.salts.hide

    async def slowly(drafts: Any) -> Any:
        await bank.own.add(revoke(index, 3))  # the customer takes it back meanwhile
        return await hide(drafts)

    monkeypatch.setattr(bank.salts, "hide", slowly)
    assert await code_of(bank.use("a", consent)) == "consent-withdrawn"
    assert bank.own.log.state.size == size + 1


async def test_use_is_not_recorded_later_than_its_consent_holds(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    size = bank.own.log.state.size
    monkeypatch.setattr(bank.clock, "now", END + 1)  # it stood in the queue as long as that
    assert await code_of(bank.use("a", consent)) == "consent-expired"
    assert bank.own.log.state.size == size
    monkeypatch.setattr(bank.clock, "now", END)
    await bank.use("a", consent)


async def test_consent_that_waited_for_its_salt_is_judged_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide = bank.salts.hide

    async def slowly(drafts: Any) -> Any:
        await bank.own.add(revoke(0, 4))
        return await hide(drafts)

    monkeypatch.setattr(bank.salts, "hide", slowly)
    assert await code_of(bank.consent()) == "attestation-over"
    assert bank.own.log.state.size == 2


async def test_notary_uses_nothing(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    asked = UseAsked(Digests(sha("a")), "sme-loan", consents=(consent,))
    notary = bank.uses(role="notary")
    assert await code_of(notary.record(asked, LONG, PLAINLY)) == "kind-not-allowed"


async def test_use_where_the_scenario_demands_no_consent_needs_none(bank: Bank) -> None:
    free = msgspec.structs.replace(LOAN, consent=False)
    bank.scenarios = Scenarios(msgspec.structs.replace(founding(), scenario=(free,)))
    made = await bank.use("a")
    assert isinstance(made.body, Use)
    assert (made.body.consent, made.body.scenario) == (None, "loan")


async def test_trace_shows_what_is_shown_and_nothing_else(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    used = await bank.shown(await bank.use("a", consent))
    await bank.consent(receiver="sz-1", purpose="secret")
    plain = await bank.trace(TraceAsked(Digests(sha("a"))))
    assert [step["step"] for step in plain["steps"]] == ["attested"]
    whole = await bank.trace(TraceAsked(Digests(sha("a")), None, (consent, used)))
    assert sorted(step["step"] for step in whole["steps"]) == ["attested", "consented", "used"]
    assert "secret" not in str(whole)


async def test_trace_by_a_proof_that_carries_them_finds_the_same(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    document = parse_proof(await bank.own.proof(0))
    carrying = add_records(document, [show(parse_proof(consent))]).encode()
    for asked in (
        TraceAsked(None, carrying),
        TraceAsked(Digests(sha("a")), carrying),
        TraceAsked(None, consent),
        TraceAsked(None, None, (consent,)),
    ):
        report = await bank.trace(asked)
        assert [step["step"] for step in report["steps"]] == ["attested", "consented"]


async def test_report_of_a_trace_is_checked_by_policies_alone(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent(receiver="sz-1"))
    index = show(parse_proof(consent)).proof.index
    await bank.own.add(revoke(index, 3), revoke(0, 4))
    made = await bank.trace(TraceAsked(Digests(sha("a")), None, (consent,)))
    report = read_report(msgspec.json.encode(made))
    policies = {name: parse_policy(text.encode()) for name, text in report.policies.items()}
    told = [step.step for step in check_report(report, policies).steps]
    assert sorted(told) == ["attested", "consented", "revoked", "withdrawn"]


async def test_trace_of_another_document_than_its_proof_is_refused(bank: Bank) -> None:
    proof = await bank.own.proof(0)
    assert await code_of(bank.trace(TraceAsked(Digests(sha("b")), proof))) == "document-differs"


async def test_trace_of_a_blinded_attestation_without_its_salt_is_of_no_document(
    bank: Bank,
) -> None:
    await bank.own.add(attest("b", blinded=True))
    consent = await bank.shown(await bank.consent(index=1))
    bare = await bank.own.log.read(lambda r, s: r.proof(1, s, bare=True))
    proof = bare.encode()
    for asked in (
        TraceAsked(Digests(sha("any")), proof),
        TraceAsked(Digests(sha("any")), proof, (consent,)),
        TraceAsked(Digests(sha("any")), None, (consent,)),
    ):
        report = await bank.trace(asked)
        assert report["steps"] == []
        assert [one for one in report["warnings"] if "without its salt" in one] == [
            f"{bank.own.key.name}#1: it is {HIDDEN}"
        ]
        assert not any("has not come in" in one for one in report["warnings"])
    assert (await bank.trace(TraceAsked(None, proof)))["steps"]


async def test_trace_refuses_what_is_about_another_document(bank: Bank) -> None:
    consent = await bank.shown(await bank.consent())
    asked = TraceAsked(Digests(sha("b")), None, (consent,))
    assert await code_of(bank.trace(asked)) == "document-differs"


async def test_trace_refuses_a_consent_that_the_ledger_does_not_have(bank: Bank) -> None:
    made = await bank.consent(receiver="sz-1")
    shown = show(parse_proof(await bank.shown(made)))
    await bank.own.add(encode_entry(Commitment(NOW, 3, bytes(32))))
    elsewhere = replace(shown.proof, index=bank.own.log.state.size - 1).encode()
    asked = TraceAsked(Digests(sha("a")), None, (elsewhere,))
    assert await code_of(bank.trace(asked)) == "consent-not-in-ledger"


async def test_unknown_document_has_an_empty_trace(bank: Bank) -> None:
    report = await bank.trace(TraceAsked(Digests(sha("never"))))
    assert (report["steps"], report["policies"]) == ([], {})

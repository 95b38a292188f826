"""Verdicts under a policy with a quorum: reached, missing, and who could not countersign."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from chopmark.api.ports import Asked
from chopmark.core.columns import frame_entries
from chopmark.core.digest import Digests
from chopmark.core.entitlement import Entitlement, Term
from chopmark.core.entry import Adoption, encode_entry
from chopmark.core.policy import Policy
from chopmark.core.quorum import Generated, WitnessGroup, WitnessRule, generate
from chopmark.core.verdict import Question, Source, Verdict, Word
from chopmark.ledger.forks import Stop
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.ledger.witnessed import move_witnessed
from chopmark.ledger.worker import Worker
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import LOG, NOW, ORIGIN, attestations, digest, member, opened, sign
from softkeys import SoftKey, cosigner, log_key, sign_head

SZ = member()
HK_SECOND, MO_SECOND = (
    cosigner("bank-hk.example/hk-1/cosigner", 4),
    cosigner("bank-mo.example/mo-1/cosigner", 6),
)
HK = member(log_key("bank-hk.example/hk-1", 3), HK_SECOND, jurisdiction="HK")
MO = member(log_key("bank-mo.example/mo-1", 5), MO_SECOND, jurisdiction="MO")
SECONDS = NOW // 1000


class Desk:
    """A verifier with a replica of sz-1, whose policy demands Hong Kong and Macao."""

    def __init__(self, log: Log, reading: Worker) -> None:
        self.log, self.reading = log, reading
        self.policies = {ORIGIN: generate(SZ, [SZ, HK, MO], WitnessRule())}
        self.entitlement: Entitlement | None = None

    def lose_the_kind(self, second: int) -> None:
        """From then on the roster does not let the member issue any kind."""
        self.entitlement = Entitlement(
            [Term(1, 0, frozenset({"*"})), Term(2, second * 1000, frozenset())]
        )

    def demand(self, second: SoftKey) -> None:
        """Of the kind of all documents here this notary is demanded."""
        known = self.policies[ORIGIN]
        policy = replace(known.policy, notaries={KIND: (1, (second.name,))})
        self.policies[ORIGIN] = replace(known, policy=policy)

    async def adopt(self, version: int) -> None:
        entry = encode_entry(Adoption(NOW, version, bytes(32)))
        await self.log.write(lambda _: self.log.append_now([frame_entries([entry])]))
        await self.log.write(self._sign)

    async def grow(self, count: int) -> bytes:
        size = self.log.state.size
        entries = frame_entries(attestations(count, size))
        await self.log.write(lambda _: self.log.append_now([entries]))
        await self.log.write(self._sign)
        return await self.log.read(lambda reader, state: reader.proof(size, state).encode())

    def _sign(self, store: Store) -> None:
        head = sign(store)
        store.move_seen(SECONDS + 5, sign_head(head, LOG))

    async def witness(self, cosigned: dict[SoftKey, int]) -> None:
        head = self.log.state.head
        note = sign_head(head, LOG, cosigned)
        kinds = self.policies[ORIGIN].policy.notarised(key.vkey for key in cosigned)
        await self.log.write(
            lambda store: move_witnessed(store, head.size, max(cosigned.values()), note, kinds)
        )

    async def ask(self, number: int | None, proof: bytes | None = None) -> Verdict:
        shelf = Shelf(SZ, self.log, Source.REPLICA, entitlement=self.entitlement)
        verifier = Verifier([shelf], self.reading, lambda _: 86_400, self.policies)
        digests = None if number is None else Digests(digest(number))
        return await verifier.verify(Asked(digests, proof, None, Question(NOW + 10_000)))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(opened(tmp_path))
        made = Desk(log, log._reading)
        await made.grow(3)
        yield made


KIND = "kyc-report"  # of the documents with odd numbers
GZ_SECOND = cosigner("bank-gz.example/gz-1/cosigner", 8)
GZ = member(log_key("bank-gz.example/gz-1", 7), GZ_SECOND, jurisdiction="CN")
BOTH = {HK_SECOND: SECONDS + 1, MO_SECOND: SECONDS + 3}


async def test_attestation_is_unwitnessed_until_a_quorum_covers_it(desk: Desk) -> None:
    verdict = await desk.ask(1)
    assert (verdict.word, verdict.judgements[0].facts.quorum) == (Word.UNWITNESSED, "missing")
    await desk.witness(BOTH)
    assert (await desk.ask(1)).word == Word.VALID
    await desk.grow(1)
    assert (await desk.ask(1)).word == Word.VALID
    assert (await desk.ask(3)).word == Word.UNWITNESSED


async def test_verdict_names_who_countersigned_by_when_and_who_could_not(desk: Desk) -> None:
    await desk.witness(BOTH)
    verdict = await desk.ask(1)
    facts = verdict.judgements[0].facts
    assert facts.quorum == "reached"
    assert facts.existed_by == (SECONDS + 3) * 1000
    assert facts.witnesses == (
        (HK_SECOND.name, (SECONDS + 1) * 1000),
        (MO_SECOND.name, (SECONDS + 3) * 1000),
    )
    assert facts.dropped == ("CN",)
    assert "Countersigned by bank-hk.example/hk-1 and bank-mo.example/mo-1." in verdict.sentence
    assert "No other institution of CN than the issuer's" in verdict.sentence


async def test_nothing_is_said_of_dropped_groups_where_there_are_none(desk: Desk) -> None:
    desk.policies[ORIGIN] = Generated(desk.policies[ORIGIN].policy)
    await desk.witness(BOTH)
    assert "No other institution" not in (await desk.ask(1)).sentence


async def test_provisional_proof_is_completed_by_what_is_held_here(desk: Desk) -> None:
    proof = await desk.grow(1)
    assert (await desk.ask(3, proof)).word == Word.UNWITNESSED
    await desk.witness(BOTH)
    verdict = await desk.ask(3, proof)
    assert verdict.word == Word.VALID
    assert verdict.judgements[0].facts.existed_by == (SECONDS + 3) * 1000


async def test_kind_that_was_lost_since_does_not_void_what_was_issued_before(desk: Desk) -> None:
    await desk.witness(BOTH)
    proof = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    desk.lose_the_kind(SECONDS + 100)
    assert (await desk.ask(1)).word == Word.VALID
    assert (await desk.ask(1, proof)).word == Word.VALID


@pytest.mark.parametrize("with_proof", [False, True])
async def test_kind_that_was_lost_before_a_quorum_saw_it_is_untrusted(
    desk: Desk, *, with_proof: bool
) -> None:
    await desk.witness(BOTH)
    desk.lose_the_kind(SECONDS - 100)
    proof = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    verdict = await desk.ask(1, proof if with_proof else None)
    assert verdict.word == Word.UNTRUSTED
    assert "is not entitled to attest the kind" in verdict.sentence


async def test_kind_that_was_lost_counts_from_the_adoption_in_the_issuers_log_on(
    desk: Desk,
) -> None:
    await desk.adopt(2)
    await desk.grow(1)
    await desk.witness(BOTH)
    desk.lose_the_kind(SECONDS + 3)  # within the minute in which a version spreads
    assert (await desk.ask(1)).word == Word.VALID
    assert (await desk.ask(4)).word == Word.UNTRUSTED


async def test_kind_that_was_lost_is_untrusted_while_no_quorum_has_come(desk: Desk) -> None:
    desk.lose_the_kind(SECONDS - 100)
    assert (await desk.ask(1)).word == Word.UNTRUSTED


async def test_kind_that_needs_a_notary_is_unwitnessed_without_it(desk: Desk) -> None:
    desk.policies[ORIGIN] = generate(
        SZ, [SZ, HK, MO, GZ], WitnessRule((WitnessGroup(("HK", "MO")),))
    )
    desk.demand(GZ_SECOND)
    await desk.witness(BOTH)
    proof = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    for answer in (await desk.ask(1), await desk.ask(1, proof)):
        assert (answer.word, answer.judgements[0].facts.quorum) == (Word.UNWITNESSED, "missing")
        assert "not the notaries that the kind" in answer.sentence
        assert "(1 of bank-gz.example/gz-1)" in answer.sentence
    await desk.witness(BOTH | {GZ_SECOND: SECONDS + 4})
    verdict = await desk.ask(1)
    assert verdict.word == Word.VALID
    assert "bank-gz.example/gz-1" in verdict.sentence
    assert (await desk.ask(1, proof)).word == Word.VALID, "it is completed by what is held here"
    complete = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    assert GZ_SECOND.name.encode() in complete
    # A newer head that the notary has not seen takes nothing from what it has.
    await desk.grow(1)
    await desk.witness(BOTH)
    assert (await desk.ask(1)).word == Word.VALID
    assert (await desk.ask(3)).word == Word.UNWITNESSED
    assert await desk.log.read(lambda reader, state: reader.proof(1, state).encode()) == complete


async def test_notary_alone_is_no_quorum(desk: Desk) -> None:
    desk.demand(HK_SECOND)
    await desk.witness({HK_SECOND: SECONDS})
    assert desk.log.state.notarised == {}


async def test_other_kinds_need_no_notary(desk: Desk) -> None:
    known = desk.policies[ORIGIN]
    policy = replace(known.policy, notaries={"diploma": (1, ())})
    desk.policies[ORIGIN] = replace(known, policy=policy)
    await desk.witness(BOTH)
    assert (await desk.ask(1)).word == Word.VALID


async def test_complete_proof_has_its_own_date(desk: Desk) -> None:
    await desk.witness({HK_SECOND: SECONDS, MO_SECOND: SECONDS + 1})
    proof = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    await desk.grow(1)
    await desk.witness({HK_SECOND: SECONDS + 8, MO_SECOND: SECONDS + 8})
    facts = (await desk.ask(1, proof)).judgements[0].facts
    assert facts.existed_by == (SECONDS + 1) * 1000
    assert facts.dropped == ("CN",)


async def test_proof_cosigned_by_half_of_the_quorum_is_unwitnessed(desk: Desk) -> None:
    head = desk.log.state.head
    plain = await desk.log.read(lambda reader, state: reader.proof(1, state))
    half = type(plain)(1, plain.hashes, sign_head(head, LOG, {HK_SECOND: SECONDS}), plain.extra)
    verdict = await desk.ask(1, half.encode())
    assert verdict.word == Word.UNWITNESSED
    assert [name for name, _ in verdict.judgements[0].facts.witnesses] == [HK_SECOND.name]


async def test_without_a_quorum_to_demand_the_sentence_says_so(desk: Desk) -> None:
    desk.policies[ORIGIN] = Generated(Policy((SZ.log_key,)))
    verdict = await desk.ask(1)
    assert verdict.word == Word.VALID
    assert "quorum none" in verdict.sentence


# Forks


async def forked(desk: Desk, number: int, below: int, proof: bytes | None = None) -> Verdict:
    """Ask after evidence has appeared, whose smaller head has the size `below`."""
    stop = Stop("two histories were shown", below, found_at=(SECONDS + 3) * 1000)
    shelf = Shelf(SZ, desk.log, Source.REPLICA, lambda: stop)
    verifier = Verifier([shelf], desk.reading, lambda _: 86_400, desk.policies)
    return await verifier.verify(
        Asked(Digests(digest(number)), proof, None, Question(NOW + 10_000))
    )


async def test_head_with_a_quorum_from_before_the_evidence_keeps_its_entries_good(
    desk: Desk,
) -> None:
    await desk.witness(BOTH)
    await desk.grow(2)
    verdict = await forked(desk, 2, below=4)
    assert verdict.word is Word.VALID
    assert "countersigned before that was found" in verdict.sentence
    assert (await forked(desk, 3, below=4)).word is Word.UNTRUSTED, "no quorum has seen it"
    assert (await forked(desk, 2, below=3)).word is Word.UNTRUSTED, "its head is not below both"


async def test_quorum_that_came_after_the_evidence_does_not_count(desk: Desk) -> None:
    await desk.witness({HK_SECOND: SECONDS + 1, MO_SECOND: SECONDS + 4})
    assert (await forked(desk, 2, below=9)).word is Word.UNTRUSTED


async def test_proof_under_such_a_head_keeps_its_entry_good(desk: Desk) -> None:
    proof = await desk.log.read(lambda reader, state: reader.proof(1, state).encode())
    note = desk.log.head_note or b""
    early, late = (
        proof.replace(note, sign_head(desk.log.state.head, LOG, {HK_SECOND: at, MO_SECOND: at}))
        for at in (SECONDS + 3, SECONDS + 4)
    )
    assert (await forked(desk, 1, below=4, proof=early)).word is Word.VALID
    assert (await forked(desk, 1, below=3, proof=early)).word is Word.UNTRUSTED
    assert (await forked(desk, 1, below=4, proof=late)).word is Word.UNTRUSTED
    assert (await forked(desk, 1, below=4)).word is Word.UNTRUSTED

"""Whoever finds the HSM of a key that has ended can void nothing with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from test_forks import ENTRIES, TOPIC, Gateway, source

from chopmark.api.ports import Asked
from chopmark.core.digest import Digests
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.evidence import Branch, Subject, differing_heads, encode_bulletin, make_evidence
from chopmark.core.member import Member, PastKey
from chopmark.core.merkle import consistency_proof, inclusion_proof
from chopmark.core.proof import Extra, Proof
from chopmark.core.report import describe
from chopmark.core.roster import Institution, ListedKey, ListedMember, make_member
from chopmark.core.text import encode_base64
from chopmark.core.verdict import Question, Verdict, Word
from chopmark.core.verdict import Source as Where
from chopmark.ledger.worker import Worker
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import COSIGNER, LOG, NOW, ORIGIN, Source, digest
from rosters import ISSUED
from softkeys import SoftKey, log_key, sign_head

LAST = 100
OLD, NEW = LOG, log_key(ORIGIN, 77)
OURS, THEIRS = source(), source(3)
STATES: tuple[Literal["retired", "compromised"], ...] = ("retired", "compromised")


def changed(state: Literal["retired", "compromised"] = "retired") -> Member:
    """The peer, whose old key has ended at size 100."""
    ended = ListedKey(
        vkey=OLD.vkey.encode(),
        state=state,
        last_size=LAST,
        last_root=encode_base64(OURS.head(LAST).root),
        since=ISSUED if state == "compromised" else None,
    )
    listed = ListedMember(
        id="sz-1",
        origin=ORIGIN,
        institution="bank-sz",
        kinds=("*",),
        log_key=(ended, ListedKey(vkey=NEW.vkey.encode())),
        cosigner_key=(ListedKey(vkey=COSIGNER.vkey.encode()),),
    )
    return make_member(listed, Institution(id="bank-sz", name="Bank of SZ", jurisdiction="CN"))


@pytest.fixture(params=STATES)
async def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """It holds 100 entries of the peer, by its old key, and 50 more by the new one."""
    async with AsyncExitStack() as stack:
        made = Gateway(tmp_path, stack)
        made.peer = changed(request.param)
        await made.open()
        await made.replica.ingest(OURS.packages(size=LAST))
        yield made


def heads(size: int, one: SoftKey = OLD, other: SoftKey = OLD) -> bytes:
    """Evidence: two heads of one size by these keys."""
    notes = sign_head(OURS.head(size), one), sign_head(THEIRS.head(size), other)
    return differing_heads(*notes).encode()


@pytest.mark.parametrize("size", [LAST + 1, 200, 300])
async def test_evidence_above_the_last_size_changes_nothing(gateway: Gateway, size: int) -> None:
    with pytest.raises(RefusedError) as caught:
        await gateway.forks.take("mo-1", TOPIC, encode_bulletin([heads(size)]))
    assert caught.value.code == "past-key"
    with pytest.raises(RefusedError):
        await gateway.forks.add(heads(size, NEW, OLD))
    assert (gateway.stored, gateway.replica.conflict, gateway.told) == (0, None, [])


@pytest.mark.parametrize("size", [1 + 3, 50, LAST])
async def test_evidence_up_to_the_last_size_is_still_a_fork(gateway: Gateway, size: int) -> None:
    assert await gateway.forks.add(heads(size))
    assert gateway.replica.conflict


async def ask(gateway: Gateway, number: int, member: Member | None = None) -> Word:
    """The verdict about an entry, by its digest; or as if the roster said something else."""
    replica = gateway.replica
    reading = Worker("verify")
    gateway.stack.callback(reading.close)
    of, stopped = member or replica.member, lambda: replica.stopped
    verifier = Verifier([Shelf(of, replica.log, Where.REPLICA, stopped)], reading, lambda _: 86_400)
    verdict = await verifier.verify(Asked(Digests(digest(number)), None, None, Question(NOW)))
    if verdict.word is not Word.UNTRUSTED:
        assert "under a head for which the roster vouches" in verdict.sentence
    return verdict.word


GOOD = (Word.VALID, Word.VALID_AS_OF)


async def grow(gateway: Gateway) -> None:
    """50 more entries, under a head by the new key."""
    more = OURS.packages(LAST, LAST + 50)
    old, new = OURS.note(LAST + 50), sign_head(OURS.head(LAST + 50), NEW)
    assert await gateway.replica.ingest([one.replace(old, new) for one in more]) == 50


@pytest.mark.parametrize("other", [OLD, NEW])
async def test_small_heads_by_an_old_key_void_nothing_that_the_roster_vouches_for(
    gateway: Gateway, other: SoftKey
) -> None:
    await grow(gateway)
    await gateway.forks.add(heads(4, other, OLD))
    assert await ask(gateway, 5) in GOOD
    assert await ask(gateway, LAST - 1) in GOOD
    assert await ask(gateway, LAST + 1) is Word.UNTRUSTED


async def test_such_a_head_that_is_shown_alone_voids_nothing_either(gateway: Gateway) -> None:
    await grow(gateway)
    await gateway.replica.observe_head(sign_head(THEIRS.head(4), OLD))
    assert gateway.replica.conflict
    assert await ask(gateway, LAST - 1) in GOOD


async def test_they_void_it_where_the_roster_vouches_for_another_history(gateway: Gateway) -> None:
    await gateway.forks.add(heads(4))
    past = (PastKey(OLD.vkey, LAST, THEIRS.head(LAST).root),)
    assert await ask(gateway, 5, replace(gateway.peer, past_log_keys=past)) is Word.UNTRUSTED
    longer = (PastKey(OLD.vkey, LAST + 1, OURS.head(LAST + 1).root),)
    assert await ask(gateway, 5, replace(gateway.peer, past_log_keys=longer)) is Word.UNTRUSTED


async def test_small_heads_by_the_key_that_signs_now_void_all_above(gateway: Gateway) -> None:
    await gateway.forks.add(heads(4, NEW, NEW))
    assert await ask(gateway, 5) is Word.UNTRUSTED


async def test_heads_by_an_old_and_the_new_key_may_be_a_fork(gateway: Gateway) -> None:
    assert await gateway.forks.add(heads(50, OLD, NEW))
    assert gateway.replica.conflict


async def test_old_key_refutes_a_later_head_by_the_new_one(gateway: Gateway) -> None:
    size, later = 50, 200
    proof = consistency_proof(size, later, THEIRS.nodes)
    theirs = Branch(THEIRS.head(size).root, proof, sign_head(THEIRS.head(later), NEW))
    ours = Branch(OURS.head(size).root, (), sign_head(OURS.head(size), OLD))
    assert await gateway.forks.add(make_evidence(Subject.SIZE, size, ours, theirs).encode())


async def test_two_heads_by_the_new_key_are_a_fork_at_any_size(gateway: Gateway) -> None:
    assert await gateway.forks.add(heads(200, NEW, NEW))


async def test_heads_that_an_old_key_signs_now_stop_no_replica(gateway: Gateway) -> None:
    for size in (LAST, LAST + 1, 300):
        with pytest.raises(RefusedError):
            await gateway.replica.observe_head(sign_head(THEIRS.head(size), OLD))
    assert gateway.replica.conflict is None


async def test_roster_that_ends_a_key_undoes_what_was_signed_above_its_last_head(
    tmp_path: Path,
) -> None:
    """The key was stolen, and the evidence came before the roster knew."""
    async with AsyncExitStack() as stack:
        before = await Gateway(tmp_path, stack).open()
        await before.replica.ingest(OURS.packages(size=LAST))
        assert await before.forks.add(heads(200))
        assert before.replica.conflict
    async with AsyncExitStack() as stack:
        after = Gateway(tmp_path, stack)
        after.peer = changed("compromised")
        await after.open()
        assert (after.stored, after.replica.conflict) == (0, None)


async def test_roster_does_not_undo_what_lies_up_to_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        before = await Gateway(tmp_path, stack).open()
        await before.replica.ingest(OURS.packages(size=LAST))
        assert await before.forks.add(heads(LAST))
    async with AsyncExitStack() as stack:
        after = Gateway(tmp_path, stack)
        after.peer = changed()
        await after.open()
        assert after.stored == 1
        assert after.replica.conflict


# Proofs


def prove(of: Source, index: int, size: int, key: SoftKey = OLD) -> bytes:
    path = inclusion_proof(index, size, of.nodes)
    note = sign_head(of.head(size), key)
    return Proof(index, path, note, Extra(of.entries[index]).encode()).encode()


async def verify(gateway: Gateway, number: int, proof: bytes) -> Verdict:
    replica = gateway.replica
    shelf = Shelf(
        *(replica.member, replica.log, Where.REPLICA),
        *(lambda: replica.stopped, replica.observe_proof),
    )
    reading = Worker("verify")
    gateway.stack.callback(reading.close)
    asked = Asked(Digests(digest(number)), proof, None, Question(NOW))
    try:
        return await Verifier([shelf], reading, lambda _: 86_400).verify(asked)
    finally:
        await gateway.replica.observe_cosignature(sign_head(OURS.head(50), OLD, {COSIGNER: 1}))


@pytest.mark.parametrize("size", [20, LAST])
async def test_proof_by_a_key_that_has_ended_stays_good(gateway: Gateway, size: int) -> None:
    verdict = await verify(gateway, 7, prove(OURS, 7, size))
    assert verdict.word in (Word.VALID, Word.VALID_AS_OF)


async def test_proof_by_such_a_key_above_its_last_head_is_worth_nothing(gateway: Gateway) -> None:
    assert ENTRIES[120] == OURS.entries[120]
    for of in (OURS, THEIRS):
        verdict = await verify(gateway, 120, prove(of, 120, 200))
        assert verdict.word is Word.UNTRUSTED
    assert gateway.replica.conflict is None


async def test_other_history_by_such_a_key_freezes_nothing(gateway: Gateway) -> None:
    """A proof of an early entry, under a large head that only the finder has signed."""
    verdict = await verify(gateway, 7, prove(THEIRS, 7, 200))
    assert verdict.word is Word.UNTRUSTED
    assert (gateway.stored, gateway.replica.conflict) == (0, None)
    with pytest.raises(ChopmarkError):
        await gateway.forks.report(ORIGIN, OURS.note(200), THEIRS.note(200))


async def test_entries_of_an_origin_that_has_ended_stay_good_and_name_its_successor(
    gateway: Gateway,
) -> None:
    """The roster has retired it at the head that is held here."""
    successor = "bank-sz.example/sz-2"
    gateway.replica.member = replace(
        gateway.peer, state="left", successor=successor, log_key=OLD.vkey
    )
    replica = gateway.replica
    reading = Worker("verify")
    gateway.stack.callback(reading.close)
    shelf = Shelf(replica.member, replica.log, Where.REPLICA, lambda: replica.stopped)
    verifier = Verifier([shelf], reading, lambda _: 86_400)
    for proof in (None, prove(OURS, 7, LAST)):
        asked = Asked(Digests(digest(7)), proof, None, Question(NOW))
        verdict = await verifier.verify(asked)
        assert verdict.word in (Word.VALID, Word.VALID_AS_OF)
        assert verdict.sentence.endswith(f"ended; {successor} is its successor.")
        assert describe(verdict, None)["attestations"][0]["successor"] == successor
    beyond = Asked(Digests(digest(120)), prove(OURS, 120, 200), None, Question(NOW))
    assert (await verifier.verify(beyond)).word is Word.UNTRUSTED

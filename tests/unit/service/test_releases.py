"""Two officers release a frozen replica: on real log files, over restarts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from test_forks import OWN, OWN_KEY, TOPIC, Gateway, forged, source

from chopmark.api.ports import Asked
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import Digests
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.evidence import differing_heads, encode_bulletin, parse_evidence
from chopmark.core.merkle import inclusion_proof
from chopmark.core.proof import Extra, Proof
from chopmark.core.release import Release, SignedRelease
from chopmark.core.verdict import Question, Source, Verdict, Word
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.worker import Worker
from chopmark.service.releases import set_aside_released
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import NOW, ORIGIN, digest, member, new_ledger
from officers import CHAN, HO, LEE, OFFICERS, signed_by
from softkeys import sign_head

OURS, THEIRS = source(), source(150)
"""Two histories that part at entry 150."""


class Box(Gateway):
    """A gateway that keeps its replica where the real one does."""

    asked = 0

    async def open(self) -> "Box":
        await super().open()
        self.forks.releases.officers = lambda: OFFICERS
        self.forks.releases.changed = self._count
        return self

    def _count(self) -> None:
        self.asked += 1

    async def _log(self, name: str, reading: Worker, *keys: object) -> Log:
        if name == "log":
            return await super()._log(name, reading, *keys)
        await set_aside_released(self.log, self.folder, [member()])
        path = self.folder / "replica" / "sz-1.db"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            new_ledger(path, *keys)  # type: ignore[arg-type]
        (self.folder / "index").mkdir(exist_ok=True)
        log = await open_log(path, self.folder / "index" / "sz-1", reading)
        self.stack.push_async_callback(log.close)
        return log

    async def verify(self, number: int, proof: Proof | None = None) -> Verdict:
        shelf = Shelf(
            *(self.replica.member, self.replica.log, Source.REPLICA),
            *(lambda: self.replica.stopped, self.replica.observe_proof),
            lambda: self.forks.releases.warning(ORIGIN),
            lambda head: (head.size, head.root) in self.replica.rejected,
        )
        reading = Worker("verify")
        self.stack.callback(reading.close)
        data = proof.encode() if proof else None
        asked = Asked(Digests(digest(number)), data, None, Question(NOW))
        return await Verifier([shelf], reading, lambda _: 86_400).verify(asked)


@pytest.fixture
async def frozen(tmp_path: Path) -> AsyncIterator[Box]:
    """It holds 200 entries of one history, and evidence of the other at 180."""
    async with AsyncExitStack() as stack:
        box = await Box(tmp_path, stack).open()
        await box.replica.ingest(OURS.packages(size=200))
        await box.replica.observe_head(THEIRS.note(180))
        assert box.replica.conflict
        yield box


def release(box: Gateway, kept: Checkpoint, **changes: object) -> Release:
    [shown] = box.forks.describe()
    evidence = parse_evidence(shown["evidence"].encode())
    return replace(Release(evidence.digest, kept, NOW // 1000, "an old disk"), **changes)  # type: ignore[arg-type]


async def restart(box: Box) -> Box:
    await box.stack.aclose()
    return await Box(box.folder, box.stack).open()


KEPT, LOST = OURS.head(200), THEIRS.head(180)


async def test_branch_that_is_held_goes_on_and_every_verdict_says_so(frozen: Box) -> None:
    answer = await frozen.forks.release(signed_by(release(frozen, KEPT), CHAN, LEE).encode())
    assert (answer["kept"]["size"], answer["fetched_again"], frozen.asked) == (200, False, 1)
    again = await restart(frozen)
    assert again.replica.conflict is None
    assert await again.replica.ingest(OURS.packages()) > 0
    assert again.replica.signed_size == 300
    await again.replica.observe_cosignature(OURS.note(300, NOW // 1000))
    verdict = await again.verify(2)
    assert verdict.word is Word.VALID
    assert "Chan Tai Man (bank-hk) and Lee Siu Ming (bank-hk)" in verdict.sentence
    assert "an old disk" in verdict.sentence
    assert [alarm["code"] for alarm in again.forks.alarms()] == ["fork-released"]
    [shown] = again.forks.describe()
    assert shown["released"]["reason"] == "an old disk"


async def test_verdict_that_is_not_good_says_so_too(frozen: Box) -> None:
    await frozen.forks.release(signed_by(release(frozen, KEPT), CHAN, LEE).encode())
    again = await restart(frozen)
    path = inclusion_proof(160, 180, THEIRS.nodes)
    proof = Proof(160, path, THEIRS.note(180), Extra(THEIRS.entries[160]).encode())
    verdict = await again.verify(160, proof)
    assert verdict.word is Word.UNTRUSTED
    assert "not kept" in verdict.sentence
    assert "an old disk" in verdict.sentence
    assert again.replica.conflict is None, "a proof under the rejected head freezes nothing"


async def test_document_that_is_unknown_may_have_been_in_the_history_not_kept(frozen: Box) -> None:
    assert "Warning" not in (await frozen.verify(9999)).sentence
    await frozen.forks.release(signed_by(release(frozen, KEPT), CHAN, LEE).encode())
    verdict = await (await restart(frozen)).verify(9999)
    assert verdict.word is Word.UNKNOWN
    assert f"Warning about {ORIGIN}" in verdict.sentence


async def test_same_pair_freezes_nothing_any_more_and_another_fork_does(frozen: Box) -> None:
    await frozen.forks.release(signed_by(release(frozen, KEPT), CHAN, LEE).encode())
    again = await restart(frozen)
    with pytest.raises(RefusedError) as caught:
        await again.replica.observe_head(THEIRS.note(180))
    assert caught.value.code == "rejected-head"
    [shown] = again.forks.describe()
    await again.forks.take("mo-1", TOPIC, encode_bulletin([shown["evidence"].encode()]))
    assert again.replica.conflict is None
    await again.forks.take("mo-1", TOPIC, encode_bulletin([forged(190)]))
    assert again.replica.conflict, "another pair of heads is another fork"
    third = await restart(again)
    assert third.replica.conflict
    assert [alarm["code"] for alarm in third.forks.alarms()] == ["fork"]


async def test_replica_of_the_other_branch_is_set_aside_and_filled_again(frozen: Box) -> None:
    answer = await frozen.forks.release(signed_by(release(frozen, LOST), CHAN, LEE).encode())
    assert answer["fetched_again"]
    again = await restart(frozen)
    assert (again.replica.size, again.replica.conflict) == (0, None)
    assert (frozen.folder / "replica" / "sz-1.db.released-1").exists()
    assert await again.replica.ingest(THEIRS.packages(size=180)) == 180
    assert again.replica.log.state.head == LOST
    with pytest.raises(RefusedError):
        await again.replica.observe_head(OURS.note(200))
    third = await restart(again)
    assert third.replica.size == 180, "it is set aside once"


async def test_replica_takes_no_other_branch_than_the_one_kept(frozen: Box) -> None:
    """The other one goes on under heads that nobody has rejected yet."""
    await frozen.forks.release(signed_by(release(frozen, LOST), CHAN, LEE).encode())
    again = await restart(frozen)
    await again.replica.ingest(OURS.packages(size=250))
    assert again.replica.conflict


async def test_release_that_is_applied_again_is_no_other_one(frozen: Box) -> None:
    signed = signed_by(release(frozen, KEPT), CHAN, LEE).encode()
    assert await frozen.forks.release(signed) == await frozen.forks.release(signed)
    with pytest.raises(ChopmarkError) as caught:
        await frozen.forks.release(signed_by(release(frozen, LOST), CHAN, LEE).encode())
    assert caught.value.code == "released-already"


def by_one(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT), CHAN)


def by_one_twice(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT), CHAN, CHAN)


def by_a_stranger(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT), CHAN, HO)


def of_other_evidence(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT, evidence=b"e" * 32), CHAN, LEE)


def of_another_origin(box: Box) -> SignedRelease:
    kept = replace(KEPT, origin="bank-mo.example/mo-1")
    return signed_by(release(box, kept), CHAN, LEE)


def of_another_branch(box: Box) -> SignedRelease:
    return signed_by(release(box, replace(KEPT, root=b"r" * 32)), CHAN, LEE)


def altered(box: Box) -> SignedRelease:
    good = signed_by(release(box, KEPT), CHAN, LEE)
    return replace(good, release=replace(good.release, kept=LOST))


def old(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT, time=NOW // 1000 - 31 * 86_400), CHAN, LEE)


def ahead(box: Box) -> SignedRelease:
    return signed_by(release(box, KEPT, time=NOW // 1000 + 61), CHAN, LEE)


CASES = {
    by_one: "officers-missing",
    by_one_twice: "officers-missing",
    by_a_stranger: "unknown-officer",
    of_other_evidence: "no-such-evidence",
    of_another_origin: "other-log",
    of_another_branch: "no-such-branch",
    altered: "bad-signature",
    old: "release-out-of-date",
    ahead: "release-out-of-date",
}


@pytest.mark.parametrize("make", CASES)
async def test_release_is_refused_and_changes_nothing(frozen: Box, make: object) -> None:
    with pytest.raises(ChopmarkError) as caught:
        await frozen.forks.release(make(frozen).encode())  # type: ignore[operator]
    assert (caught.value.code, frozen.asked) == (CASES[make], 0)  # type: ignore[index]
    again = await restart(frozen)
    assert again.replica.conflict
    assert again.forks.describe()[0]["released"] is None


async def test_without_a_roster_nobody_can_release(frozen: Box) -> None:
    frozen.forks.releases.officers = lambda: None
    with pytest.raises(ChopmarkError) as caught:
        await frozen.forks.release(signed_by(release(frozen, KEPT), CHAN, LEE).encode())
    assert caught.value.code == "no-roster"


async def test_our_own_log_is_released_by_nobody_here(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        box = await Box(tmp_path, stack).open()
        heads = [Checkpoint(OWN, 20, root * 32) for root in (b"a", b"b")]
        await box.forks.add(differing_heads(*(sign_head(one, OWN_KEY) for one in heads)).encode())
        with pytest.raises(ChopmarkError) as caught:
            await box.forks.release(signed_by(release(box, heads[0]), CHAN, LEE).encode())
        assert caught.value.code == "own-log"

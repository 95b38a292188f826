"""How fresh an answer is rests on the origin's own signed times, and on nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chopmark.api.ports import Asked
from chopmark.core.digest import Digests
from chopmark.core.errors import RefusedError
from chopmark.core.proof import parse_proof
from chopmark.core.verdict import Question, Source, Verdict, Word
from chopmark.ledger.replica import Replica
from chopmark.ledger.worker import Worker
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import COSIGNER, LOG, NOW, Clock, attestations, digest, replicating
from ledgers import Source as Log
from softkeys import cosigner, sign_head

DAY = 86_400_000
TIME = NOW // 1000
LOG_OF_PEER = Log(attestations(50))
MAX_AGE = {"bank-statement": 86_400, "kyc-report": 3600}


class Desk:
    """A receiver two days after it last heard of the issuer."""

    def __init__(self, replica: Replica, clock: Clock, reading: Worker) -> None:
        self.replica = replica
        self.clock = clock
        shelf = Shelf(
            *(replica.member, replica.log, Source.REPLICA),
            lambda: replica.stopped,
            replica.observe_proof,
        )
        self.verifier = Verifier([shelf], reading, MAX_AGE.__getitem__)

    async def ask(self, number: int = 0, **more: int) -> Verdict:
        asked = Asked(Digests(digest(number)), None, None, Question(self.clock.now, **more))
        return await self.verifier.verify(asked)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock, reading = Clock(), Worker("read")
    async with replicating(tmp_path, clock) as replica:
        await replica.ingest(LOG_OF_PEER.packages())
        await replica.observe_cosignature(LOG_OF_PEER.note(time=TIME))
        made = Desk(replica, clock, reading)
        assert (await made.ask()).word is Word.VALID
        clock.now += 2 * DAY
        yield made
    reading.close()


def now_of(desk: Desk) -> int:
    return desk.clock.now // 1000


async def replay_an_old_checkpoint(desk: Desk) -> None:
    await desk.replica.observe_head(LOG_OF_PEER.note(20))


async def show_the_newest_checkpoint_again(desk: Desk) -> None:
    await desk.replica.observe_head(LOG_OF_PEER.note())
    await desk.replica.ingest(LOG_OF_PEER.packages())


async def replay_the_last_heartbeat(desk: Desk) -> None:
    await desk.replica.observe_cosignature(LOG_OF_PEER.note(time=TIME))
    await desk.replica.observe_cosignature(LOG_OF_PEER.note(size=20, time=TIME - 100))


async def let_a_witness_refresh_an_old_head(desk: Desk) -> None:
    witness = cosigner("bank-mo.example/mo-1/cosigner", 7)
    for size in (20, 50):
        note = sign_head(LOG_OF_PEER.head(size), LOG, {witness: now_of(desk)})
        await desk.replica.observe_head(note)
        with pytest.raises(RefusedError):
            await desk.replica.observe_cosignature(note)
        alone = sign_head(LOG_OF_PEER.head(size), witness)
        with pytest.raises(RefusedError):
            await desk.replica.observe_cosignature(alone)


async def date_a_heartbeat_2099(desk: Desk) -> None:
    time = int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())
    for ahead in (time, now_of(desk) + 61):
        with pytest.raises(RefusedError) as caught:
            await desk.replica.observe_cosignature(LOG_OF_PEER.note(time=ahead))
        assert caught.value.code == "bad-time"


async def vouch_for_a_head_that_is_not_held(desk: Desk) -> None:
    larger = Log(attestations(60))
    await desk.replica.observe_cosignature(larger.note(time=now_of(desk)))


async def present_a_proof_with_a_fresh_heartbeat_in_its_note(desk: Desk) -> None:
    proof = await desk.replica.log.read(lambda reader, state: reader.proof(0, state).encode())
    note = sign_head(LOG_OF_PEER.head(), LOG, {COSIGNER: TIME + 1})
    await desk.replica.observe_proof(parse_proof(proof.replace(LOG_OF_PEER.note(), note)))


@pytest.mark.parametrize(
    "trick",
    [
        replay_an_old_checkpoint,
        show_the_newest_checkpoint_again,
        replay_the_last_heartbeat,
        let_a_witness_refresh_an_old_head,
        date_a_heartbeat_2099,
        vouch_for_a_head_that_is_not_held,
        present_a_proof_with_a_fresh_heartbeat_in_its_note,
    ],
)
async def test_old_answer_does_not_look_fresh(
    desk: Desk, trick: Callable[[Desk], Awaitable[None]]
) -> None:
    await trick(desk)
    verdict = await desk.ask()
    assert (verdict.word, verdict.as_of) == (Word.VALID_AS_OF, NOW)
    assert desk.replica.conflict is None


async def test_verdicts_are_counted_by_their_word(desk: Desk) -> None:
    for number in (0, 0, 77):
        await desk.ask(number)
    counts = desk.verifier.counts
    assert counts[Word.UNKNOWN] == 1
    assert counts[Word.VALID_AS_OF] == 2


async def test_heartbeat_of_now_makes_it_fresh(desk: Desk) -> None:
    await desk.replica.observe_cosignature(LOG_OF_PEER.note(time=now_of(desk)))
    verdict = await desk.ask()
    assert (verdict.word, verdict.as_of) == (Word.VALID, desk.clock.now)


async def test_each_kind_has_its_maximum_age_and_the_caller_can_only_shorten_it(desk: Desk) -> None:
    await desk.replica.observe_cosignature(LOG_OF_PEER.note(time=now_of(desk)))
    desk.clock.now += 2 * 3_600_000
    statement, report = 0, 1
    assert (await desk.ask(statement)).word is Word.VALID
    assert (await desk.ask(statement, max_age=3600)).word is Word.VALID_AS_OF
    assert (await desk.ask(report)).word is Word.VALID_AS_OF
    assert (await desk.ask(report, max_age=86_400)).word is Word.VALID_AS_OF

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from chopmark.core.errors import MissingError
from chopmark.ledger.gather import MAX_TOGETHER, Gather
from chopmark.ledger.worker import Worker
from rig.patience import PATIENCE


@dataclass
class Desk:
    """Answers with tenfold what it is asked, and keeps what it was asked together."""

    asked: list[list[int]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(self, questions: Sequence[int]) -> list[int | Exception]:
        self.asked.append(list(questions))
        assert self.gate.wait(PATIENCE)
        bad = MissingError("no-such-entry", "it is not there")
        return [bad if question < 0 else 10 * question for question in questions]


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("read")
    yield made
    made.close()


async def ask(
    gather: Gather[int, int], desk: Desk, questions: Sequence[int]
) -> list[int | BaseException]:
    """Ask the first by itself, and the others while it is being answered."""
    tasks = [asyncio.create_task(gather.ask(question)) for question in questions[:1]]
    async with asyncio.timeout(PATIENCE):
        while not desk.asked:  # noqa: ASYNC110 - a thread says so
            await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(gather.ask(question)) for question in questions[1:]]
    await asyncio.sleep(0)
    desk.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_questions_that_wait_are_answered_together(worker: Worker) -> None:
    desk = Desk()
    gather = Gather(worker, desk, "test")
    assert await ask(gather, desk, [1, 2, 3, 4]) == [10, 20, 30, 40]
    assert desk.asked == [[1], [2, 3, 4]]
    assert await gather.ask(5) == 50


async def test_no_more_than_some_are_answered_together(worker: Worker) -> None:
    desk = Desk()
    count = 2 * MAX_TOGETHER + 5
    assert await ask(Gather(worker, desk, "test"), desk, range(count)) == [
        *range(0, 10 * count, 10)
    ]
    assert [len(some) for some in desk.asked] == [1, MAX_TOGETHER, MAX_TOGETHER, 4]


async def test_error_is_for_its_question_only(worker: Worker) -> None:
    desk = Desk()
    first, bad, last = await ask(Gather(worker, desk, "test"), desk, [1, -1, 3])
    assert (first, last) == (10, 30)
    assert isinstance(bad, MissingError)


async def test_caller_that_leaves_disturbs_nobody(worker: Worker) -> None:
    desk = Desk()
    gather = Gather(worker, desk, "test")
    leaving = asyncio.create_task(gather.ask(1))
    await asyncio.sleep(0)
    staying = asyncio.create_task(gather.ask(2))
    await asyncio.sleep(0)
    leaving.cancel()
    desk.gate.set()
    assert await staying == 20
    assert leaving.cancelled()


async def test_fault_of_the_desk_is_told_to_all_and_ends(worker: Worker) -> None:
    def fail(_: Sequence[int]) -> list[int | Exception]:
        raise ZeroDivisionError

    gather = Gather(worker, fail, "test")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await gather.ask(1)

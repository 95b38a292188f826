"""Gathers questions while a thread is busy, and has it answer all of them in one call.

Handing a call to a thread and its result back costs more than most answers do, and each switch
may wait for the interpreter: under load that is paid once for all that wait, and an idle gateway
asks at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from chopmark.ledger.worker import Worker

Q = TypeVar("Q")
A = TypeVar("A")

MAX_TOGETHER: Final = 64
"""Questions in one call: some milliseconds, so that other users of the thread get their turn."""


class Gather(Generic[Q, A]):
    """Asks one function on one thread. What waits is bounded by the callers, as each waits."""

    def __init__(
        self,
        worker: Worker,
        answer: Callable[[Sequence[Q]], list[A | Exception]],
        name: str,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make one.

        Args:
            worker: the thread.
            answer: called there; gives an answer for each question, or what to raise instead.
            name: of the task that asks.
            before: awaited before each call; what it raises goes to all who ask.
        """
        self._worker = worker
        self._answer = answer
        self._name = name
        self._before = before
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer to a question, or what it raises."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._ask_all(), name=self._name)
        return await future

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                await self._ask_some(some)
        finally:
            self._task = None
            for _, future in self._waiting:  # the gateway is being torn down
                future.cancel()

    async def _ask_some(self, some: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        questions = [question for question, _ in some]
        try:
            if self._before is not None:
                await self._before()
            answers = await self._worker.run(self._answer, questions)
        except Exception as error:  # noqa: BLE001 - it is the callers', and goes to them
            answers = [error] * len(some)
        except asyncio.CancelledError:
            for _, future in some:
                future.cancel()
            raise
        for (_, future), answer in zip(some, answers, strict=True):
            _settle(future, answer)


def _settle(future: asyncio.Future[A], answer: A | Exception) -> None:
    if future.done():  # its caller has left
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)

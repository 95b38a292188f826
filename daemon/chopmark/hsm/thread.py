"""The one thread that calls into the HSM, and the way to it from asyncio."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from chopmark.core.errors import TryAgainError
from chopmark.hsm.turns import Turn, Turns

T = TypeVar("T")
_Job = tuple[asyncio.Future[Any], Callable[[], Any]]
_Result = tuple[asyncio.Future[Any], Any, BaseException | None]

MAX_WAITING: Final = 1024
"""Calls in the queue: a large HSM's work of a second, a small one's of a minute."""


class HsmThread:
    """Runs calls one at a time, in the order of their turns, on one thread named `hsm`.

    Used from one event loop. Calls and results cross over in batches where they come faster than
    a thread switch takes: that is what a loop and a thread spend most on otherwise.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm")
        self._loop = asyncio.get_running_loop()
        self._jobs: Turns[_Job] = Turns()
        self._results: deque[_Result] = deque()
        self._running = False
        self._delivering = False
        self._stopped = False

    async def call(self, function: Callable[..., T], *args: object, turn: Turn = Turn.UPKEEP) -> T:
        """Run a function on the thread. A cancelled call that has not begun will not begin.

        Raises:
            TryAgainError: `hsm-busy` if too many calls wait already.
            RuntimeError: the thread was stopped.
        """
        if self._stopped:
            raise RuntimeError("the HSM's thread was stopped")
        if len(self._jobs) >= MAX_WAITING:
            raise TryAgainError("hsm-busy", "too many signatures wait for the HSM", retry_after=1)
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(turn, (future, lambda: function(*args)))
        if not self._running:
            self._running = True
            self._executor.submit(self._run)
        return await future

    def stop(self) -> None:
        """Take no more calls, and let the thread end after those that wait."""
        self._stopped = True
        self._executor.shutdown(wait=False)

    def _run(self) -> None:
        while True:
            while self._jobs:
                self._run_one(*self._jobs.take())
            self._running = False
            # A call that came between the last look and that line saw `_running` still set.
            if not self._jobs:
                return
            self._running = True

    def _run_one(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        if future.cancelled():
            return
        try:
            result: _Result = (future, function(), None)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and goes to the caller
            result = (future, None, error)
        self._results.append(result)
        if not self._delivering:
            self._delivering = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._delivering = False
        while self._results:
            future, value, error = self._results.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

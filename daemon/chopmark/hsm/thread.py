"""The one thread that calls into the HSM, and the way to it from asyncio."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
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

    The process does not wait for the thread at its end: a call into a device that never answers
    would keep it for ever.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: Turns[_Job] = Turns()
        self._results: deque[_Result] = deque()
        self._wake = threading.Event()
        self._began: float | None = None
        self._delivering = False
        self._stopped = False
        threading.Thread(target=self._run, name="hsm", daemon=True).start()

    @property
    def stuck_for(self) -> float:
        """Seconds for which the present call has been running; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

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
        self._wake.set()
        return await future

    def stop(self) -> None:
        """Take no more calls, and let the thread end after those that wait."""
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._jobs:
                self._run_one(*self._jobs.take())
            if self._stopped:
                return

    def _run_one(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        if future.cancelled():
            return
        self._began = time.monotonic()
        try:
            result: _Result = (future, function(), None)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and goes to the caller
            result = (future, None, error)
        self._began = None
        self._results.append(result)
        if not self._delivering:
            self._delivering = True
            self._deliver_soon()

    def _deliver_soon(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: whoever asked has left
            self._results.clear()

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

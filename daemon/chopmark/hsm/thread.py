"""The one thread that calls into the HSM, and the way to it from asyncio."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from chopmark.core.errors import TryAgainError
from chopmark.hsm.turns import Turn, Turns

T = TypeVar("T")
_Job = tuple[asyncio.Future[Any], Callable[[], Any], Callable[[Any], Any] | None]
_Result = tuple[asyncio.Future[Any], Any, BaseException | None, Callable[[Any], Any] | None]

MAX_WAITING: Final = 1024
"""Calls in the queue: a large HSM's work of a second, a small one's of a minute."""
BATCH: Final = 32
"""Results that cross over together while more calls wait: each crossing stops the HSM's thread for
as long as the others need the interpreter."""
HELD: Final = 0.004
"""Seconds after which results cross over in any case: slow HSMs gain nothing by waiting."""


class HsmThread:
    """Runs calls one at a time, in the order of their turns, on one thread named `hsm`.

    Used from one event loop. Results cross over in batches where they come faster than a thread
    switch takes: that is what a loop and a thread spend most on otherwise. What is to be done with
    them, checking a signature takes as long as making it, is done on a second thread named
    `hsm-check` meanwhile; a single one, if no call waits, by the HSM's thread, which is idle then.

    The process does not wait for the HSM's thread at its end: a call into a device that never
    answers would keep it for ever.
    """

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._began: float | None = None
        self._checker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hsm-check")
        self._loop = asyncio.get_running_loop()
        self._jobs: Turns[_Job] = Turns()
        self._batch: list[_Result] = []
        self._swap = threading.Lock()
        self._first_at = 0.0
        self._stopped = False
        self._checker.submit(int)  # so that its thread is there: later there may be none to be had
        self._thread = threading.Thread(target=self._run, name="hsm", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def stuck_for(self) -> float:
        """Seconds for which the present call has been running; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    async def call(
        self,
        function: Callable[..., T],
        *args: object,
        turn: Turn = Turn.UPKEEP,
        then: Callable[[T], T] | None = None,
        patience: float | None = None,
    ) -> T:
        """Run a function on the thread. A cancelled call that has not begun will not begin.

        Args:
            function: what to run.
            args: what it gets.
            turn: how urgent it is.
            then: gets what the function gave, beside the HSM's next call, so it must not touch the
                HSM; what it gives or raises is the result.
            patience: seconds after which the caller is let go.

        Raises:
            TimeoutError: there was no result in time.
            TryAgainError: `hsm-busy` if too many calls wait already.
            RuntimeError: the thread was stopped.
        """
        if self._stopped:
            raise RuntimeError("the HSM's thread was stopped")
        if len(self._jobs) >= MAX_WAITING:
            raise TryAgainError("hsm-busy", "too many signatures wait for the HSM", retry_after=1)
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(turn, (future, lambda: function(*args), then))
        self._wake.set()
        if patience is None:
            return await future
        timer = self._loop.call_later(patience, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    def release(self) -> None:
        """Hand over what a call that hangs holds back."""
        if self.stuck_for > HELD:
            self._hand_over(even_if_waiting=True)

    def stop(self) -> None:
        """Take no more calls, and let the thread end after those that wait."""
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        stopped = False
        while not stopped:
            self._wake.wait()
            self._wake.clear()
            stopped = self._stopped  # asked before the jobs: what came before the stop is done
            while self._jobs:
                self._run_one(*self._jobs.take())
                self._hand_over()
        self._checker.shutdown(wait=False)

    def _run_one(
        self,
        future: asyncio.Future[Any],
        function: Callable[[], Any],
        then: Callable[[Any], Any] | None,
    ) -> None:
        if future.done():  # cancelled, or given up
            return
        self._began = time.monotonic()
        if not self._batch:
            self._first_at = self._began
        try:
            result: _Result = (future, function(), None, then)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and goes to the caller
            result = (future, None, error, None)
        self._began = None
        with self._swap:
            self._batch.append(result)

    def _hand_over(self, *, even_if_waiting: bool = False) -> None:
        waiting = bool(self._jobs)
        due = len(self._batch) >= BATCH or time.monotonic() - self._first_at >= HELD
        if waiting and not due and not even_if_waiting:
            return
        with self._swap:
            batch, self._batch = self._batch, []
        if waiting or len(batch) > 1 or even_if_waiting:
            self._checker.submit(self._finish, batch)
        elif batch:
            self._finish(batch)

    def _finish(self, batch: list[_Result]) -> None:
        # Finished in one go, and not one by one with the loop between: see BATCH.
        done = [_finish_one(*result) for result in batch]
        with suppress(RuntimeError):  # the loop is closed: whoever asked has left
            self._loop.call_soon_threadsafe(_deliver, done)


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _finish_one(
    future: asyncio.Future[Any],
    value: Any,
    error: BaseException | None,
    then: Callable[[Any], Any] | None,
) -> tuple[asyncio.Future[Any], Any, BaseException | None]:
    if then is None:
        return future, value, error
    try:
        return future, then(value), None
    except BaseException as raised:  # noqa: BLE001 - it is the caller's, too
        return future, None, raised


def _deliver(done: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, value, error in done:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

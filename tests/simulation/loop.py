"""Seeded event loop in virtual time: the same seed runs the same steps.

Simulated: time (it jumps to the next timer when nothing is ready, and a step takes some too), the
order of what is ready (shuffled), and threads (a call to an executor runs inline, some time later,
in order for each).
"""

import asyncio
import asyncio.base_events
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Protocol, Self

MAX_STEPS = 400_000
"""Steps of one seed: a run that needs more goes round in circles."""
STEP = 1e-6
"""Seconds that pass with each round of steps: no clock stands still while a program runs."""


class Crash(BaseException):
    """Raised inside a call: the gateway that makes it ends here, without a chance to tidy up."""


class Owner(Protocol):
    """The life of a gateway that a task belongs to."""

    dead: bool

    def crash(self) -> None:
        """End it now."""


OWNER: ContextVar[Any] = ContextVar("owner", default=None)


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    def __new__(cls, _coro: Any, *, loop: "SimLoop", **_: Any) -> Self:
        task = super().__new__(cls)
        loop.tasks += 1
        task.number = loop.tasks
        return task

    def __hash__(self) -> int:
        return self.number


class SimHandle(events.Handle):
    """A step to be made. asyncio's own asks its loop each time whether this is for debugging."""

    __slots__ = ()

    def __init__(
        self, callback: Any, args: tuple[Any, ...], loop: "SimLoop", context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None


class SimTimer(SimHandle, events.TimerHandle):
    """The same, at a time."""

    __slots__ = ()

    def __init__(self, when: float, *step: Any) -> None:
        SimHandle.__init__(self, *step)
        self._when = when
        self._scheduled = False


class SimLoop(asyncio.base_events.BaseEventLoop):
    """See the module. `faults` gathers what no task expected."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.steps = self.tasks = 0
        self.most = MAX_STEPS
        self.call_delay = 0.001
        self.faults: list[dict[str, Any]] = []
        self._timers: list[tuple[float, int, SimTimer]] = []
        self._numbers = 0
        self._busy: dict[Any, float] = {}
        self._hook: tuple[int, Callable[[], None]] | None = None
        super().__init__()
        self.set_task_factory(_make_task)
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self.now

    def after_steps(self, steps: int, call: Callable[[], None]) -> None:
        """Call between two steps, so many steps from now; an earlier such call is forgotten."""
        self._hook = (self.steps + steps, call)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> "SimTimer":
        timer = SimTimer(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, timer))
        return timer

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> "SimHandle":
        handle = SimHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> "SimTimer":
        return self.call_at(self.now + delay, callback, *args, context=context)

    def run_in_executor(
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        start = max(self.now, self._busy.get(executor, 0.0))
        # Never two at one moment: they would be shuffled, and a thread does not do that.
        end = start + 1e-6 + self.call_delay * self.random.random()
        self._busy[executor] = end
        self.call_at(end, self._execute, future, func, args)
        return future

    def _execute(self, future: asyncio.Future[Any], func: Callable[..., Any], args: Any) -> None:
        owner = OWNER.get()
        if owner is not None and owner.dead:
            future.cancel()
            return
        if future.cancelled() and self.random.random() < 0.5:
            return  # it had not begun when its caller was cancelled
        try:
            result = func(*args)
        except Crash:
            future.cancel()
            owner.crash()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    def _run_once(self) -> None:
        """Rounds of steps, until somebody stops the loop."""
        ready, random, shuffle = self._ready, self.random.random, self.random.shuffle
        while not self._stopping:
            self._wake(ready, self._timers)
            if len(ready) == 1:
                self._step(ready.popleft())
            else:
                batch = list(ready)
                ready.clear()
                if len(batch) > 2:
                    shuffle(batch)
                elif random() < 0.5:
                    batch.reverse()
                for handle in batch:
                    self._step(handle)
            if self.steps > self.most:
                raise RuntimeError("the simulation does not come to an end")

    def _step(self, handle: "SimHandle") -> None:
        if handle._cancelled:
            return
        self.steps += 1
        handle._run()
        if self._hook is not None and self.steps >= self._hook[0]:
            self._hook, (_, call) = None, self._hook
            call()

    def _wake(self, ready: deque["SimHandle"], timers: list[tuple[float, int, "SimTimer"]]) -> None:
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        now = self.now
        if not ready:
            if not timers:
                raise RuntimeError("nothing is ready, and nothing will be")
            now = max(now, timers[0][0])
        self.now = now = now + STEP
        # Those of one moment at a time: what comes later is not shuffled with what came before.
        if timers and (due := timers[0][0]) <= now:
            while timers and timers[0][0] == due:
                ready.append(heapq.heappop(timers)[2])

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """Cancelled timers stay in the heap until their time comes."""


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    context: Context | None = None,
) -> SimTask:
    return SimTask(coro, loop=loop, context=context)

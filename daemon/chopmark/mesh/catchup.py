"""Catch-up: asks for the packages that a replica lacks, of several peers at once.

The line is kept full: whenever an answer comes the next question goes out. Answers wait in the
intake's buffer, which is bounded, and are stored in order. It resumes anywhere, since every package
is verified by itself and stored at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, MissingError
from chopmark.core.package import MAX_PACKAGE
from chopmark.mesh.asking import Asker
from chopmark.mesh.intake import Intake
from chopmark.mesh.lanes import Holder, Lanes
from chopmark.mesh.messages import Request
from chopmark.mesh.ports import FollowedLog
from chopmark.mesh.unverified import holes, next_bundle

LOG: Final = logging.getLogger("chopmark.mesh")

SETTLE: Final = 0.3
"""Seconds without progress after which live packages are taken as lost."""
POLL: Final = 30.0
"""Seconds after which a quiet peer is asked for news: brokers need not retain anything."""
RETRY: Final = 5.0
"""Seconds after which what nobody could send is asked for again."""
HEDGE: Final = 1.0
"""Seconds after which what everything else waits for is asked of a second peer as well."""


class CatchUp:
    """Brings one replica up to date.

    Args:
        log: the replica.
        asker: sends requests.
        intake: takes the answers.
        holders: who may hold the log, the best first.
    """

    def __init__(
        self,
        log: FollowedLog,
        asker: Asker,
        intake: Intake,
        holders: Callable[[], Sequence[Holder]],
    ) -> None:
        self._log = log
        self._asker = asker
        self._intake = intake
        self._holders = holders
        self._lanes = Lanes()
        self._asked: dict[int, list[tuple[str, float]]] = {}
        self._due = asyncio.Event()
        self._changed = asyncio.Event()
        self._news_due = False
        intake.blame = lambda helper: self._lanes.blame(helper, _now())
        self.running = False

    @property
    def in_flight(self) -> int:
        """Packages that were asked for and have not come yet."""
        return sum(map(len, self._asked.values()))

    def wake(self) -> None:
        """There may be news: look now."""
        self._news_due = True
        self._due.set()

    def went_on(self) -> None:
        """The intake has stored something, or refused it."""
        self._changed.set()
        if self._log.missing:
            self._due.set()

    async def run(self) -> None:
        """Look whenever woken, and now and then anyway."""
        while True:
            pause = RETRY if self._log.missing else POLL
            # Not `wait_for`: in Python 3.11 it may swallow a cancellation, and never end.
            try:
                async with asyncio.timeout(pause):
                    await self._due.wait()
            except TimeoutError:
                self._news_due = True
            self._due.clear()
            if not await self._is_progressing() and self._wanted:
                await self._catch_up()

    @property
    def _wanted(self) -> bool:
        """Whether what comes would be taken: the log is followed, and there is room for it."""
        return self._log.conflict is None and not self._log.paused

    async def _is_progressing(self) -> bool:
        """Whether live packages are coming in; then they bring what is missing."""
        if not self._log.missing:
            return False
        before = self._log.size
        await asyncio.sleep(SETTLE)
        progressing = self._log.size > before
        if progressing and self._log.missing:
            self._due.set()
        return progressing

    async def _catch_up(self) -> None:
        # What is held may reach beyond every head that is known since the last start.
        self._news_due |= 0 < self._log.missing <= self._log.size - self._log.signed_size
        try:
            async with asyncio.TaskGroup() as tasks:
                while self._wanted:
                    self.running = bool(self._log.missing)
                    self._ask_more(tasks)
                    if not self._asked and not self._intake.busy:
                        break
                    await self._wait()
        finally:
            self._asked.clear()
            self.running = False

    async def _wait(self) -> None:
        """Until there is something new, or it is time to ask a second peer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEDGE):
                await self._changed.wait()
        self._changed.clear()

    def _ask_more(self, tasks: asyncio.TaskGroup) -> None:
        """Ask for what is neither here nor asked for, as long as there is room for it."""
        holders = self._holders()
        if not self._asker.reachable:  # no fault of theirs; the next connection wakes us
            return
        end = max(self._promised, self._log.size + self._news_due)
        covered = [*self._intake.unverified.runs()]
        covered += [(start, next_bundle(start)) for start in self._asked]
        room = self._room()
        for start in holes(self._log.size, end, covered):
            # The next one is always asked for: nothing else could go on without it.
            helper = None
            if room > 0 or start == self._log.size:
                helper = self._lanes.pick(holders, start, _now())
            if helper is None:
                break
            self._start(tasks, helper, start)
            room -= 1
        self._ask_twice(tasks, holders)

    @property
    def _promised(self) -> int:
        """Entries that there are, as far as we know."""
        return self._log.signed_size + self._log.missing

    def _room(self) -> int:
        """Packages for which the buffer has room beside answers that wait and are on their way."""
        unverified = self._intake.unverified
        return (unverified.limit - unverified.answers) // MAX_PACKAGE - self.in_flight

    def _ask_twice(self, tasks: asyncio.TaskGroup, holders: Sequence[Holder]) -> None:
        """Ask again for what all else waits for, of a second peer if there is one."""
        start = min(self._asked, default=-1)
        asked = self._asked.get(start, [])
        if len(asked) != 1 or start > self._log.size or asked[0][1] + HEDGE > _now():
            return
        others = [one for one in holders if one.sure and one.name != asked[0][0]]
        helper = self._lanes.pick(others or holders, start, _now(), urgent=True)
        if helper is not None:
            self._start(tasks, helper, start)

    def _start(self, tasks: asyncio.TaskGroup, helper: str, start: int) -> None:
        self._asked.setdefault(start, []).append((helper, _now()))
        tasks.create_task(self._ask(helper, start), name=f"ask-{helper}-{start}")

    async def _ask(self, helper: str, start: int) -> None:
        asked_at = _now()
        try:
            payload = await self._asker.ask(helper, Request(self._log.origin, start, start + 1))
            if self._intake.take_answer(payload, helper, start):
                self._lanes.answered(helper)
            else:
                self._lanes.useless(helper, _now())
        except InternalError:
            raise
        except MissingError:
            if start < self._promised:
                self._lanes.useless(helper, _now())
            else:
                self._lanes.answered(helper)  # no news
        except ChopmarkError as error:
            LOG.debug("catch-up of %s from %s: %s", self._log.origin, helper, error.message)
            self._lanes.silent(helper, asked_at, _now())
        finally:
            self._news_due = False
            self._forget(helper, start)
            self._changed.set()

    def _forget(self, helper: str, start: int) -> None:
        rest = [asked for asked in self._asked.get(start, []) if asked[0] != helper]
        if rest:
            self._asked[start] = rest
        else:
            self._asked.pop(start, None)


def _now() -> float:
    return asyncio.get_running_loop().time()

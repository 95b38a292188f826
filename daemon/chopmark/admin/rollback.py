"""Takes a change back that nobody confirms in time, however often it must be tried: one timer each.

A disk that takes nothing keeps the change in force; it is told, and tried again until it is gone.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chopmark.core.errors import ChopmarkError, InternalError

LOG: Final = logging.getLogger("chopmark.admin")
AGAIN: Final = 30.0
"""Seconds until it is tried again: a disk that was full may have room."""
_HINT: Final = "make room (`show disk`): it is tried again by itself; `configure confirm` keeps it"


class Change(Protocol):
    """What was put in force for a time."""

    @property
    def applied(self) -> Any:
        """Something, as long as it is not confirmed."""
        ...

    async def take_back(self) -> None:
        """Have it as it was before."""
        ...


@dataclass(slots=True)
class Rollback:
    """The timer of one sort of change.

    Attributes:
        change: gives the change, as it is on the disk now.
        lock: held while something is changed.
        left: seconds, of the event loop's clock, at which an unconfirmed change is taken back.
        stuck: why one that should be taken back is not yet.
    """

    change: Callable[[], Change]
    lock: asyncio.Lock
    left: float | None = None
    stuck: ChopmarkError | None = None
    _timer: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether a change is to be taken back."""
        return self._timer is not None

    def arm(self, seconds: float) -> None:
        """Have an unconfirmed change taken back after so many seconds."""
        loop = asyncio.get_running_loop()
        self.left = loop.time() + seconds
        self._timer = loop.create_task(self._run(seconds), name="rollback")

    async def attempt(self) -> bool:
        """Take it back now; whether no change waits any more. What hinders it is told."""
        try:
            if self.change().applied is not None:
                await self.change().take_back()
        except (ChopmarkError, OSError) as error:
            reason = error.message if isinstance(error, ChopmarkError) else str(error)
            LOG.error("a change is not taken back yet: %s", reason)  # noqa: TRY400 - the reason says it all
            message = f"a change that was not confirmed is not taken back yet: {reason}"
            self.stuck = InternalError("rollback-stuck", message, hint=_HINT)
            return False
        self.stuck = None
        return True

    def forget(self) -> None:
        """It was confirmed, or taken back."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.left = self.stuck = None

    async def close(self) -> None:
        """Stop waiting; the next service takes back."""
        if self._timer is not None:
            self._timer.cancel()
            with suppress(asyncio.CancelledError):
                await self._timer

    async def _run(self, seconds: float) -> None:
        done = False
        while not done:
            await asyncio.sleep(seconds)
            async with self.lock:
                LOG.warning("not confirmed in time", extra={"verb": "config-rollback"})
                done, seconds = await self.attempt(), AGAIN
        self._timer = self.left = None

"""Who does nothing is warned, and then signed out; who does not sign in does not stay, either.

Before the sign-in typing does not prolong anything, and whoever comes by another port gets the seat
once `grace` is over.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from chopmark.console.desk import HungUpError
from chopmark.console.seat import Seat
from chopmark.console.terminal import Terminal
from chopmark.console.words import t


class IdleError(HungUpError):
    """Nothing was typed for too long: for what is running, as if the line were gone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without a key.

    Attributes:
        login: before anybody has signed in.
        signing: in all, before anybody has signed in, whatever is typed.
        grace: the least time for a sign-in that nobody at another port can end.
        idle: at the prompt, at a question, at `--more--`.
        busy: while a command works: long checks and logs that are followed are watched.
        warning: how long before the end it is told.
        step: between two looks.
    """

    login: float = 120
    signing: float = 600
    grace: float = 60
    idle: float = 300
    busy: float = 1800
    warning: float = 60
    step: float = 1


LIMITS: Final = Limits()


class Idle:
    """Watches one session; a transfer that has the line is never idle.

    Attributes:
        signed_in: somebody is; set by the session.
        seat: the session's, once it has one; set by the session.
    """

    def __init__(self, desk: Terminal, limits: Limits) -> None:
        self._desk = desk
        self._limits = limits
        self._warned = False
        self._began = asyncio.get_running_loop().time()
        self.signed_in = False
        self.seat: Seat | None = None

    async def run(self) -> None:
        """Watch until it was too long."""
        loop, heard = asyncio.get_running_loop(), self._desk.input
        while (left := self._limit() - (loop.time() - heard.heard)) > 0:
            await self._warn(left)
            await asyncio.sleep(self._limits.step)
            if not self.signed_in and (error := await self._overdue()):
                heard.end(error)
                return
        heard.end(IdleError("idle", "nothing was typed for too long"))

    async def _overdue(self) -> IdleError | None:
        """Why whoever does not sign in must go."""
        now = asyncio.get_running_loop().time()
        if now - self._began > self._limits.signing:
            return IdleError("sign-in-late", "nobody has signed in for too long")
        if self.seat is None:
            return None
        port = await asyncio.to_thread(self.seat.wanted, self._limits.grace)
        return IdleError("seat-taken", f"somebody at {port} takes the seat") if port else None

    def _limit(self) -> float:
        if self._desk.input.lent:
            return float("inf")
        if not self.signed_in:
            return self._limits.login
        return self._limits.busy if self._desk.input.works else self._limits.idle

    async def _warn(self, left: float) -> None:
        due = left <= self._limits.warning and self.signed_in
        if due and not self._warned:
            text = t(self._desk.language, "session.idle-warning", seconds=round(left))
            await self._desk.interject(text)
        self._warned = due

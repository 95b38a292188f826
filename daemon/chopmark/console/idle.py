"""Who does nothing is warned, and then signed out."""

import asyncio
from dataclasses import dataclass
from typing import Final

from chopmark.console.desk import HungUpError
from chopmark.console.terminal import Terminal
from chopmark.console.words import t


class IdleError(HungUpError):
    """Nothing was typed for too long: for what is running, as if the line were gone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without a key.

    Attributes:
        login: before anybody has signed in.
        idle: at the prompt, at a question, at `--more--`.
        busy: while a command works: long checks and logs that are followed are watched.
        warning: how long before the end it is told.
        step: between two looks.
    """

    login: float = 120
    idle: float = 300
    busy: float = 1800
    warning: float = 60
    step: float = 1


LIMITS: Final = Limits()


class Idle:
    """Watches one session; a transfer that has the line is never idle.

    Attributes:
        signed_in: somebody is; set by the session.
    """

    def __init__(self, desk: Terminal, limits: Limits) -> None:
        self._desk = desk
        self._limits = limits
        self._warned = False
        self.signed_in = False

    async def run(self) -> None:
        """Watch until it was too long."""
        loop, heard = asyncio.get_running_loop(), self._desk.input
        while (left := self._limit() - (loop.time() - heard.heard)) > 0:
            await self._warn(left)
            await asyncio.sleep(self._limits.step)
        heard.end(IdleError("idle", "nothing was typed for too long"))

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

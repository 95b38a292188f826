"""One session at a terminal: banner, sign-in, prompt and commands, until somebody leaves.

Rules:

1. Enter wakes it. The banner says which box this is and how it is, and nothing secret.
2. The session takes the one seat of the box before it asks who is there. Somebody who does not sign
   in has it for a time only, and loses it to whoever comes by another port.
3. A command runs until it ends, Ctrl-C, or the line is gone. Whatever it raises is one line.
4. What a role may not do is refused and recorded. A command for two technicians has the second
   one sign in, each time; a dangerous one has the serial number typed.
5. Exit, Ctrl-D, a hang-up and idleness end it; the next Enter begins a new one. So does the next
   command of somebody whom a newer enrolment does not name, or names with another role.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from chopmark.console.banner import make_banner, make_prompt
from chopmark.console.command import Admin, Command, GatewayApi, Recorder, Role, Surroundings
from chopmark.console.desk import HungUpError, InterruptedByUserError, Language, Wire
from chopmark.console.device import Device, read_device
from chopmark.console.grammar import parse
from chopmark.console.idle import LIMITS, Idle, IdleError, Limits
from chopmark.console.login import Login
from chopmark.console.obeying import Obeying
from chopmark.console.outlook import Outlook
from chopmark.console.prompt import LoggedOutError, read_command
from chopmark.console.seat import DEFAULT, Seat, take_over
from chopmark.console.terminal import Terminal
from chopmark.console.words import t
from chopmark.console.words.explain import explain
from chopmark.core.errors import ChopmarkError, ForbiddenError, InternalError

Result = TypeVar("Result")
LOG: Final = logging.getLogger("chopmark.console")
ACTION: Final = "console.session"
"""In the audit log."""
TRIES: Final = 3
"""Refused sign-ins before Enter is to be pressed again."""


@dataclass(frozen=True, slots=True)
class House:
    """All that sessions on one port share.

    Attributes:
        login: who may come in.
        gateway, admin, recorder, config: as in `Surroundings`.
        table: all commands.
        port: name of the port, for people.
        seat: the lock file that all ports of the box share.
        limits: when who does nothing is signed out.
        language: before anybody has signed in.
        plain: only ASCII, from the start.
    """

    login: Login
    gateway: GatewayApi
    admin: Admin
    recorder: Recorder
    config: Path
    table: tuple[Command, ...]
    port: str
    seat: Path = DEFAULT
    limits: Limits = LIMITS
    language: Language = "en"
    plain: bool = False


async def serve(
    wire: Wire, house: House, wait_enter: Callable[[], Awaitable[None]] | None = None
) -> None:
    """One session after the other, until the line is gone.

    Args:
        wire: to the terminal.
        house: see there.
        wait_enter: waits until somebody is there; by itself it reads until Enter comes.

    Raises:
        HungUpError: see `Wire`.
    """
    while True:
        await (wait_enter or partial(_wait_enter, wire))()
        await _Session(wire, house).run()


async def _wait_enter(wire: Wire) -> None:
    data = b""
    while b"\r" not in data and b"\n" not in data:
        data = await wire.read()


class _Session:
    def __init__(self, wire: Wire, house: House) -> None:
        self._house = house
        self._desk = Terminal(wire, house.language, plain=house.plain)
        self._outlook = Outlook(house.gateway)
        self._idle = Idle(self._desk, house.limits)

    async def run(self) -> None:
        """From the banner until somebody has left.

        Raises:
            HungUpError: see `Wire`.
        """
        jobs = (self._desk.input.run(), self._outlook.run(), self._idle.run())
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await self._meet()
            await self._desk.say(t(self._desk.language, "session.press-enter"))
        except IdleError as error:
            await self._desk.interject(t(self._desk.language, f"session.{error.code}-out"))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _meet(self) -> None:
        device = await asyncio.to_thread(read_device, self._house.config)
        await self._outlook.settle()
        await self._desk.say(make_banner(self._desk.language, device, self._outlook))
        with ExitStack() as stack:
            seat = await self._attempt(self._sit(stack))
            found = await self._sign_in() if seat is not None else None
            if seat is not None and found is not None:
                who, role = found
                seat.note(who, self._house.port)
                await self._stay(who, role, device)

    async def _sit(self, stack: ExitStack) -> Seat:
        house = self._house
        seat = await take_over(house.seat, house.port, stack)
        seat.note("somebody who has not signed in yet", house.port, signed_in=False)
        self._idle.seat = seat
        return seat

    async def _sign_in(self) -> tuple[str, Role] | None:
        for _ in range(TRIES):
            found = await self._attempt(self._house.login.log_in(self._desk))
            if found is not None:
                return found
        return None

    async def _stay(self, who: str, role: Role, device: Device) -> None:
        self._idle.signed_in = True
        record = partial(self._house.recorder.record, who, ACTION, port=self._house.port)
        await record("begun")
        reason = "broken-off"
        try:
            await self._work(who, role, device)
        except ChopmarkError as error:
            reason = error.code
            if not isinstance(error, LoggedOutError):
                raise
        finally:
            await record("ended", reason=reason)

    async def _work(self, who: str, role: Role, device: Device) -> None:
        """Command after command, until an error that ends the session."""
        house, desk = self._house, self._desk
        parts = (house.gateway, house.admin, house.recorder, house.config)
        around = Surroundings(desk, who, role, *parts)
        obeying = Obeying(desk, around, house.login, device.serial, house.port)
        await desk.say(t(desk.language, "session.welcome", who=who))
        while True:
            if not device.commissioned:  # a command may have made it a gateway
                device = await asyncio.to_thread(read_device, house.config)
            prompt = make_prompt(device, role, self._outlook)
            line = await read_command(desk, prompt, house.table, role)
            await self._check(who, role)
            await self._attempt(_obey(obeying, line, house.table))

    async def _check(self, who: str, role: Role) -> None:
        try:
            await self._house.login.check(who, role)
        except ForbiddenError as error:
            await self._desk.say(explain(self._desk.language, error))
            raise LoggedOutError(error.code, error.message) from error

    async def _attempt(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """Do something; whatever it ends in is told in one line. The one place that catches."""
        self._desk.pager.begin()
        try:
            return await self._desk.input.guard(work)
        except (HungUpError, LoggedOutError):
            raise
        except InterruptedByUserError:
            return None
        except ChopmarkError as error:
            shown = error
        except Exception as error:  # a bug in one command must not take the console away
            LOG.exception("a command has failed")
            hint = "`show log` has the details; pass them on to head office"
            shown = InternalError("internal", f"internal error: {type(error).__name__}", hint=hint)
        self._desk.pager.begin()
        with suppress(InterruptedByUserError):
            await self._desk.say(explain(self._desk.language, shown))
        return None


async def _obey(obeying: Obeying, line: str, table: Sequence[Command]) -> None:
    match = parse(line, table)
    if match is not None:
        await obeying.obey(match)

"""A console with STAND-INS where others' parts belong: a sign-in that knows two people, no daemon.

As a program it serves a port, to be looked at with a terminal program.
"""

import argparse
import asyncio
import re
from codecs import getincrementaldecoder
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.commands import terminal
from chopmark.console.desk import Desk, Wire
from chopmark.console.main import run_console
from chopmark.console.port import Settings
from chopmark.console.session import House
from chopmark.core.errors import ForbiddenError, TryAgainError
from consoledesk import MemoryAdmin, MemoryGateway, MemoryRecorder
from consolescreen import Screen
from rig.patience import PATIENCE

ROLES = {"anna": Role.SERVICE, "bo": Role.SERVICE, "olga": Role.OBSERVE}
PIN = "4711"


@dataclass
class StandInLogin:
    """A STAND-IN for `access`: three people, one PIN, no delay.

    Attributes:
        removed: why the next command of whoever is signed in is refused.
    """

    removed: str = ""

    async def check(self, who: str, role: Role) -> None:
        assert role < Role.DUAL
        if self.removed:
            raise ForbiddenError(self.removed, f"{who} is not enrolled any more")

    async def log_in(self, desk: Desk) -> tuple[str, Role]:
        who = await desk.ask("Technician id")
        pin = await desk.ask("PIN", secret=True)
        if who not in ROLES or pin != PIN:
            hint = "try again; 4 attempts are left"
            raise ForbiddenError("login-refused", "id or PIN is wrong", hint=hint)
        return who, ROLES[who]

    async def join(self, desk: Desk, who: str) -> tuple[str, Role]:
        second, role = await self.log_in(desk)
        if second == who or role < Role.SERVICE:
            raise ForbiddenError("same-technician", "the second one is another, with service")
        return f"{who}+{second}", Role.DUAL


async def _long(around: Surroundings, _: Any) -> None:
    await around.desk.say("\n".join(f"line {number} \x1b[2J end" for number in range(1, 101)))


async def _hang(around: Surroundings, _: Any) -> None:
    await around.desk.say("hanging")
    await asyncio.Event().wait()


async def _fail(_: Surroundings, __: Any) -> None:
    hint = "`recover hsm pin` lets it be tried again, once"
    raise TryAgainError("pin-latched", "the token has refused the PIN", hint=hint)


async def _break(_: Surroundings, __: Any) -> None:
    raise ZeroDivisionError("a bug")


async def _echo(around: Surroundings, given: Any) -> None:
    await around.desk.say(f"{around.who} {around.role.name}: {given['TEXT']}")


async def _name(around: Surroundings, _: Any) -> None:
    await around.desk.say(f"name is {await around.desk.ask('Name', default='gw-a1')}")


async def _raw(around: Surroundings, _: Any) -> None:
    await around.desk.say("raw")
    async with around.desk.raw() as wire:
        data = await wire.read()
        while b"." not in data:
            data += await wire.read()
        await wire.write(data[::-1])


_TEXT = (Argument("TEXT", "any text"),)
COMMANDS = (
    Command(("show", "long"), "a hundred lines", Role.OBSERVE, _long),
    Command(("show", "hsm"), "always fails", Role.OBSERVE, _fail),
    Command(("show", "broken"), "has a bug", Role.OBSERVE, _break),
    Command(("test", "hang"), "never ends", Role.OBSERVE, _hang),
    Command(("test", "echo"), "says it again", Role.OBSERVE, _echo, _TEXT),
    Command(("configure", "name"), "asks for a name", Role.SERVICE, _name, changes=True),
    Command(("configure", "hang"), "never ends", Role.SERVICE, _hang, changes=True),
    Command(
        ("factory", "reset"), "all is lost", Role.DUAL, _echo, _TEXT, changes=True, serial=True
    ),
    Command(("transfer", "raw"), "backwards", Role.OBSERVE, _raw),
)
TABLE = tuple(sorted((*terminal.COMMANDS, *COMMANDS), key=lambda one: one.path))
"""Those of the terminal, and these: tests do not depend on what else there is."""


@dataclass
class Stand:
    """Everything for a `House`, to look at afterwards."""

    folder: Path
    gateway: MemoryGateway = field(default_factory=MemoryGateway)
    admin: MemoryAdmin = field(default_factory=MemoryAdmin)
    recorder: MemoryRecorder = field(default_factory=MemoryRecorder)
    login: StandInLogin = field(default_factory=StandInLogin)

    def house(self, port: str = "ttyS0", **given: Any) -> House:
        return House(
            *(self.login, self.gateway, self.admin, self.recorder),
            *(self.folder / "gateway.toml", TABLE, port, self.folder / "seat"),
            **given,
        )


class Technician:
    """The far end of a line: what was typed, and a screen of what came."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._utf8 = getincrementaldecoder("utf-8")()
        self._seen = ""
        self.screen = Screen()

    async def type(self, text: str) -> None:
        await self._wire.write(text.encode())

    async def expect(self, *texts: str) -> str:
        """Read until one is seen; gives all up to it, and what follows is for the next."""
        pattern = re.compile("|".join(map(re.escape, texts)))
        async with asyncio.timeout(PATIENCE):
            while (found := pattern.search(self._seen)) is None:
                come = self._utf8.decode(await self._wire.read())
                self.screen.feed(come)
                self._seen += come
        before, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return before

    async def sign_in(self, who: str = "anna") -> str:
        await self.type("\r")
        seen = await self.expect("Technician id: ")
        await self.type(f"{who}\r{PIN}\r")
        return seen + await self.expect(">")

    async def command(self, line: str) -> str:
        """Type it, and read all until the next prompt."""
        await self.type(f"{line}\r")
        await self.expect("\r\n")
        return await self.expect(")>")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    stand = Stand(arguments.folder)
    stand.gateway.gets["/v1/status"] = {"state": "degraded", "alarms": [{}, {}]}
    asyncio.run(run_console(Settings(arguments.port), stand.house(Path(arguments.port).name)))

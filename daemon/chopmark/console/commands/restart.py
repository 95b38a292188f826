"""`restart`, `start`, `stop` of a unit; `reboot`."""

from collections.abc import Mapping
from typing import Final

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.words import t
from chopmark.core.errors import RefusedError

UNITS: Final = ("gateway", "hsm", "broker")
YES: Final = "yes"


async def agree(around: Surroundings, key: str, word: str = YES) -> None:
    """Have a word typed in full before something that cannot be taken back.

    Raises:
        RefusedError: `reset-declined`.
    """
    typed = await around.desk.ask(t(around.desk.language, key, word=word))
    if typed.strip() != word:
        raise RefusedError("reset-declined", f"`{word}` was not typed; nothing was done")


async def _unit(around: Surroundings, action: str, unit: str) -> None:
    language = around.desk.language
    await around.desk.say(t(language, f"unit.{action}.begun", unit=unit))
    await around.admin.do(f"unit-{action}", who=around.who, unit=unit)
    await around.desk.say(t(language, f"unit.{action}.done", unit=unit))


async def _restart(around: Surroundings, given: Mapping[str, str]) -> None:
    await _unit(around, "restart", given["UNIT"])


async def _start(around: Surroundings, given: Mapping[str, str]) -> None:
    await _unit(around, "start", given["UNIT"])


async def _stop(around: Surroundings, given: Mapping[str, str]) -> None:
    await _unit(around, "stop", given["UNIT"])


async def _reboot(around: Surroundings, _: Mapping[str, str]) -> None:
    await agree(around, "reboot.ask")
    await around.admin.do("reboot", who=around.who)
    await around.desk.say(t(around.desk.language, "reboot.done"))


_UNIT: Final = (Argument("UNIT", "help.unit", UNITS),)
COMMANDS: Final = (
    Command(("restart",), "help.restart", Role.SERVICE, _restart, _UNIT, changes=True),
    Command(("start",), "help.start", Role.SERVICE, _start, _UNIT, changes=True),
    Command(("stop",), "help.stop", Role.SERVICE, _stop, _UNIT, changes=True),
    Command(("reboot",), "help.reboot", Role.SERVICE, _reboot, changes=True),
)

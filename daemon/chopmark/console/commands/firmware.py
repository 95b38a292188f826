"""`firmware install`, `firmware switch slot` and `show firmware`: the image's two slots."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.commands.restart import agree
from chopmark.console.showing import Screen
from chopmark.console.words import t
from chopmark.core.errors import ChopmarkError

LOOK: Final = 1.0
"""Seconds between two looks at how far an update has come."""
TELL: Final = 15
"""Looks after which the technician is told that it goes on."""


async def _show(around: Surroundings, _: Mapping[str, str]) -> None:
    screen = Screen(around.desk)
    there = await around.admin.do("firmware-look", who=around.who)
    rows = [_row(screen, there, name, about) for name, about in sorted(there["slots"].items())]
    await screen.table(("slot", "version", "ledger", "state", "tries"), rows)


def _row(screen: Screen, there: Mapping[str, Any], name: str, about: Mapping[str, Any]) -> Any:
    words = ["good" if about["good"] else "not-good"]
    words += [word for word in ("running", "next") if there[word] == name]
    state = ", ".join(screen.t(f"firmware.{word}") for word in words)
    return (name, about.get("version", "-"), about.get("ledger", "-"), state, about["tries"])


async def _install(around: Surroundings, _: Mapping[str, str]) -> None:
    language = around.desk.language
    await around.desk.say(t(language, "firmware.about"))
    await agree(around, "firmware.ask")
    await around.admin.do("firmware-install", who=around.who)
    await around.desk.say(t(language, "firmware.begun"))
    looks = 0
    while (state := await around.admin.do("firmware-state"))["state"] == "running":
        looks += 1
        if looks % TELL == 0:
            await around.desk.say(t(language, "recover.running", seconds=int(looks * LOOK)))
        await asyncio.sleep(LOOK)
    report = state.get("report")
    if report is None:
        raise ChopmarkError("program-failed", "the update ended without a word", hint="`show log`")
    if "code" in report:
        raise error_from_problem(int(report.get("status", 500)), report, None)
    await around.desk.say(t(language, "firmware.done", **report))


async def _switch(around: Surroundings, given: Mapping[str, str]) -> None:
    await around.admin.do("slot-switch", who=around.who, slot=given["SLOT"])
    await around.desk.say(t(around.desk.language, "slot.done", slot=given["SLOT"]))


_SLOT: Final = (Argument("SLOT", "help.slot", ("a", "b")),)
COMMANDS: Final = (
    Command(("show", "firmware"), "help.show.firmware", Role.OBSERVE, _show),
    Command(("firmware", "install"), "help.firmware.install", Role.SERVICE, _install, changes=True),
    Command(
        ("firmware", "switch", "slot"), "help.switch", Role.SERVICE, _switch, _SLOT, changes=True
    ),
)

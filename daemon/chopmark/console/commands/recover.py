"""`recover`: `chopmark recover` in a unit of its own, and what it came to."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commands.restart import agree
from chopmark.console.words import t
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError

LOOK: Final = 1.0
"""Seconds between two looks at how far it has come."""
TELL: Final = 15
"""Looks after which the technician is told that it goes on."""


async def _recover(around: Surroundings, _: Mapping[str, str]) -> None:
    language = around.desk.language
    await around.desk.say(t(language, "recover.about"))
    await agree(around, "recover.ask")
    await around.admin.do("recover-start", who=around.who)
    await around.desk.say(t(language, "recover.begun"))
    looks = 0
    while (state := await around.admin.do("recover-state"))["state"] == "running":
        looks += 1
        if looks % TELL == 0:
            await around.desk.say(t(language, "recover.running", seconds=int(looks * LOOK)))
        await asyncio.sleep(LOOK)
    await _tell(around, state.get("report"))


async def _state(around: Surroundings, _: Mapping[str, str]) -> None:
    state = await around.admin.do("recover-state")
    if state["state"] == "ended":
        await _tell(around, state.get("report"))
    else:
        await around.desk.say(t(around.desk.language, f"recover.state.{state['state']}"))


async def _tell(around: Surroundings, report: Mapping[str, Any] | None) -> None:
    """Show the report, or raise what it says.

    Raises:
        ChopmarkError: what `chopmark recover` said; `program-failed` if it said nothing.
        TryAgainError: `recovery-waiting`.
        RefusedError: `origin-retired`.
    """
    if report is None:
        hint = "`show log` says more; `recover` may be given again: it goes on where it stopped"
        raise ChopmarkError("program-failed", "the recovery ended without a report", hint=hint)
    if "code" in report:
        raise error_from_problem(int(report.get("status", 500)), report, None)
    language, result = around.desk.language, str(report.get("result"))
    shown = {**report, "entries": (report.get("head") or {}).get("size")}
    for key in ("origin", "entries", "answered", "silent", "report"):
        value = shown.get(key)
        if value not in (None, [], ""):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            await around.desk.say(f"{t(language, f'recover.field.{key}')}: {text}")
    if result == "waiting":
        hint = "`recover` again once they are online; `start gateway` verifies meanwhile"
        raise TryAgainError("recovery-waiting", "not every institution has answered", hint=hint)
    if result == "retired":
        hint = "hand the report to head office: the roster retires this origin"
        raise RefusedError("origin-retired", "this origin must not go on", hint=hint)
    await around.desk.say(t(language, "recover.good"))


COMMANDS: Final = (
    Command(("recover",), "help.recover", Role.SERVICE, _recover, changes=True),
    Command(("show", "recovery"), "help.show.recovery", Role.OBSERVE, _state),
)

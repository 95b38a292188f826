"""`firmware …` and `show firmware`: the image's two slots, and what is fetched for one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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
_MB: Final = 1_000_000
_Tell = Callable[[Mapping[str, Any] | None, int], Awaitable[None]]


async def _show(around: Surroundings, _: Mapping[str, str]) -> None:
    screen = Screen(around.desk)
    there = await around.admin.do("firmware-look", who=around.who)
    rows = [_row(screen, there, name, about) for name, about in sorted(there["slots"].items())]
    await screen.table(("slot", "version", "ledger", "state", "tries"), rows)
    if there.get("fetched"):
        await screen.say([screen.t("firmware.fetch.waits", version=there["fetched"])])


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

    async def tell(_: Mapping[str, Any] | None, seconds: int) -> None:
        await around.desk.say(t(language, "recover.running", seconds=seconds))

    report = await _follow(around, "firmware-state", tell)
    await around.desk.say(t(language, "firmware.done", **report))


async def _fetch(around: Surroundings, _: Mapping[str, str]) -> None:
    language = around.desk.language
    if (await around.admin.do("fetch-state"))["state"] != "running":
        await around.admin.do("fetch-start", who=around.who)
    await around.desk.say(t(language, "firmware.fetch.begun"))

    async def tell(report: Mapping[str, Any] | None, _: int) -> None:
        if report is not None and "have" in report:
            text = t(language, "firmware.fetch.progress", **_progress(report))
            await around.desk.say(text)

    report = await _follow(around, "fetch-state", tell)
    if not report.get("done"):  # somebody has ended it
        await around.desk.say(t(language, "firmware.fetch.stopped"))
        return
    size = f"{report['size'] / _MB:.1f}"
    await around.desk.say(t(language, "firmware.fetch.done", version=report["version"], size=size))


def _progress(report: Mapping[str, Any]) -> Mapping[str, object]:
    have, size, rate = (int(report[name]) for name in ("have", "size", "rate"))
    return {
        "version": report["version"],
        "percent": have * 100 // max(size, 1),
        "have": f"{have / _MB:.1f}",
        "size": f"{size / _MB:.1f}",
        "rate": rate // 1000,
        "left": -(-(size - have) // max(rate, 1) // 60) if rate else "?",
    }


async def _cancel(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("fetch-stop", who=around.who)
    await around.desk.say(t(around.desk.language, "firmware.fetch.stopped"))


async def _follow(around: Surroundings, verb: str, tell: _Tell) -> Mapping[str, Any]:
    """What came of it, once it has ended; raises what it says.

    Args:
        around: the command's.
        verb: tells how far it is.
        tell: is given what was said last, and the seconds so far, now and then.
    """
    looks = 0
    while (state := await around.admin.do(verb))["state"] == "running":
        looks += 1
        if looks % TELL == 0:
            await tell(state.get("report"), int(looks * LOOK))
        await asyncio.sleep(LOOK)
    report: Mapping[str, Any] | None = state.get("report")
    if report is None:
        raise ChopmarkError("program-failed", "it ended without a word", hint="`show log`")
    if "code" in report:
        raise error_from_problem(int(report.get("status", 500)), report, None)
    return report


async def _switch(around: Surroundings, given: Mapping[str, str]) -> None:
    await around.admin.do("slot-switch", who=around.who, slot=given["SLOT"])
    await around.desk.say(t(around.desk.language, "slot.done", slot=given["SLOT"]))


_SLOT: Final = (Argument("SLOT", "help.slot", ("a", "b")),)
COMMANDS: Final = (
    Command(("show", "firmware"), "help.show.firmware", Role.OBSERVE, _show),
    Command(("firmware", "install"), "help.firmware.install", Role.SERVICE, _install, changes=True),
    Command(("firmware", "fetch"), "help.firmware.fetch", Role.SERVICE, _fetch, changes=True),
    Command(("firmware", "cancel"), "help.firmware.cancel", Role.SERVICE, _cancel, changes=True),
    Command(
        ("firmware", "switch", "slot"), "help.switch", Role.SERVICE, _switch, _SLOT, changes=True
    ),
)

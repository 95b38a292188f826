"""`hsm pin` and `hsm unlatch`: the HSM has refused the PIN, or waits for one."""

from collections.abc import Mapping
from typing import Any, Final

from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commands.restart import YES, agree
from chopmark.console.commissioning.keys import check_tries
from chopmark.console.showing import Screen
from chopmark.core.errors import ChopmarkError, UsageError

TRY: Final = "TRY"
SECONDS: Final = 60.0
"""For a module to log in and to find its keys."""


async def pin(around: Surroundings, _: Mapping[str, str]) -> None:
    """Have another PIN tried, once; if it is the right one, put it in place for the next start."""
    screen = Screen(around.desk)
    await screen.prose(screen.t("hsm.pin.about"))
    await _warn(around, screen)
    typed = await around.desk.ask(screen.t("hsm.pin.ask"), secret=True)
    if not typed:
        raise UsageError("pin-missing", "no PIN was typed; nothing was tried")
    state = await around.gateway.post("/v1/hsm/pin", {"pin": typed}, seconds=SECONDS)
    await _tell(screen, state)
    if state.get("state") != "ready":
        return
    keep = await around.desk.ask(screen.t("hsm.pin.keep", word=YES))
    if keep.strip() == YES:
        await around.admin.do("pin-put", who=around.who, pin=typed)
        await screen.prose(screen.t("hsm.pin.kept"))
    else:
        await screen.prose(screen.t("hsm.pin.memory"))


async def unlatch(around: Surroundings, _: Mapping[str, str]) -> None:
    """Have the PIN that is in place tried again, once."""
    await _warn(around, Screen(around.desk))
    state = await around.gateway.post("/v1/hsm/unlatch", {}, seconds=SECONDS)
    await _tell(Screen(around.desk), state)


async def _warn(around: Surroundings, screen: Screen) -> None:
    """Have it confirmed that a PIN is to be tried, where wrong ones were tried before.

    Raises:
        RefusedError: `pin-last-try`, `pin-locked`: the gateway tries none then; `reset-declined`.
    """
    try:
        there = await around.admin.do("token-tries", who=around.who)
    except ChopmarkError as error:
        await screen.trouble(error)
        there = {"tries": "unknown"}
    tries = str(there.get("tries"))
    check_tries(tries)
    why = tries if tries in ("low", "unknown") else "latched" if there.get("refused") else ""
    if why:
        await screen.prose(screen.t(f"hsm.pin.{why}"))
        await agree(around, "hsm.pin.sure", TRY)


async def _tell(screen: Screen, state: Mapping[str, Any]) -> None:
    reason = f": {state['reason']}" if state.get("reason") else ""
    await screen.prose(f"HSM  {screen.state(state)}{reason}")


COMMANDS: Final = (
    Command(("hsm", "pin"), "help.hsm.pin", Role.SERVICE, pin, changes=True),
    Command(("hsm", "unlatch"), "help.hsm.unlatch", Role.SERVICE, unlatch, changes=True),
)

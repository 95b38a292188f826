"""`commission`: from a bare box to a working gateway; `show commissioning`: how far it is."""

from collections.abc import Mapping
from typing import Final

from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commissioning.plan import go_through, show
from chopmark.console.commissioning.scene import Scene


async def _commission(around: Surroundings, _: Mapping[str, str]) -> None:
    await go_through(Scene(around))


async def _show(around: Surroundings, _: Mapping[str, str]) -> None:
    await show(Scene(around))


COMMANDS: Final = (
    Command(("commission",), "help.commission", Role.SERVICE, _commission, changes=True),
    Command(("show", "commissioning"), "help.show.commissioning", Role.OBSERVE, _show),
)

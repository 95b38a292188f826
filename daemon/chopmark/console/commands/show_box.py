"""`show network`, `clock`, `disk`, `temperature`, `services`: what the box itself tells."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chopmark.console.box.clock import read_clock
from chopmark.console.box.network import Link, read_network
from chopmark.console.box.sensors import Space, read_space, read_temperatures, read_wear
from chopmark.console.box.units import read_units
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.showing import Screen, ask
from chopmark.console.snapshot import read_config
from chopmark.console.stateside import look_at_space
from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.core.wording import format_time

_WORN: Final = 11
"""More than all of its life, as an eMMC says it."""


async def network(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show links, addresses, routes and name servers."""
    screen, seen = Screen(given.desk), await read_network()
    await screen.table(("link", "state", "cable", "speed", "MAC"), map(_link, seen.links))
    addresses = [(link.name, ", ".join(link.addresses)) for link in seen.links if link.addresses]
    await screen.fields(addresses)
    routes = [("route", route) for route in seen.routes]
    await screen.fields([*routes, ("DNS", ", ".join(seen.servers) or screen.t("show.none"))])
    if not seen.outward:
        await screen.say([screen.t("show.no-links")])
    if seen.problem:
        await screen.prose(seen.problem)


def _link(link: Link) -> list[object]:
    cable = {True: "yes", False: "no", None: "?"}[link.carrier]
    speed = None if link.speed is None else f"{link.speed} Mb/s"
    return [link.name, link.state, cable, speed, link.mac]


async def clock(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show the time, who keeps it, and what the gateway's guard thinks of it."""
    screen, seen = Screen(given.desk), await read_clock()
    keeps = screen.t("show.synchronised") if seen.synchronised else seen.reason
    now = format_time(int(seen.now.timestamp() * 1000))
    own = [("now", now), ("kernel", keeps), ("source", seen.source or None)]
    try:
        status = await ask(given, "/v1/status")
    except ChopmarkError as error:
        await screen.fields(own)
        await screen.trouble(error)
    else:
        await screen.fields([*own, *_guard(status.get("clock") or {})])


def _guard(part: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What the gateway's guard says; what it has nothing to say of is left out."""
    for name, value in part.items():
        if isinstance(value, dict):
            told = ", ".join(f"{key} {one}" for key, one in value.items())
            yield name, told or None
        else:
            yield ("gateway" if name == "now" else name), value


async def disk(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show the file systems that matter, and how worn the flash is."""
    screen, config = Screen(given.desk), read_config(given.config)
    rows = [_space(await asyncio.to_thread(read_space, Path("/")))]
    if not isinstance(config, ConfigurationError):
        state = config.gateway.state
        space = await look_at_space(given.admin, state)
        unseen = [state, "?", "?", screen.t("show.not-seen")]
        rows.append(unseen if space is None else _space(space))
    await screen.table(("path", "size", "free", "used"), rows)
    worn = await asyncio.to_thread(read_wear)
    for one in worn:
        life = "/".join(f"{max(0, each - 1) * 10}-{each * 10} %" for each in one.tenths)
        over = f"  {screen.t('show.worn')}" if max(one.tenths) >= _WORN else ""
        await screen.fields([(one.device, f"{screen.t('show.wear', life=life)}{over}")])
    if not worn:
        await screen.trouble(screen.not_here(screen.t("show.wear-of-flash")))


def _space(space: Space) -> list[object]:
    sizes = (f"{size / 1e9:.1f} GB" for size in (space.total, space.free))
    return [space.path, *sizes, f"{space.used:.1%}"]


async def temperature(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show what the sensors say."""
    screen, found = Screen(given.desk), await asyncio.to_thread(read_temperatures)
    if not found:
        raise screen.not_here(screen.t("label.temperature"))
    rows = (
        (one.name, f"{one.celsius:.1f}", "" if one.limit is None else f"{one.limit:.0f}")
        for one in found
    )
    await screen.table(("sensor", "°C", "limit"), rows)


async def services(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show the units of systemd."""
    screen = Screen(given.desk)
    found = await read_units()
    rows = ((one.name, one.state, one.restarts, one.said) for one in found)
    await screen.table(("unit", "state", "restarts", "says"), rows)


COMMANDS = (
    Command(("show", "network"), "help.show.network", Role.OBSERVE, network),
    Command(("show", "clock"), "help.show.clock", Role.OBSERVE, clock),
    Command(("show", "disk"), "help.show.disk", Role.OBSERVE, disk),
    Command(("show", "temperature"), "help.show.temperature", Role.OBSERVE, temperature),
    Command(("show", "services"), "help.show.services", Role.OBSERVE, services),
)

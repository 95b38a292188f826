"""`show version` with the firmware's slots, and `show certificates` with the days left."""

import asyncio
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from chopmark.console.box.certificates import Held, read_certificates
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.device import read_device
from chopmark.console.showing import Screen, ask
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import load_config

SOON: Final = 30
"""Days before its end at which a certificate should be renewed."""


async def version(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show which box this is, what runs here, and from which slot."""
    screen = Screen(given.desk)
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    device = await asyncio.to_thread(read_device, given.config)
    own = [
        ("id", device.id),
        ("serial", device.serial),
        ("slot", device.slot or None),
        ("console", device.version),
        ("Python", sys.version.split()[0]),
        ("system", system),
    ]
    try:
        status = await ask(given, "/v1/status")
    except ChopmarkError as error:
        await screen.fields(own)
        await screen.trouble(error)
    else:
        protocol = status.get("protocol") or {}
        speaks = f"{protocol.get('oldest')} - {protocol.get('newest')}"
        in_use = screen.t("show.in-use", version=protocol.get("in_use"))
        daemon = [("gateway", status.get("version")), ("protocol", f"{speaks}, {in_use}")]
        await screen.fields([*daemon, *own])
    if not device.slot:
        await screen.trouble(screen.not_here(screen.t("label.slots")))


async def certificates(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show each certificate that the configuration names; those that end first come first."""
    screen, config = Screen(given.desk), load_config(given.config)
    found = await asyncio.to_thread(read_certificates, config)
    if not found:
        await screen.say([screen.t("show.no-certificates")])
        return
    now = datetime.now(UTC)
    rows = [_row(screen, one, now) for one in found if not one.problem]
    if rows:
        await screen.table(("days left", "ends", "name", "use", "note"), rows)
    await screen.fields([(one.use, one.problem) for one in found if one.problem])


def _row(screen: Screen, one: Held, now: datetime) -> list[object]:
    days = one.days_left(now)
    assert days is not None  # noqa: S101 - it has no problem
    note = "show.ended" if days < 0 else "show.renew" if days < SOON else "show.good"
    return [days, f"{one.ends:%Y-%m-%d}", one.subject, one.use, screen.t(note)]


COMMANDS = (
    Command(("show", "version"), "help.show.version", Role.OBSERVE, version),
    Command(("show", "certificates"), "help.show.certificates", Role.OBSERVE, certificates),
)

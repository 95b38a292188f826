"""`show technicians` and `enrol`: who may sign in at this console."""

from collections.abc import Mapping
from typing import Final

from chopmark.console.access.enrolling import Enrolling
from chopmark.console.access.judging import Access
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.desk import Language
from chopmark.console.words import t
from chopmark.core.enrolment import Enrolment
from chopmark.core.wording import format_time

NOTICE: Final = 30 * 86_400
"""Seconds before the end from which on it is told."""


async def show_technicians(around: Surroundings, _: Mapping[str, str]) -> None:
    """Who may sign in, until when, and the key to which head office seals the next file."""
    desk, access = around.desk, Access()
    made = await access.enrolment()
    if made is not None:
        await desk.say(_describe(desk.language, made, access.now()))
    kind = (await access.outlook(around.who)).kind
    reason = t(desk.language, f"access.kind.{kind}")
    await desk.say(t(desk.language, "access.asked", kind=reason))
    await desk.say(f"{t(desk.language, 'access.box')} {await access.box()}")


async def enrol(around: Surroundings, _: Mapping[str, str]) -> None:
    """Take a file that is pasted."""
    await Enrolling(Access(), around.recorder).enrol(around.desk, around.who)


async def take_enrolment(around: Surroundings, data: bytes) -> None:
    """Take a file that a transfer has brought.

    Raises:
        ChopmarkError: as `Access.take`.
    """
    await Enrolling(Access(), around.recorder).take(around.desk, around.who, data)


def _describe(language: Language, made: Enrolment, now: float) -> str:
    heading = made.heading
    until = format_time(heading.expires * 1000)
    named = {"number": heading.version, "name": heading.authority.name, "expires": until}
    lines = [t(language, "access.number", **named)]
    if heading.expires - now < NOTICE:
        lines.append(t(language, "access.expiring"))
    return "\n".join([*lines, *(f"  {one.id:<18}{one.duty}" for one in heading.people)])


COMMANDS: Final = (
    Command(("show", "technicians"), "access.help.technicians", Role.OBSERVE, show_technicians),
    Command(("enrol",), "access.help.enrol", Role.SERVICE, enrol, changes=True),
)

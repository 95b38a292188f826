"""`show log`: the daemon's last lines, from a time on, those with a text, or as they come."""

from collections.abc import Mapping
from contextlib import aclosing

from chopmark.console import layout
from chopmark.console.box.journal import MAX_LINES, Wanted, follow_log, read_log
from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.showing import Screen
from chopmark.core.errors import UsageError

_WAYS = ("last", "since", "filter", "follow")


async def log(given: Surroundings, arguments: Mapping[str, str]) -> None:
    """Show lines; `follow` goes on until Ctrl-C."""
    screen = Screen(given.desk)
    way, value = arguments.get("HOW", "last"), arguments.get("VALUE", "")
    text = arguments.get("TEXT", "")
    if way == "follow":
        await _follow(screen, Wanted(text=value or text))
        return
    lines = await read_log(_wanted(way, value, text))
    if not lines:
        await screen.say([screen.t("show.no-lines")])
    for line in lines:
        await screen.say(layout.hang("", line, indent=2, width=screen.width))


async def _follow(screen: Screen, wanted: Wanted) -> None:
    await screen.say([screen.t("show.following")])
    async with aclosing(follow_log(wanted)) as lines:
        async for line in lines:
            await screen.say(layout.hang("", line, indent=2, width=screen.width))


def _wanted(way: str, value: str, text: str) -> Wanted:
    if way == "since":
        if not value:
            raise UsageError("console-missing-argument", "since when?", hint='such as "1 hour ago"')
        return Wanted(MAX_LINES, since=value, text=text)
    if way == "filter":
        return Wanted(text=value)
    if value and not (value.isascii() and value.isdecimal() and 0 < int(value) <= MAX_LINES):
        message = f"not a number of lines: {value!r}"
        raise UsageError("console-value", message, hint=f"1 to {MAX_LINES}")
    return Wanted(int(value or 50), text=text)


COMMANDS = (
    Command(
        ("show", "log"),
        "help.show.log",
        Role.OBSERVE,
        log,
        (
            Argument("HOW", "help.show.log.how", _WAYS, optional=True),
            Argument("VALUE", "help.show.log.value", optional=True),
            Argument("TEXT", "help.show.log.text", optional=True),
        ),
    ),
)

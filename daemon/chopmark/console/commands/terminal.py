"""`help`, `exit`, `history`, `language`, and the settings of the terminal."""

from collections.abc import Mapping

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.commands import load_commands
from chopmark.console.desk import Language
from chopmark.console.offers import expect
from chopmark.console.prompt import LoggedOutError, describe
from chopmark.console.terminal import LENGTHS, WIDTHS, Terminal
from chopmark.console.words import TABLES, t
from chopmark.core.errors import UsageError
from chopmark.core.text import parse_decimal


async def _help(around: Surroundings, _: Mapping[str, str]) -> None:
    desk = around.desk
    offers = expect("", load_commands())
    await desk.say(describe(offers, around.role, desk.language))
    await desk.say(t(desk.language, "help.keys"))


async def _exit(_: Surroundings, __: Mapping[str, str]) -> None:
    raise LoggedOutError("logged-out", "logged out")


async def _history(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.desk.say("\n".join(_terminal(around).history))


async def _language(around: Surroundings, given: Mapping[str, str]) -> None:
    desk = _terminal(around)
    if desk.plain and given["LANGUAGE"] != "en":
        raise UsageError("console-value", t("en", "plain.no-chinese"))
    desk.language = next(one for one in TABLES if one == given["LANGUAGE"])
    await _said(desk, "language", given["LANGUAGE"])


async def _length(around: Surroundings, given: Mapping[str, str]) -> None:
    desk = _terminal(around)
    lines = _number(given["LINES"], "length", LENGTHS, also=(0,))
    desk.pager.length = lines
    await _said(desk, "length", lines)


async def _width(around: Surroundings, given: Mapping[str, str]) -> None:
    desk = _terminal(around)
    desk.width = _number(given["COLUMNS"], "width", WIDTHS)
    await _said(desk, "width", desk.width)


async def _plain(around: Surroundings, given: Mapping[str, str]) -> None:
    desk = _terminal(around)
    desk.plain = given["MODE"] == "on"
    await _said(desk, "plain", given["MODE"])


def _terminal(around: Surroundings) -> Terminal:
    if not isinstance(around.desk, Terminal):
        raise UsageError("console-value", "this is no terminal that can be set")
    return around.desk


async def _said(desk: Terminal, what: str, value: object) -> None:
    await desk.say(t(desk.language, "terminal.set", what=what, value=value))


def _number(text: str, what: str, valid: range, *, also: tuple[int, ...] = ()) -> int:
    number = parse_decimal(text, what)
    if number in valid or number in also:
        return number
    limits = f"{valid.start} to {valid.stop - 1}" + "".join(f", or {one}" for one in also)
    raise UsageError("console-value", f"{what} cannot be {number}", hint=f"type {limits}")


_LANGUAGES: tuple[Language, ...] = tuple(TABLES)
COMMANDS = (
    Command(("help",), "help.help", Role.OBSERVE, _help),
    Command(("exit",), "help.exit", Role.OBSERVE, _exit),
    Command(("history",), "help.history", Role.OBSERVE, _history),
    Command(
        ("language",),
        "help.language",
        Role.OBSERVE,
        _language,
        (Argument("LANGUAGE", "help.language.which", _LANGUAGES),),
    ),
    Command(
        ("terminal", "length"),
        "help.length",
        Role.OBSERVE,
        _length,
        (Argument("LINES", "help.length.lines"),),
    ),
    Command(
        ("terminal", "width"),
        "help.width",
        Role.OBSERVE,
        _width,
        (Argument("COLUMNS", "help.width.columns"),),
    ),
    Command(
        ("terminal", "plain"),
        "help.plain",
        Role.OBSERVE,
        _plain,
        (Argument("MODE", "help.plain.on", ("on", "off")),),
    ),
)

"""The prompt: a command is typed, with its help, its completion and what was typed before."""

from collections.abc import Sequence

from chopmark.console.command import Command, Role
from chopmark.console.desk import InterruptedByUserError, Language
from chopmark.console.offers import Offer, complete, expect
from chopmark.console.terminal import KEPT, Terminal
from chopmark.console.typed import split
from chopmark.console.wire.keys import Key
from chopmark.console.wire.line import LONGEST, Line
from chopmark.console.wire.text import columns
from chopmark.console.words import find_text, t
from chopmark.console.words.explain import explain
from chopmark.core.errors import ChopmarkError, UsageError


class LoggedOutError(ChopmarkError):
    """The person has left, in order."""


async def read_command(
    terminal: Terminal, prompt: str, table: Sequence[Command], role: Role
) -> str:
    """One line that was typed at the prompt; empty if it was given up.

    Raises:
        LoggedOutError: Ctrl-D in an empty line.
        HungUpError: see `Wire`.
    """
    line = await terminal.open_line(prompt, recall=True)
    while True:
        key = await terminal.input.press()
        match key:
            case Key.ENTER:
                await terminal.close_line()
                return await _take(terminal, line)
            case Key.END_OF_INPUT if not line.text:
                await terminal.close_line()
                raise LoggedOutError("logged-out", "logged out")
            case Key.TAB:
                await _complete(terminal, line, table)
            case "?" if not split(line.text[: line.cursor]).open_quote:
                await _help(terminal, line, table, role)
            case _ if not await terminal.edit(line, key):
                return ""


def describe(offers: Sequence[Offer], role: Role, language: Language) -> str:
    """What may follow, a line each; what this role may not do is shown as such."""
    width = max((columns(one.word) for one in offers), default=0)
    return "\n".join(
        f"  {one.word}{' ' * (width - columns(one.word))}  {_explained(one, role, language)}"
        for one in offers
    )


async def _take(terminal: Terminal, line: Line) -> str:
    if line.overfull:
        await terminal.say(t(terminal.language, "line.overfull", most=LONGEST))
        return ""
    text = line.text.strip()
    if text and text != (terminal.history or [""])[-1]:
        terminal.history.append(text)
        del terminal.history[:-KEPT]
    return text


async def _complete(terminal: Terminal, line: Line, table: Sequence[Command]) -> None:
    head = line.text[: line.cursor]
    longer, fitting = complete(head, table)
    if longer != head:
        await terminal.write(line.put_before(longer))
    elif fitting:
        await _between(terminal, line, "  ".join(fitting))
    else:
        await terminal.write("\a")


async def _help(terminal: Terminal, line: Line, table: Sequence[Command], role: Role) -> None:
    try:
        offers = expect(line.text[: line.cursor], table)
        text = describe(offers, role, terminal.language) or t(terminal.language, "help.nothing")
    except UsageError as error:
        text = explain(terminal.language, error)
    await _between(terminal, line, text)


async def _between(terminal: Terminal, line: Line, text: str) -> None:
    """Show something below the row that is being typed, and then that row again."""
    await terminal.write("\r\n")
    terminal.pager.begin()
    try:
        await terminal.say(text)
    except InterruptedByUserError:
        await terminal.write("\r")
    await terminal.write(line.paint())


def _explained(offer: Offer, role: Role, language: Language) -> str:
    text = find_text(language, offer.help) or find_text("en", offer.help)
    text = text or ", ".join(offer.below) or offer.help
    if offer.role <= role:
        return text
    return f"{text} ({t(language, f'needs.{offer.role.name.lower()}')})"

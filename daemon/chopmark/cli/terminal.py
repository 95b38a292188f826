"""Writing to terminals: colour where it is wanted, and nothing that came from elsewhere unclean.

Names of institutions, kinds and reasons come from other institutions, and file names from anyone:
escape sequences, bidirectional overrides and other invisible characters in them are shown as what
they are. Tables (rich) get text objects only, never markup.
"""

import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from chopmark.core.inert import clean

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: Final[dict[str, str]] = {
    "bold": "1",
    "dim": "2",
    "green": "1;32",
    "yellow": "1;33",
    "red": "1;31",
    "grey": "1;37",
    "green-block": "1;30;42",
    "yellow-block": "1;30;43",
    "red-block": "1;97;41",
    "grey-block": "1;30;47",
}
_UNSEEN: Final = re.compile(r"[^\x20-\x7e]")
PROVISIONAL: Final = (
    "provisional: not enough institutions have countersigned yet; "
    "`chopmark proof FILE` completes the proof later"
)
"""What is said of a proof that lacks the quorum."""
NARROW: Final = 30
"""Columns below which lines are not broken any further."""
PIPE_WIDTH: Final = 10_000
"""Columns of a table that does not go to a terminal: nothing is cut off."""


def styled(text: object, style: str = "", *, stream: TextIO | None = None) -> str:
    """Clean text, in a style if the stream shows colours."""
    cleaned = clean(text)
    if not style or not has_colour(stream or sys.stdout):
        return cleaned
    return f"\x1b[{_STYLES[style]}m{cleaned}\x1b[0m"


def say(*pieces: str) -> None:
    """One line on standard output, from pieces that are `clean` or `styled`."""
    print("".join(pieces))


def warn(*pieces: str) -> None:
    """One line on standard error, from pieces that are `clean` or `styled`."""
    print("".join(pieces), file=sys.stderr)


def say_json(value: object) -> None:
    """A value as JSON on one line of standard output."""
    print(encode_json(value))


def encode_json(value: object) -> str:
    """JSON on one line, in which whatever does not print is escaped."""
    return _UNSEEN.sub(_escape, json.dumps(value, ensure_ascii=False))


def has_colour(stream: TextIO) -> bool:
    """Whether to colour: NO_COLOR (no-color.org) and FORCE_COLOR win over what the stream is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say_prose(text: object, *, indent: int = 2) -> None:
    """Clean text, broken between words where a terminal is narrower than it."""
    for line in _broken(clean(text), indent):
        say(" " * indent, line)


def say_fields(fields: Iterable[tuple[str, object]], indent: int = 2) -> None:
    """Names and values in two columns; a value of None leaves its line out."""
    shown = [(name, value) for name, value in fields if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = _broken(clean(value), indent + width + 2)
        say(" " * indent, styled(f"{name:<{width}}", "dim"), "  ", first)
        for line in rest:
            say(" " * (indent + width + 2), line)


def say_hanging(head: str, width: int, text: object) -> None:
    """Clean text behind a head; where it is broken it goes on under its own beginning.

    Args:
        head: pieces that are `clean` or `styled`.
        width: columns that the head takes.
        text: what follows it.
    """
    first, *rest = _broken(clean(text), width)
    say(head, first)
    for line in rest:
        say(" " * width, line)


def say_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()
) -> None:
    """A table on standard output; what a narrow terminal has no room for goes on in a new line.

    Args:
        headings: of the columns.
        rows: cells, in the order of the headings.
        whole: headings of the columns that are not broken.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in whole)
    for row in rows:
        table.add_row(*(Text("" if cell is None else clean(cell)) for cell in row))
    open_console(sys.stdout).print(table)


def open_console(stream: TextIO) -> "Console":
    """A rich console that takes nothing in a text for markup."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:  # rich would exit with 1, here and now
            raise BrokenPipeError

    width = None if stream.isatty() else PIPE_WIDTH
    return PlainConsole(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        width=width,
        no_color=not has_colour(stream),
    )


def _broken(text: str, used: int) -> list[str]:
    """Lines of a text for what a terminal has left beside `used` columns; one line for a pipe."""
    if not sys.stdout.isatty():
        return [text]
    from textwrap import wrap

    room = os.get_terminal_size(sys.stdout.fileno()).columns - used
    # A word that is too long, such as a path, is left whole: it will be copied.
    return wrap(text, max(room, NARROW), break_long_words=False, break_on_hyphens=False) or [""]


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]

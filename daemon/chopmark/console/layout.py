"""Lines for a terminal of 80 columns and any tickets they are pasted into: no colour, no cursor.

All text is made inert here, and cut or broken by what it takes on the screen: a Chinese character
takes two columns.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from chopmark.console.wire.text import columns, fit
from chopmark.console.wire.text import wrap as break_lines
from chopmark.core.inert import clean

WIDTH: Final = 79
"""Columns: a full line of 80 makes some terminals go on in a new one."""
_LEAST: Final = 20
"""Columns below which nothing is broken any further."""
_NARROW: Final = 6
"""Columns of a column of a table that does not give way any more."""


def pad(text: str, width: int) -> str:
    """A text with blanks behind it, so that it takes that many columns at least."""
    return text + " " * (width - columns(text))


def cut(value: object, room: int) -> str:
    """A clean text in one line; what has no room is left out, and three dots say so."""
    text = clean(value)
    return text if columns(text) <= room else f"{text[: fit(text, room - 3)].rstrip()}..."


def wrap(value: object, room: int) -> list[str]:
    """A clean text in lines of so many columns, broken between words where there are any."""
    return break_lines(clean(value), max(room, _LEAST))


def hang(head: str, value: object, *, indent: int | None = None, width: int = WIDTH) -> list[str]:
    """A text behind a head; where it is broken it goes on `indent` columns from the left."""
    indent = columns(head) if indent is None else indent
    first, *rest = wrap(value, width - max(indent, columns(head)))
    return [f"{head}{first}".rstrip(), *(" " * indent + line for line in rest)]


def fields(pairs: Iterable[tuple[str, object]], *, width: int = WIDTH) -> list[str]:
    """Names and values in two columns; a value of None leaves its line out."""
    shown = [(clean(name), value) for name, value in pairs if value is not None]
    most = max((columns(name) for name, _ in shown), default=0)
    heads = ((f"  {pad(name, most)}  ", value) for name, value in shown)
    return [line for head, value in heads for line in hang(head, value, width=width)]


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    width: int = WIDTH,
    whole: Collection[int] = (),
) -> list[str]:
    """A table; the widest column gives way until it fits, and what has no room is cut.

    Columns whose numbers are in `whole` give way only where no other can any more.
    """
    cells = [[clean("" if cell is None else cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > _NARROW:
        given = [0 if at in whole else one for at, one in enumerate(widths)]
        some = given if max(given) > _NARROW else widths
        widths[some.index(max(some))] -= 1
    return [
        "  ".join(
            pad(cut(cell, room), room) for cell, room in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]

"""Text for a terminal of which nothing is known: inert, in columns, in lines of its width.

Names and lines of logs come from others: what does not print in them is shown as its escape
sequence, so that nothing in them moves a cursor or asks the terminal for an answer.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from rich.cells import cell_len

from chopmark.core.inert import clean

TAB: Final = 8
_PLAIN: Final = str.maketrans(
    {
        "—": "-",
        "–": "-",
        "−": "-",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "·": ".",
        "•": "*",
        "×": "x",
        "→": "->",
        "←": "<-",
        "≤": "<=",
        "≥": ">=",
        "✓": "ok",
        "✗": "x",
        "█": "#",
        "░": ".",
    }
)


def inert(text: str, *, plain: bool) -> str:
    """One line as it may be sent.

    Args:
        text: without its end; tabs are columns.
        plain: in ASCII only: letters lose their accents, and what has no such letter is escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = clean(text.expandtabs(TAB))
    return shown if not plain or shown.isascii() else "".join(map(_plain, shown))


def columns(text: str) -> int:
    """Columns that inert text takes: two for each wide character."""
    return len(text) if text.isascii() else cell_len(text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns from one inert line.

    It is broken at blanks, between wide characters, or where it must be; what follows is indented
    as its beginning is. A line that has room stays as it is, blanks and all.
    """
    indent = " " * min(len(text) - len(text.lstrip()), width // 2)
    lines, text = [], _borne(text)
    while columns(text) > width:
        end = _break(text, width, len(indent))
        lines.append(text[:end].rstrip())
        text = indent + _borne(text[end:].lstrip())
    return [*lines, text]


def paragraphs(text: str, width: int, *, plain: bool) -> Iterator[str]:
    """All lines of a text, inert and wrapped; only LF and CRLF end one."""
    for line in text.split("\n"):
        yield from wrap(inert(line.removesuffix("\r"), plain=plain), width)


def shared(texts: Sequence[str]) -> str:
    """The characters with which all of some texts begin."""
    places = zip(*texts, strict=False)
    return "".join(one[0] for one in takewhile(lambda place: len(set(place)) == 1, places))


def fit(text: str, room: int) -> int:
    """How many characters of inert text have room in so many columns."""
    if text.isascii():
        return min(len(text), room)
    used = 0
    for place, character in enumerate(text):
        used += columns(character)
        if used > room:
            return place
    return len(text)


def _borne(text: str) -> str:
    """A mark that combines with what is before it has a blank there, and not the line before."""
    return f" {text}" if text and columns(text[0]) == 0 else text


def _break(text: str, width: int, indent: int) -> int:
    room = max(fit(text, width), indent + 1)
    if text[room : room + 1] == " ":
        return room
    for end in range(room, indent + 1, -1):
        if text[end - 1] == " " or columns(text[end - 1]) == 2:
            return end
    return room


def _plain(character: str) -> str:
    known = character.translate(_PLAIN)
    if known.isascii():
        return known
    base = unicodedata.normalize("NFKD", character)
    accented = base[0].isascii() and all(map(unicodedata.combining, base[1:]))
    return base[0] if accented else ascii(character)[1:-1]

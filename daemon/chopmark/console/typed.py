"""The words of a line, as they were typed: in `"` where they have blanks, and what is piped."""

import re
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r'\||(?:"[^"]*"?|[^\s"|])+')


@dataclass(frozen=True, slots=True)
class Typed:
    """A line in words.

    Attributes:
        words: those before a `|` that a blank has ended, without quotes.
        begun: what stands behind the last blank, as it was typed; it may go on.
        pipe: the same as `words`, behind the `|`; None without one.
        open_quote: a `"` was not closed.
    """

    words: tuple[str, ...]
    begun: str
    pipe: tuple[str, ...] | None
    open_quote: bool


def split(line: str) -> Typed:
    """The words of a line."""
    found = _WORD.findall(line)
    ended = not line or line[-1].isspace() or line[-1] == "|"
    begun = "" if ended or not found else found.pop()
    words = [one.replace('"', "") if one != "|" else one for one in found]
    place = words.index("|") if "|" in words else len(words)
    pipe = tuple(words[place + 1 :]) if place < len(words) else None
    return Typed(tuple(words[:place]), begun, pipe, line.count('"') % 2 == 1)

"""Breaking text into lines: English between words, Chinese between characters."""

import re
from collections.abc import Callable, Sequence
from typing import Final

_NOT_FIRST: Final = "，。、；：！？）」』》〉】〕％…,.;:!?)"
"""What never begins a line."""
_PIECE: Final = re.compile(
    rf"[ -~\u00a0-\u024f]+? |[ -~\u00a0-\u024f]+|.[{re.escape(_NOT_FIRST)}]*", re.DOTALL
)
"""A word with the space after it, or one other character with the marks that cling to it."""


def break_lines(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Lines that are no wider than `width`; a word that is wider by itself is cut."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if measure((lines[-1] + piece).strip(" ")) <= width:
            lines[-1] += piece
            continue
        lines.append("")
        for character in piece:
            if lines[-1] and measure((lines[-1] + character).strip(" ")) > width:
                lines.append("")
            lines[-1] += character
    return [line.strip(" ") for line in lines if line.strip(" ")] or [""]


def shorten(lines: Sequence[str], most: int) -> list[str]:
    """No more lines than `most`; what was left out is an ellipsis."""
    return [*lines[: most - 1], f"{lines[most - 1][:-1]}…"] if len(lines) > most else list(lines)

"""The QR code of a slip: how strong, how large, and where it is dark (docs/formats/slip.md)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import segno

USUAL_TEXT: Final = 1732
"""Characters in version 28 (129 modules) with error correction M; what is larger gets L."""
LEAST_WIDTH: Final = 65.0
"""Millimetres: what a page's camera or a cheap scanner reads from paper."""
LEAST_MODULE: Final = LEAST_WIDTH / 129


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code.

    Attributes:
        version: 1 to 40.
        level: of its error correction: `M` or `L`.
        rows: per row of modules, whether each is dark.
    """

    version: int
    level: str
    rows: tuple[tuple[bool, ...], ...]

    @property
    def size(self) -> int:
        """Modules in a row."""
        return len(self.rows)

    @property
    def module(self) -> float:
        """Width of a module on paper, in millimetres."""
        return max(LEAST_MODULE, LEAST_WIDTH / self.size)

    def bars(self) -> Iterator[tuple[int, int, int]]:
        """The dark modules, as row, first column and number of those beside one another."""
        for number, row in enumerate(self.rows):
            start = 0
            for column, dark in enumerate((*row, False)):
                if not dark:
                    if column > start:
                        yield number, start, column - start
                    start = column + 1


def encode_code(text: str) -> Code:
    """The code of a slip's text, which has room in one: `core.slip` sees to that."""
    level = "M" if len(text) <= USUAL_TEXT else "L"
    made = segno.make_qr(text, error=level, mode="alphanumeric", boost_error=False)
    rows = tuple(tuple(bool(one) for one in row) for row in made.matrix)
    return Code(int(made.version), level, rows)

"""A screen for tests of the console: the least that any terminal does, and nothing more.

It knows CR, LF, BS and BEL. Any other control character fails the test, and so does writing into
the last column, where terminals differ.
"""

from rich.cells import cell_len


class Screen:
    """Rows of cells; a wide character takes two, the second of which is empty.

    Attributes:
        rows: all that were written, the last one below.
        column: where the cursor is in the last row.
    """

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.rows: list[list[str]] = [[]]
        self.column = 0
        self.bells = 0

    def feed(self, text: str) -> None:
        for character in text:
            self._put(character)

    @property
    def row(self) -> str:
        """The last row, without blanks at its end."""
        return "".join(self.rows[-1]).rstrip()

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.rows)

    def _put(self, character: str) -> None:
        match character:
            case "\r":
                self.column = 0
            case "\n":
                self.rows.append([])
            case "\b":
                assert self.column > 0, "went left of the first column"
                self.column -= 1
            case "\a":
                self.bells += 1
            case _:
                assert character.isprintable(), f"a control character: {character!r}"
                self._write(character)

    def _write(self, character: str) -> None:
        row, size = self.rows[-1], cell_len(character)
        if size == 0:
            assert self.column > 0, "a mark that combines with nothing"
            row[self.column - 1] += character
            return
        assert self.column + size < self.width, "wrote into the last column"
        row += [" "] * (self.column + size + 1 - len(row))
        for place in range(self.column, self.column + size):
            self._free(row, place)
        row[self.column] = character
        for place in range(self.column + 1, self.column + size):
            row[place] = ""
        self.column += size

    @staticmethod
    def _free(row: list[str], place: int) -> None:
        """Half of a wide character is no character."""
        if row[place] == "" and place:
            row[place - 1] = " "
        if row[place] and cell_len(row[place]) == 2:
            row[place + 1] = " "
        row[place] = " "

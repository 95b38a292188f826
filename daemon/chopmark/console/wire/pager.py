"""How much of a text has been shown, and what is pressed at `--more--`."""

from typing import Final

from chopmark.console.wire.keys import Key, Pressed

MORE: Final = "--more--"
ERASE: Final = "\r" + " " * len(MORE) + "\r"
"""What takes it away again on any terminal."""


class Pager:
    """Counts lines since the person last pressed something.

    Attributes:
        length: lines of the screen; 0 shows everything at once.
        off: as if it were 0, for one command.
    """

    def __init__(self, length: int = 24) -> None:
        self.length = length
        self.off = False
        self._shown = 0

    def begin(self) -> None:
        """The person has answered or begun something: a page begins."""
        self._shown = 0

    def is_full(self) -> bool:
        """Whether to ask before the next line."""
        return bool(self.length) and not self.off and self._shown >= self.length - 1

    def count(self) -> None:
        """One line was shown."""
        self._shown += 1

    def press(self, key: Pressed) -> bool | None:
        """Go on (True), end it (False), or nothing (None)."""
        if key == " ":
            self._shown = 0
            return True
        if key in (Key.ENTER, Key.DOWN):
            self._shown = self.length - 2
            return True
        if key in ("q", "Q", Key.INTERRUPT, Key.END_OF_INPUT):
            return False
        return None

"""One line that is being typed, in one row of the screen, moved about by BS alone.

A line that is longer than its row is shown in part, with `<` before what is left out. No more is
sent than has changed: at 9600 baud a row takes 80 ms.
"""

from collections.abc import Sequence
from typing import Final

from chopmark.console.wire.keys import Key, Pressed
from chopmark.console.wire.text import columns, fit, inert, shared

LONGEST: Final = 1024
"""Characters of a line; what is pasted beyond makes it one that cannot be used."""
GIVEN_UP: Final = "^C"
"""Behind a line that is given up; there is always room for it."""


class Line:
    """A line and its cursor.

    Args:
        prompt: inert, shorter than the row.
        width: columns of the row; the last is left free, for terminals that go on by themselves.
        secret: nothing is shown, nor taken from what was typed before.
        history: lines from before, the latest last.
        plain: show in ASCII only.
    """

    def __init__(
        self,
        prompt: str,
        width: int,
        *,
        secret: bool = False,
        history: Sequence[str] = (),
        plain: bool = False,
    ) -> None:
        self._prompt = prompt
        self._room = max(8, width - columns(prompt) - 1 - len(GIVEN_UP))
        self._secret = secret
        self._history = () if secret else history
        self._plain = plain
        self._back = 0
        self._draft = ""
        self._left = 0
        self._shown, self._at = "", 0
        self.text = ""
        self.cursor = 0
        self.overfull = False

    def paint(self) -> str:
        """What shows all of it in a new row, or over an old one."""
        self._shown, self._at = "", 0
        return f"\r{self._prompt}{self._repaint()}"

    def put_before(self, head: str) -> str:
        """Put another text in the place of all before the cursor."""
        self.text = (head + self.text[self.cursor :])[:LONGEST]
        self.cursor = min(len(head), LONGEST)
        return self._repaint()

    def finish(self, mark: str = "") -> str:
        """What ends its row, wherever the cursor is."""
        self.cursor = len(self.text)
        return f"{self._repaint()}{mark}\r\n"

    def press(self, key: Pressed) -> str:
        """Change the line by a key, and give what shows it; keys that edit nothing do nothing."""
        match key:
            case str():
                return self._insert(key)
            case Key.BACKSPACE:
                self._cut(max(0, self.cursor - 1), self.cursor)
            case Key.DELETE | Key.END_OF_INPUT:
                self._cut(self.cursor, self.cursor + 1)
            case Key.KILL_LINE:
                self._cut(0, len(self.text))
            case Key.KILL_REST:
                self._cut(self.cursor, len(self.text))
            case Key.KILL_WORD:
                kept = self.text[: self.cursor].rstrip().rpartition(" ")
                self._cut(len(kept[0] + kept[1]), self.cursor)
            case Key.UP | Key.DOWN:
                self._recall(1 if key is Key.UP else -1)
            case Key.REDRAW:
                return "\r\n" + self.paint()
            case _:
                self._move(key)
        return self._repaint()

    def _insert(self, character: str) -> str:
        if len(self.text) >= LONGEST:
            bell = "" if self.overfull else "\a"
            self.overfull = True
            return bell
        self.text = self.text[: self.cursor] + character + self.text[self.cursor :]
        self.cursor += 1
        return self._repaint()

    def _cut(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.cursor = start
        self.overfull = self.overfull and bool(self.text)

    def _move(self, key: Pressed) -> None:
        places = {
            Key.LEFT: max(0, self.cursor - 1),
            Key.RIGHT: min(len(self.text), self.cursor + 1),
            Key.HOME: 0,
            Key.END: len(self.text),
        }
        self.cursor = places.get(key, self.cursor) if isinstance(key, Key) else self.cursor

    def _recall(self, step: int) -> None:
        back = self._back + step
        if not 0 <= back <= len(self._history):
            return
        if self._back == 0:
            self._draft = self.text
        self._back = back
        self.text = self._history[-back] if back else self._draft
        self.cursor = len(self.text)

    def _repaint(self) -> str:
        """From what is shown to what is to be shown, by the shortest way."""
        if self._secret:
            return ""
        old, at = self._shown, self._at
        self._shown, self._at = new, to = self._view()
        same = len(shared((old, new)))
        start = min(same, fit(old, at))
        begin = columns(new[:start])
        end = fit(new, to) if old == new else len(new)
        sent = new[start : max(start, end)]
        blank = max(0, columns(old) - columns(new))
        here = begin + columns(sent) + blank
        return "\b" * (at - begin) + sent + " " * blank + "\b" * (here - to)

    def _view(self) -> tuple[str, int]:
        """What of it has room, and in which column of that the cursor is."""
        cells = [inert(one, plain=self._plain) for one in self.text]
        if not self._left <= self.cursor or self._used(cells) >= self._room:
            self._left = self.cursor
            while self._left and self._used(cells) < self._room // 2:
                self._left -= 1
            self._left = 0 if columns("".join(cells[: self.cursor])) < self._room else self._left
        mark = "<" if self._left else ""
        shown = mark + "".join(cells[self._left :])
        at = len(mark) + self._used(cells)
        return shown[: fit(shown, self._room)], at

    def _used(self, cells: Sequence[str]) -> int:
        return columns("".join(cells[self._left : self.cursor]))

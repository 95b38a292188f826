"""What was pressed, from bytes as they come: in any pieces, and with any rubbish between.

Rules:

1. CR, LF, CRLF and CR NUL are one Enter each, also when the line brings them in two pieces.
2. BS and DEL both take back; VT100 sequences (`ESC [ …`, `ESC O x`) are arrows, Home, End, Delete.
3. A sequence that nobody knows is swallowed whole. One that is cut off by a control character, or
   longer than any that there is, ends there, so that what follows is read again.
4. Text is UTF-8. Bytes that are none, and characters that do not print, are nothing.
5. What is kept between two calls is at most one unfinished character and one short sequence.

Source: ECMA-48 §5.4 for control sequences; xterm's ctlseqs for the keys.
"""

import codecs
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final


class Key(Enum):
    """A key that is no character."""

    ENTER = auto()
    TAB = auto()
    BACKSPACE = auto()
    DELETE = auto()
    LEFT = auto()
    RIGHT = auto()
    UP = auto()
    DOWN = auto()
    HOME = auto()
    END = auto()
    KILL_LINE = auto()
    KILL_REST = auto()
    KILL_WORD = auto()
    REDRAW = auto()
    INTERRUPT = auto()
    END_OF_INPUT = auto()


Pressed = Key | str
"""A key, or one character that prints."""

_CONTROLS: Final = {
    "\x01": Key.HOME,
    "\x02": Key.LEFT,
    "\x03": Key.INTERRUPT,
    "\x04": Key.END_OF_INPUT,
    "\x05": Key.END,
    "\x06": Key.RIGHT,
    "\x08": Key.BACKSPACE,
    "\x09": Key.TAB,
    "\x0a": Key.ENTER,
    "\x0b": Key.KILL_REST,
    "\x0c": Key.REDRAW,
    "\x0d": Key.ENTER,
    "\x0e": Key.DOWN,
    "\x10": Key.UP,
    "\x15": Key.KILL_LINE,
    "\x17": Key.KILL_WORD,
    "\x7f": Key.BACKSPACE,
}
_LETTERS: Final = {
    "A": Key.UP,
    "B": Key.DOWN,
    "C": Key.RIGHT,
    "D": Key.LEFT,
    "F": Key.END,
    "H": Key.HOME,
    "M": Key.ENTER,
}
_NUMBERS: Final = {
    "1": Key.HOME,
    "3": Key.DELETE,
    "4": Key.END,
    "7": Key.HOME,
    "8": Key.END,
}
"""Of `ESC [ number ~`: those of the VT220, and rxvt's 7 and 8."""
LONGEST: Final = 16
"""Characters of a control sequence; the longest that a keyboard sends has 8."""
_ESC: Final = "\x1b"


class Keys:
    """Reads keys out of bytes, the first of which may be the rest of an Enter that came before."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("ignore")
        self._sequence = ""
        self._after_cr = True

    def feed(self, data: bytes) -> list[Pressed]:
        """What was pressed with these bytes; any bytes will do."""
        return [key for character in self._utf8.decode(data) for key in self._take(character)]

    def settle(self) -> None:
        """A moment has passed: an Escape that nothing has followed was the key of that name."""
        self._sequence = ""

    def _take(self, character: str) -> Iterator[Pressed]:
        after_cr, self._after_cr = self._after_cr, character == "\r"
        if after_cr and character in "\n\0":
            return
        if character == _ESC:
            self._sequence = _ESC
        elif self._sequence and character.isprintable() and character.isascii():
            yield from self._go_on(self._sequence + character)
        else:
            self._sequence = ""
            if character in _CONTROLS:
                yield _CONTROLS[character]
            elif character.isprintable():
                yield character

    def _go_on(self, sequence: str) -> Iterator[Pressed]:
        kind, last = sequence[1], sequence[-1]
        begun = len(sequence) == 2 and kind in "[O"
        if begun or (kind == "[" and last < "@" and len(sequence) < LONGEST):
            self._sequence = sequence
            return
        self._sequence = ""
        found = _NUMBERS.get(sequence[2:-1]) if last == "~" else _LETTERS.get(last)
        if kind in "[O" and found is not None:
            yield found

"""A desk over a wire: lines out page by page, and answers typed in a row of their own."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from chopmark.console.desk import InterruptedByUserError, Language, Wire
from chopmark.console.input import Input
from chopmark.console.wire.keys import Key, Pressed
from chopmark.console.wire.line import GIVEN_UP, LONGEST, Line
from chopmark.console.wire.pager import ERASE, MORE, Pager
from chopmark.console.wire.text import inert, wrap
from chopmark.console.words import t

KEPT: Final = 100
"""Lines of history."""
_ANSWER: Final = 30
"""Columns that are left for an answer; a longer question gets rows of its own."""
WIDTHS: Final = range(40, 256)
LENGTHS: Final = range(6, 1000)


class Terminal:
    """One person at a terminal; see `Desk` for what commands use.

    Args:
        wire: to the terminal.
        language: in which the person reads, unless `plain`.
        plain: only ASCII may be sent; Chinese cannot be shown then.

    Attributes:
        include: only lines with this text are shown; all if empty.
        history: commands typed, the latest last.
        pager: counts the lines of a page.
        input: what the person types.
    """

    def __init__(self, wire: Wire, language: Language = "en", *, plain: bool = False) -> None:
        self._wire = wire
        self._language = language
        self._line: Line | None = None
        self.plain = plain
        self.width = 80
        self.include = ""
        self.history: list[str] = []
        self.pager = Pager()
        self.input = Input(wire)

    @property
    def language(self) -> Language:
        """The person's; English where nothing else can be shown."""
        return "en" if self.plain else self._language

    @language.setter
    def language(self, language: Language) -> None:
        self._language = language

    @property
    def speed(self) -> int | None:
        """Bits a second, where the line is a serial port's."""
        return getattr(self._wire, "speed", None)

    async def say(self, text: str = "") -> None:
        """Show lines; see `Desk`."""
        for line in text.split("\n"):
            if self.include in line:
                await self._show(inert(line.removesuffix("\r"), plain=self.plain))

    async def ask(self, prompt: str, *, secret: bool = False, default: str = "") -> str:
        """Ask for one line; see `Desk`."""
        line = await self.open_line(_worded(prompt, default), secret=secret)
        while True:
            key = await self.input.press()
            if key is Key.ENTER and line.overfull:
                await self.close_line()
                await self.say(t(self.language, "line.overfull", most=LONGEST))
                line = await self.open_line(_worded(prompt, default), secret=secret)
            elif key is Key.ENTER:
                await self.close_line()
                return line.text.strip() or default if not secret else line.text
            elif not await self.edit(line, key):
                raise InterruptedByUserError("interrupted", "interrupted")

    def raw(self) -> AbstractAsyncContextManager[Wire]:
        """The line itself; see `Desk`."""
        return self.input.lend()

    async def open_line(self, prompt: str, *, secret: bool = False, recall: bool = False) -> Line:
        """Begin a row in which something is typed."""
        *before, last = prompt.rstrip().split("\n")
        for row in before:
            await self._show(inert(row, plain=self.plain))
        shown = wrap(inert(last, plain=self.plain), max(self.width - _ANSWER, self.width // 2))
        for row in shown[:-1]:
            await self.write(f"{row}\r\n")
        history = self.history if recall else ()
        settings = {"secret": secret, "plain": self.plain}
        self._line = line = Line(f"{shown[-1]} ", self.width, history=history, **settings)
        await self.write(line.paint())
        return line

    async def close_line(self) -> None:
        """End that row: what was typed is as it should be."""
        line, self._line = self._line, None
        self.pager.begin()
        if line is not None:
            await self.write(line.finish())

    async def edit(self, line: Line, key: Pressed) -> bool:
        """Change the row by a key; False if the key gives it up."""
        if key is Key.INTERRUPT or (key is Key.END_OF_INPUT and not line.text):
            self._line = None
            self.pager.begin()
            await self.write(line.finish(GIVEN_UP))
            return False
        await self.write(line.press(key))
        return True

    async def interject(self, text: str) -> None:
        """Show a line amid whatever is going on, and what is being typed again below it."""
        shown = wrap(inert(text, plain=self.plain), self.width - 1)
        again = "" if self._line is None else self._line.paint()
        await self.write("".join(("\r\n", *(f"{row}\r\n" for row in shown), again)))

    async def write(self, text: str) -> None:
        """Send text that is inert, with controls of our own."""
        if text:
            await self._wire.write(text.encode("utf-8", "backslashreplace"))

    async def _show(self, line: str) -> None:
        for row in wrap(line, self.width - 1):
            if self.pager.is_full():
                await self._turn_page()
            await self.write(f"{row}\r\n")
            self.pager.count()

    async def _turn_page(self) -> None:
        await self.write(MORE)
        going = None
        while going is None:
            going = self.pager.press(await self.input.press())
        await self.write(ERASE)
        if not going:
            raise InterruptedByUserError("interrupted", "interrupted")


def _worded(prompt: str, default: str) -> str:
    """A question with what Enter alone answers, and a mark at its end."""
    base = prompt.rstrip()
    mark = ":" if base.isascii() else "："
    if base.endswith((":", "：")):
        base, mark = base[:-1], base[-1]
    elif base.endswith(("?", "？", ">")):
        mark = ""
    return f"{base} [{default}]{mark}" if default else f"{base}{mark}"

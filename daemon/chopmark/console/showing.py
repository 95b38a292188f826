"""What all commands that show something have in common: words, widths, and errors in one line."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from chopmark.console import layout
from chopmark.console.command import Surroundings
from chopmark.console.desk import Desk
from chopmark.console.words import find_text, t
from chopmark.console.words.explain import find_meaning, find_remedy
from chopmark.console.words.numbers import number
from chopmark.core.errors import ChopmarkError
from chopmark.service.platform import not_here


class Screen:
    """Lines for one person: in her language, as wide as her terminal, 79 columns at most."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.width = max(min(desk.width - 1, layout.WIDTH), 39)

    def t(self, key: str, **values: Any) -> str:
        """A text in the person's language."""
        return t(self._desk.language, key, **values)

    def state(self, part: Mapping[str, Any]) -> str:
        """The state of a part, as the person calls it."""
        name = str(part.get("state"))
        return find_text(self._desk.language, f"state.{name}") or name

    def row(self, cells: Iterable[object]) -> list[object]:
        """Cells of a table, of which those that are states are as the person calls them."""
        return [find_text(self._desk.language, f"state.{cell}") or cell for cell in cells]

    def label(self, name: str) -> str:
        """What a field is called; as it is where it has no translation."""
        return find_text(self._desk.language, f"label.{name}") or name

    async def say(self, lines: Iterable[str] = ("",)) -> None:
        """Show lines."""
        await self._desk.say("\n".join(lines))

    async def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Names and values; names are those of `label`."""
        named = [
            (self.label(name), self._told(value)) for name, value in pairs if value is not None
        ]
        if named:
            await self.say(layout.fields(named, width=self.width))

    def _told(self, value: object) -> object:
        return self.t(f"show.{'yes' if value else 'no'}") if isinstance(value, bool) else value

    async def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[object]],
        whole: Collection[str] = (),
    ) -> None:
        """A table; headings are those of `label`, and those in `whole` have columns uncut."""
        uncut = [at for at, name in enumerate(headings) if name in whole]
        named = list(map(self.label, headings))
        await self.say(layout.table(named, rows, width=self.width, whole=uncut))

    async def prose(self, text: object, indent: int = 0) -> None:
        """A text, broken between words."""
        await self.say(layout.hang(" " * indent, text, width=self.width))

    def remedy(self, code: str, hint: str) -> str:
        """What to do about an error at this console, which has other commands than the shell."""
        found = find_remedy(self._desk.language, code, hint)
        known = find_text(self._desk.language, f"do.{code}")
        return found if known or found == hint else f"{found} ({hint})"

    def problem(self, code: str, message: str, hint: str, room: int = 0) -> list[str]:
        """`E-1042 message`, and below it what to do; what has more columns than `room` is cut."""
        own = find_meaning(self._desk.language, code)
        text = f"{own} ({message})" if own and own != message else message
        text = layout.cut(text, room) if room else text
        lines = layout.hang(f"{number(code)} ", text, indent=7, width=self.width)
        what = self.remedy(code, hint)
        do = f"       {self.t('show.do')}"
        return lines + (layout.hang(do, what, width=self.width) if what else [])

    def not_here(self, what: str) -> ChopmarkError:
        """The error for something that this platform does not have."""
        message = self.t("show.not-here", what=what)
        return not_here(what, message=message, hint=self.t("do.not-on-this-platform"))

    async def trouble(self, error: ChopmarkError) -> None:
        """An error in the midst of other things."""
        await self.say(self.problem(error.code, error.message, error.hint))


async def ask(given: Surroundings, path: str) -> Any:
    """JSON of a GET; raises as `GatewayApi.get`."""
    return await given.gateway.get(path)


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list that came from outside."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

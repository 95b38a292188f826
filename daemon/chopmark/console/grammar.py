"""From what was typed to a command of the table.

Each word may be abbreviated as long as one word of the table begins so; a word that is written
out wins over longer ones. The table decides at each place which words there are; behind the last
word of a command its arguments follow, in `"` where they have blanks. `| no-more` and `| include
TEXT` may stand behind any command.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from chopmark.console.command import Argument, Command
from chopmark.console.typed import split
from chopmark.core.errors import UsageError

PIPES: Final = ("no-more", "include")


@dataclass(frozen=True, slots=True)
class Match:
    """A command that was typed.

    Attributes:
        command: which.
        arguments: by name, choices written out; optional ones that were left out are not there.
        paged: whether output stops page by page.
        include: only lines with this text are shown; all if empty.
    """

    command: Command
    arguments: Mapping[str, str]
    paged: bool = True
    include: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where some words lead to.

    Attributes:
        commands: those that may still be meant.
        depth: how many of their words were typed.
        given: arguments so far; there are some only if one command is meant.
    """

    commands: tuple[Command, ...]
    depth: int
    given: tuple[str, ...] = ()

    @property
    def command(self) -> Command | None:
        """The command all of whose words were typed, if there is one."""
        return next((one for one in self.commands if len(one.path) == self.depth), None)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the table that may follow."""
        longer = (one for one in self.commands if len(one.path) > self.depth and not self.given)
        return tuple(dict.fromkeys(one.path[self.depth] for one in longer))


def parse(line: str, table: Sequence[Command]) -> Match | None:
    """The command of a line; None if the line is empty.

    Raises:
        UsageError: `console-quote`, `console-unknown-word`, `console-ambiguous`,
            `console-missing-word`, `console-missing-argument`, `console-extra-word`,
            `console-choice` or `console-pipe`; the hint says what would do.
    """
    typed = split(f"{line} ")
    if typed.open_quote:
        raise UsageError("console-quote", 'a " is missing', hint='put text with blanks in "…"')
    if not typed.words and typed.pipe is None:
        return None
    place = follow(typed.words, table)
    if place.command is None:
        message = f"`{' '.join(typed.words)}` is only the beginning of a command"
        hint = f"go on with one of {', '.join(place.words)}"
        raise UsageError("console-missing-word", message, hint=hint)
    paged, include = _read_pipe(typed.pipe)
    return Match(place.command, _bind(place.command, place.given), paged, include)


def follow(words: Sequence[str], table: Sequence[Command]) -> Place:
    """Where words lead to; raises `UsageError` as `parse`."""
    place = Place(tuple(table), 0)
    for word in words:
        place = _step(place, word)
    return place


def choose(word: str, words: Sequence[str]) -> tuple[str, ...]:
    """Those of some words that another may stand for: itself alone, or all that it begins."""
    typed = word.casefold()
    exact = tuple(one for one in words if one.casefold() == typed)
    return exact or tuple(one for one in words if one.casefold().startswith(typed))


def _step(place: Place, word: str) -> Place:
    found = choose(word, place.words)
    if len(found) == 1:
        longer = (one for one in place.commands if len(one.path) > place.depth)
        chosen = tuple(one for one in longer if one.path[place.depth] == found[0])
        return Place(chosen, place.depth + 1)
    command = place.command
    if found or command is None:
        raise _unclear(word, found, place)
    if len(place.given) == len(command.arguments):
        message = f"`{' '.join(command.path)}` takes nothing more, and there is {word!r}"
        hint = 'put text with blanks in "…"' if command.arguments else "leave it out"
        raise UsageError("console-extra-word", message, hint=hint)
    return Place((command,), place.depth, (*place.given, word))


def _unclear(word: str, found: Sequence[str], place: Place) -> UsageError:
    if found:
        message = f"{word!r} may be {', '.join(found)}"
        return UsageError("console-ambiguous", message, hint="type more of it")
    like = get_close_matches(word.casefold(), place.words, n=1)
    nearest = f"did you mean `{like[0]}`? " if like else ""
    known = f"one of {', '.join(place.words)}" if place.depth else "`?` lists what there is"
    hint = nearest + known
    return UsageError("console-unknown-word", f"{word!r} is not known here", hint=hint)


def _bind(command: Command, given: Sequence[str]) -> dict[str, str]:
    missing = [one for one in command.arguments[len(given) :] if not one.optional]
    if missing:
        message = f"`{' '.join(command.path)}` needs {missing[0].name}"
        hint = f"type `{' '.join((*command.path, *given))} ?` for what it may be"
        raise UsageError("console-missing-argument", message, hint=hint)
    pairs = zip(command.arguments, given, strict=False)
    return {argument.name: _choice(argument, value) for argument, value in pairs}


def _choice(argument: Argument, value: str) -> str:
    found = choose(value, argument.choices) if argument.choices else (value,)
    if len(found) == 1:
        return found[0]
    message = f"{argument.name} cannot be {value!r}"
    hint = f"one of {', '.join(found or argument.choices)}"
    raise UsageError("console-choice", message, hint=hint)


def _read_pipe(words: Sequence[str] | None) -> tuple[bool, str]:
    if words is None:
        return True, ""
    found = choose(words[0], PIPES) if words else ()
    if found == ("no-more",) and len(words) == 1:
        return False, ""
    if found == ("include",) and len(words) == 2:
        return True, words[1]
    hint = "`| no-more` or `| include TEXT`"
    raise UsageError("console-pipe", "what stands behind the | is not known", hint=hint)

"""What may follow what was typed so far: for `?`, and for the tab key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.console.command import Command, Role
from chopmark.console.grammar import Place, choose, follow
from chopmark.console.typed import Typed, split
from chopmark.console.wire.text import shared
from chopmark.core.errors import UsageError

ENTER: Final = "<Enter>"


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may follow.

    Attributes:
        word: as it is shown.
        help: key of its line of help.
        role: the least role that may go on so.
        literal: it is typed as it is shown, and so can be completed.
        below: the words that follow it, for a group without a help of its own.
    """

    word: str
    help: str
    role: Role = Role.OBSERVE
    literal: bool = True
    below: tuple[str, ...] = ()


def expect(line: str, table: Sequence[Command]) -> tuple[Offer, ...]:
    """What may stand at the end of a line; raises `UsageError` as `grammar.parse`."""
    typed = split(line)
    return tuple(one for one in _offers(typed, table) if _may_be(one, typed.begun))


def complete(line: str, table: Sequence[Command]) -> tuple[str, tuple[str, ...]]:
    """What the tab key makes of a line, and the words among which it cannot choose."""
    try:
        fitting = [one.word for one in expect(line, table) if one.literal]
    except UsageError:
        return line, ()
    begun = split(line).begun
    head = line[: len(line) - len(begun)]
    if len(fitting) == 1:
        return f"{head}{fitting[0]} ", ()
    longest = shared(fitting)
    return (head + longest if len(longest) > len(begun) else line), tuple(fitting)


def _may_be(offer: Offer, begun: str) -> bool:
    if offer.literal:
        return offer.word.casefold().startswith(begun.casefold())
    return not begun or offer.word != ENTER


def _offers(typed: Typed, table: Sequence[Command]) -> Iterator[Offer]:
    place = follow(typed.words, table)
    if typed.pipe is not None:
        yield from _behind_pipe(typed.pipe)
        return
    for word in place.words:
        yield _group(word, place)
    if place.command is not None:
        yield from _behind(place.command, len(place.given))


def _group(word: str, place: Place) -> Offer:
    depth = place.depth + 1
    commands = [one for one in place.commands if one.path[place.depth : depth] == (word,)]
    role = min(one.role for one in commands)
    for one in commands:
        if len(one.path) == depth:
            return Offer(word, one.help, role)
    below = tuple(dict.fromkeys(one.path[depth] for one in commands))
    return Offer(word, "group." + "-".join(commands[0].path[:depth]), role, below=below)


def _behind(command: Command, given: int) -> Iterator[Offer]:
    left = command.arguments[given:]
    for argument in left[:1]:
        for choice in argument.choices:
            yield Offer(choice, argument.help, command.role)
        if not argument.choices:
            yield Offer(argument.name, argument.help, command.role, literal=False)
    if not left or left[0].optional:
        yield Offer(ENTER, command.help, command.role, literal=False)
        yield Offer("|", "help.pipe", literal=False)


def _behind_pipe(words: Sequence[str]) -> Iterator[Offer]:
    if not words:
        yield Offer("no-more", "help.no-more")
        yield Offer("include", "help.include")
    elif len(words) == 1 and choose(words[0], ("include",)):
        yield Offer("TEXT", "help.include", literal=False)
    else:
        yield Offer(ENTER, "help.pipe", literal=False)

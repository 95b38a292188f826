"""Before a key is destroyed: two answers, of which neither can be given by habit."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chopmark.cli.terminal import say_fields, say_prose, styled, warn
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean

SECOND: Final = "destroy"
"""What the second answer must be."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A key that is to be destroyed.

    Attributes:
        title: what it is, for people.
        label: CKA_LABEL in the token.
        fingerprint: in hexadecimal.
        words: the same in words.
        loss: what is lost with it.
        answers: what the first answer may be, besides the words.
    """

    title: str
    label: str
    fingerprint: str
    words: str
    loss: str
    answers: tuple[str, ...] = ()


def confirm(
    key: Doomed, words: str | None, label: str | None, ask: Callable[[str], str] | None
) -> None:
    """Have it confirmed twice: by what was given on the command line, or by a person.

    Args:
        key: what is to be destroyed.
        words: its fingerprint, if the command line has it.
        label: its label, if the command line has it.
        ask: puts a question to a person; None without one.

    Raises:
        UsageError: `not-confirmed`: nothing may be destroyed.
    """
    if words is not None:
        if label is None:
            raise _refused("the label is due too", "--yes-destroy goes with --label")
        if not _is_fingerprint(key, words) or label != key.label:
            raise _refused("this key has another fingerprint or label", _LOOK)
        return
    if ask is None:
        hint = "on a terminal two questions are asked; scripts give --yes-destroy WORDS"
        if label is None:
            hint += " and --label LABEL"
        raise _refused("nobody is here to confirm it", hint)
    _show(key)
    what = "its words" + ("" if not key.answers else " or its label")
    first = ask(f"type {what}: ").strip()
    if first not in key.answers and not _is_fingerprint(key, first):
        raise _refused("that is another key", _LOOK)
    if ask(f"type `{SECOND}` to destroy it for good: ").strip() != SECOND:
        raise _refused("the second answer is another one", "nothing was destroyed")


def ask_person() -> Callable[[str], str] | None:
    """How to ask a person; None if there is none at the terminal."""
    return _ask if sys.stdin.isatty() else None


_LOOK: Final = "nothing was destroyed; `chopmark hsm keys` shows what there is"


def _show(key: Doomed) -> None:
    say_prose(key.title, indent=0)
    say_fields([("label", key.label), ("fingerprint", key.fingerprint), ("words", key.words)])
    say_prose(f"{key.loss} It cannot be undone.", indent=0)


def _ask(question: str) -> str:
    print(styled(question, "bold", stream=sys.stderr), end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        warn()
    return clean(answer.strip())


def _is_fingerprint(key: Doomed, said: str) -> bool:
    plain = "-".join(said.lower().split())
    return plain in (key.words, key.fingerprint)


def _refused(message: str, hint: str) -> UsageError:
    return UsageError("not-confirmed", f"not destroyed: {message}", hint=hint)

"""A key ceremony on a terminal: shown in 80 columns, asked one line at a time, PINs unseen."""

import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from getpass import getpass
from pathlib import Path
from typing import Final

from chopmark.cli.terminal import say, say_fields, say_prose, styled
from chopmark.client.files import read_bounded
from chopmark.core.ceremony_text import check_line
from chopmark.core.errors import ConfigurationError, MalformedError, RefusedError
from chopmark.core.inert import clean
from chopmark.service.ceremony_desk import AbortedError

END: Final = "!abort"
"""Typed at any question: the ceremony ends, and its protocol says so."""
_MAX_SCRIPT: Final = 64 * 1024
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_YES: Final = {"yes": True, "y": True, "no": False, "n": False}


@dataclass(slots=True)
class TerminalDesk:
    """Implements `service.ceremony_desk.Desk`.

    Attributes:
        answers: prepared ones, by the names of their questions; each is taken once.
    """

    answers: dict[str, str] = field(default_factory=dict)

    @property
    def has_people(self) -> bool:
        """Whether somebody can type a secret here."""
        return sys.stdin.isatty()

    def say(self, text: str = "", style: str = "") -> None:
        """A line or paragraph for all to read."""
        if style:
            say(styled(text, style))
        elif text:
            say_prose(text)
        else:
            say()

    def fields(self, fields: Sequence[tuple[str, object]]) -> None:
        """Names and values; what is compared digit by digit is shown in groups of eight."""
        say_fields([(name, _group(value)) for name, value in fields])

    def ask(self, name: str, question: str, default: str = "") -> str:
        """One line of 1 to 600 printable characters; see `Desk`.

        Raises:
            AbortedError: `!abort` was typed, or prepared.
            ConfigurationError: `answer-missing`: nobody is here to answer.
        """
        while True:
            said = self._take(name, f"{question} [{default}]" if default else question) or default
            if not said:
                continue
            if said == END:
                raise AbortedError("the officers ended it")
            try:
                return check_line(said, "an answer")
            except MalformedError as error:
                self.say(error.message, "yellow")

    def confirm(self, name: str, question: str) -> bool:
        """Yes or no, typed out; raises as `ask`."""
        while True:
            said = self.ask(name, f"{question} (yes/no)").casefold()
            if said in _YES:
                return _YES[said]

    def secret(self, question: str) -> str:
        """A PIN, neither shown nor kept.

        Raises:
            ConfigurationError: `pin-missing`: there is no terminal.
        """
        if not self.has_people:
            hint = "PINs are typed; of a token also given as credential"
            raise ConfigurationError("pin-missing", "nowhere to get a PIN from", hint=hint)
        return getpass(clean(question))

    def _take(self, name: str, question: str) -> str:
        prepared = self.answers.pop(name, None)
        if prepared is not None:
            say_prose(f"{question}: {prepared}")
            return prepared
        if not self.has_people:
            message = f"nobody is here to answer: {question}"
            hint = f'`--script FILE` may hold a line {name} = "..."'
            raise ConfigurationError("answer-missing", message, hint=hint)
        say_prose(f"{question}:")
        sys.stdout.write("  > ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            raise ConfigurationError("answer-missing", "the terminal was closed")
        return line.strip()


def _group(value: object) -> object:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        return value
    return " ".join(value[at : at + 8] for at in range(0, len(value), 8))


def read_script(path: Path) -> dict[str, str]:
    """Prepared answers, without any PIN: TOML, a text for each name of a question.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-script`.
        RefusedError: `pin-in-script`.
    """
    try:
        found = tomllib.loads(read_bounded(path, _MAX_SCRIPT).decode())
    except (ValueError, RecursionError) as error:
        raise MalformedError("malformed-script", f"{path} is not TOML: {error}") from error
    if not all(isinstance(one, str) for one in found.values()):
        raise MalformedError("malformed-script", f"{path}: an answer is not a text")
    if any("pin" in name.casefold().split("-") for name in found):
        hint = "PINs are typed, or a credential; take it out, and change it"
        raise RefusedError("pin-in-script", f"{path} holds a PIN", hint=hint)
    return found

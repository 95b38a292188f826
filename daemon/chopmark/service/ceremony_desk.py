"""What a key ceremony asks of people, and the record that it keeps while it goes on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from chopmark.client.files import (
    check_creatable,
    read_bounded,
    replace_file,
    sync_folder,
    write_new,
)
from chopmark.core.ceremony import Approval, Ceremony, End, Step
from chopmark.core.ceremony_rules import check_ceremony
from chopmark.core.ceremony_text import parse_ceremony, parse_file
from chopmark.core.errors import RefusedError
from chopmark.core.note import MAX_NOTE, Note, Signature

_UNFINISHED: Final = ".unfinished"


class AbortedError(Exception):
    """The officers end the ceremony; its message says why, and nothing that was typed in secret."""


class Desk(Protocol):
    """Where the ceremony is held: what is shown there and asked.

    A question has a name, by which a script of prepared answers knows it. Any answer may end the
    ceremony: `AbortedError`.
    """

    @property
    def has_people(self) -> bool:
        """Whether somebody can type a secret here."""

    def say(self, text: str = "", style: str = "") -> None:
        """A line or paragraph for all to read."""

    def fields(self, fields: Sequence[tuple[str, object]]) -> None:
        """Names and values."""

    def ask(self, name: str, question: str, default: str = "") -> str:
        """One line; the default if nothing is typed. Empty lines are asked again without one."""

    def confirm(self, name: str, question: str) -> bool:
        """Yes or no, typed out."""

    def secret(self, question: str) -> str:
        """A PIN, which is neither shown nor kept."""


@dataclass(slots=True)
class Book:
    """The protocol, on the disk after each step, so that a ceremony can go on that broke off.

    Attributes:
        final: where it will be once it has ended; until then `.unfinished` follows that name.
        ceremony: what it says so far.
    """

    final: Path
    ceremony: Ceremony

    @classmethod
    def begin(cls, final: Path, ceremony: Ceremony) -> "Book":
        """A new one.

        Raises:
            ExistsError: `file-exists`, and what else `write_new` raises.
        """
        check_creatable(final)
        book = cls(final, ceremony)
        book._noted.unlink(missing_ok=True)  # of another one, whose working file somebody removed
        write_new(book.path, book._encode())
        return book

    @classmethod
    def open(cls, path: Path) -> "Book":
        """One that broke off.

        Raises:
            MissingError: `no-such-file`.
            MalformedError, RefusedError: it was changed, or is none.
        """
        if path.suffix != _UNFINISHED:
            hint = f"it ends in {_UNFINISHED}"
            raise RefusedError("ceremony-finished", f"{path} is no unfinished protocol", hint=hint)
        ceremony = parse_file(read_bounded(path, MAX_NOTE)).ceremony
        check_ceremony(ceremony)
        return cls(path.with_suffix(""), ceremony)

    @property
    def path(self) -> Path:
        """The working file."""
        return unfinished_path(self.final)

    @property
    def last(self) -> int:
        """Number of the last step."""
        return len(self.ceremony.steps)

    @property
    def time(self) -> int:
        """When the last step ended."""
        return self.ceremony.steps[-1].ended if self.ceremony.steps else 0

    def add(self, step: Step) -> None:
        """Write a step down; durable once this returns."""
        self._save(self.ceremony.with_step(step))

    def approve(self, approval: Approval) -> None:
        """Write an approval of the last step down."""
        self._save(self.ceremony.with_approval(approval))

    @property
    def made(self) -> str:
        """The key that was noted as made for this ceremony; empty if none was."""
        return read_bounded(self._noted, MAX_NOTE).decode() if self._noted.exists() else ""

    def note_made(self, vkey: str) -> None:
        """Note a key that was made, before its step has ended; durable once this returns."""
        replace_file(self._noted, vkey.encode())

    def finish(self, end: End) -> None:
        """Write the end down."""
        self._save(replace(self.ceremony, end=end))

    def close(self, signature: Signature | None) -> str:
        """Give the protocol its own name; gives its SHA-256 in hexadecimal.

        One that has its name already, as this broke off before `forget`, stays.
        """
        signatures = () if signature is None else (signature,)
        note = Note(self.ceremony.encode(), signatures)
        data = note.encode() if signatures else note.text.encode()
        there = read_bounded(self.final, MAX_NOTE) if self.final.exists() else b""
        if there and parse_file(there).ceremony == self.ceremony:
            data = there
        else:
            write_new(self.final, data)
        return hashlib.sha256(data).hexdigest()

    def forget(self) -> None:
        """Remove the working files: the protocol has its own name."""
        self._noted.unlink(missing_ok=True)
        self.path.unlink()
        sync_folder(self.path.parent)

    @property
    def _noted(self) -> Path:
        return self.path.with_name(f"{self.path.name}.key")

    def _save(self, ceremony: Ceremony) -> None:
        before, self.ceremony = self.ceremony, ceremony
        try:
            data = self._encode()
        except BaseException:
            self.ceremony = before
            raise
        replace_file(self.path, data)

    def _encode(self) -> bytes:
        """What can be read again: a ceremony that could not go on is noticed at once."""
        text = self.ceremony.encode()
        parse_ceremony(text)
        return text.encode()


def unfinished_path(final: Path) -> Path:
    """Where a protocol is until its ceremony has ended."""
    return final.with_name(final.name + _UNFINISHED)

"""Records that wait for the daemon, in one file: in order, durable, and never more than a bound.

The first line says who numbers the records, the next number, and how many had no room, by action;
each further line is one record. A record is added at the end (write, fsync). What the daemon has
is taken out by writing the file anew (temporary file, fsync, rename, fsync of the folder). A last
line that the power cut in two was not recorded yet: it is left out. A line that is damaged is left
out, too, and takes none of the others with it.

What the daemon refuses for good is set aside, so that it holds up nothing behind it: it is kept in
a file beside this one, for whoever finds out why.

What has no room is counted. Of one action at most `MOST_ALIKE` records wait, so that ten thousand
wrong logins leave room for what matters.
"""

import errno
import logging
import os
import re
import secrets
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from chopmark.client.files import PRIVATE_MODE, read_bounded, replace_file
from chopmark.core.errors import ChopmarkError, MissingError

LOG: Final = logging.getLogger("chopmark.console")
MOST: Final = 2048
MOST_ALIKE: Final = 256
MOST_ASIDE: Final = 512 * 1024
"""Bytes of what was refused."""
ASIDE: Final = ".refused"
_MAX_FILE: Final = 8 * 1024 * 1024
_SOURCE: Final = 16
_IS_SOURCE: Final = re.compile(r"[0-9a-f]{32}\Z").match
T = TypeVar("T", bound=msgspec.Struct)


class Waiting(msgspec.Struct, frozen=True):
    """One record, as the daemon takes it."""

    number: int
    at: str
    technician: str
    action: str
    outcome: str
    about: dict[str, str]


class _Head(msgspec.Struct):
    source: str
    next: int = 0
    beyond: dict[str, int] = {}


class Spool:
    """The file. All calls block; the caller sees to it that they come one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head, self._records = self._read()
        self._sound = False
        with suppress(ChopmarkError):  # a full disk: the first record tries again
            self._write()
        self._alike = Counter(one.action for one in self._records)

    @property
    def source(self) -> str:
        """Who numbers the records, 32 hexadecimal digits: this file, as long as there is one."""
        return self._head.source

    def first(self, count: int) -> list[Waiting]:
        """The oldest ones."""
        return self._records[:count]

    def add(self, at: str, who: str, action: str, outcome: str, about: dict[str, str]) -> None:
        """Add a record, durably; raises OSError or ChopmarkError if the disk takes nothing."""
        if len(self._records) >= MOST or self._alike[action] >= MOST_ALIKE:
            self._count(action)
            return
        if not self._sound or not self._path.exists():
            self._write()
        one = Waiting(self._head.next, at, who, action, outcome, about)
        self._sound = False  # if this fails, nobody knows how much of the line is there
        _append(self._path, msgspec.json.encode(one) + b"\n")
        self._sound = True
        self._head.next += 1
        self._records.append(one)
        self._alike[action] += 1

    def drop(self, taken: int) -> None:
        """Forget all up to a number; raises ChopmarkError if the disk takes nothing."""
        self._records = [one for one in self._records if one.number > taken]
        self._head.next = max(self._head.next, taken + 1)
        self._alike = Counter(one.action for one in self._records)
        self._write()

    def set_aside(self, one: Waiting) -> None:
        """Keep a record in the other file; raises OSError or ChopmarkError if the disk takes none.

        Beyond `MOST_ASIDE` bytes there it is only forgotten here: the journal has it.
        """
        line = msgspec.json.encode(one) + b"\n"
        aside = aside_of(self._path)
        if _size(aside) + len(line) <= MOST_ASIDE:
            _append(aside, line, os.O_CREAT)
        self._records = [other for other in self._records if other.number != one.number]
        self._alike = Counter(other.action for other in self._records)
        self._write()

    def take_beyond(self) -> dict[str, int]:
        """How many had no room since this was last asked, by action; only once there is some."""
        if not self._head.beyond or len(self._records) >= MOST:
            return {}
        found, self._head.beyond = self._head.beyond, {}
        return found

    def _count(self, action: str) -> None:
        beyond = self._head.beyond
        beyond[action] = beyond.get(action, 0) + 1
        if beyond[action] == 1:  # that there were some outlasts a power cut; how many need not
            self._write()

    def _read(self) -> tuple[_Head, list[Waiting]]:
        try:
            data = read_bounded(self._path, _MAX_FILE)
        except MissingError:
            data = b""
        first, *rest = data[: data.rfind(b"\n") + 1].splitlines() or [b""]
        # Damaged, or new: another source, so that no number is taken for an old one.
        head = _parse(first, _Head)
        if head is None or not _IS_SOURCE(head.source):
            head = _Head(secrets.token_hex(_SOURCE))
        records: list[Waiting] = []
        for line in rest:
            one = _parse(line, Waiting)
            if one is None or (records and one.number <= records[-1].number):
                LOG.error("a record that waited is damaged, and is left out")
                continue
            records.append(one)
        if records:
            head.next = max(head.next, records[-1].number + 1)
        return head, records

    def _write(self) -> None:
        lines = [msgspec.json.encode(one) for one in (self._head, *self._records)]
        replace_file(self._path, b"\n".join(lines) + b"\n", PRIVATE_MODE)
        self._sound = True


def _parse(line: bytes, kind: type[T]) -> T | None:
    """None if it is damaged."""
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def aside_of(path: Path) -> Path:
    """Where what was refused is kept: a line each, as in the spool."""
    return path.with_name(f"{path.name}{ASIDE}")


def count_aside(folder: Path) -> int:
    """How many records were refused, at all ports of this box."""
    try:
        return sum(one.read_bytes().count(b"\n") for one in folder.glob(f"*{ASIDE}"))
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _append(path: Path, line: bytes, more: int = 0) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | more
    descriptor = os.open(path, flags, PRIVATE_MODE)
    try:
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

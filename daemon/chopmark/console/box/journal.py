"""The daemon's last words: from the journal, or from a log file where there is no journal.

Lines are cut, and given as they were written: who shows them makes them inert.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from chopmark.console.box.units import DAEMON, has_systemd
from chopmark.console.programs import run, started
from chopmark.core.errors import MissingError, RefusedError

VARIABLE: Final = "CHOPMARK_LOG"
MAX_LINE: Final = 500
"""Characters of a line that are shown."""
MAX_LINES: Final = 1000
_SECONDS: Final = 10.0
_PAUSE: Final = 0.3
"""Seconds between two looks at a log file."""
_TAIL: Final = 1024 * 1024
"""Bytes at the end of a log file in which its last lines are looked for."""
_PIECE: Final = 65_536
_JOURNALS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_FORMAT: Final = ("journalctl", "--no-pager", "--quiet", "--output=short-iso", "--utc")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines.

    Attributes:
        lines: how many of the last ones.
        since: as journalctl takes it (systemd.time(7)), or empty.
        text: what a line must contain, in any case; empty for all.
    """

    lines: int = 50
    since: str = ""
    text: str = ""

    def takes(self, line: str) -> bool:
        """Whether a line is wanted."""
        return self.text.casefold() in line.casefold()


def log_file() -> Path | None:
    """The daemon's log file, if the environment names one: for boxes without systemd."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def has_journal() -> bool:
    """Whether there is a journal that can be read."""
    return has_systemd() and which("journalctl") is not None and any(map(Path.is_dir, _JOURNALS))


async def read_log(wanted: Wanted, seconds: float = _SECONDS) -> list[str]:
    """The last lines, oldest first.

    Raises:
        MissingError: `no-journal`: there is neither a journal nor a log file.
        RefusedError: `bad-time`; `no-since` for a log file.
        TryAgainError: `program-late`.
    """
    if not has_journal():
        _refuse_since(wanted)
        lines, _ = await asyncio.to_thread(_read_tail, _need())
        return _last(lines, wanted)
    said = await run([*_FORMAT, *_ask(wanted)], seconds)
    if said.code != 0 and "imestamp" in said.errors:
        hint = 'such as "10 min ago", today, "2026-11-30 14:00"'
        raise RefusedError("bad-time", f"not a time: {wanted.since!r}", hint=hint)
    return _last(said.output.splitlines(), wanted)


async def follow_log(wanted: Wanted) -> AsyncGenerator[str, None]:
    """Line after line as they are written, until it is closed; raises as `read_log`."""
    source = _follow_journal() if has_journal() else _follow_file(_need())
    async with aclosing(source) as lines:
        async for line in lines:
            if wanted.takes(line):
                yield line[:MAX_LINE]


def _ask(wanted: Wanted) -> list[str]:
    """Journalctl filters by itself only where it was built with PCRE2; so we do."""
    since = [f"--since={wanted.since}"] if wanted.since else []
    most = MAX_LINES if wanted.text or wanted.since else wanted.lines
    return [f"--unit={DAEMON}", f"--lines={most}", *since]


def _last(lines: Sequence[str], wanted: Wanted) -> list[str]:
    found = [line[:MAX_LINE] for line in lines if wanted.takes(line)]
    return found[-min(wanted.lines, MAX_LINES) :]


def _need() -> Path:
    file = log_file()
    if file is None or not file.is_file():
        message = "there is no journal on this machine, and no log file of the daemon"
        raise MissingError("no-journal", message, hint="`show services` tells how the daemon is")
    return file


def _refuse_since(wanted: Wanted) -> None:
    if wanted.since:
        message = "a log file is not searched by time"
        raise RefusedError("no-since", message, hint="`show log filter TEXT` finds its lines")


def _read_tail(file: Path) -> tuple[list[str], int]:
    """The last whole lines, and where they end."""
    with file.open("rb") as opened:
        opened.seek(max(0, _size(file) - _TAIL))
        data = opened.read(_TAIL)
        end = opened.tell() - len(data) + data.rfind(b"\n") + 1
    lines = data.decode("utf-8", "replace").split("\n")
    return lines[:-1][-MAX_LINES:], end


async def _follow_journal() -> AsyncGenerator[str, None]:
    async with started([*_FORMAT, f"--unit={DAEMON}", "--lines=10", "--follow"]) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        rest = b""
        while chunk := await process.stdout.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[:MAX_LINE]
            for line in lines:
                yield line.decode("utf-8", "replace")


async def _follow_file(file: Path) -> AsyncGenerator[str, None]:
    """By looking again and again: no notice comes from every file system."""
    last, at = await asyncio.to_thread(_read_tail, file)
    for line in last[-10:]:
        yield line
    rest = b""
    while True:
        at, data = await asyncio.to_thread(_read_from, file, at)
        if not data:
            await asyncio.sleep(_PAUSE)
            continue
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[:MAX_LINE]
        for one in lines:
            yield one.decode("utf-8", "replace")


def _size(file: Path) -> int:
    return file.stat().st_size


def _read_from(file: Path, at: int) -> tuple[int, bytes]:
    """What was written since, and up to where; from the beginning if the file was begun anew."""
    at = 0 if _size(file) < at else at
    with file.open("rb") as opened:
        opened.seek(at)
        data = opened.read(_PIECE)
    return at + len(data), data

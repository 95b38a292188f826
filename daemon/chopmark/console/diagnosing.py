"""The checks of `chopmark doctor` and `chopmark fsck`, by a process of their own.

A module that hangs, or a disk that does not answer, so costs a deadline and no more; and where the
console has no network, they can be run elsewhere (`programs`).
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.console import reaching
from chopmark.console.programs import CHOPMARK, started
from chopmark.core.errors import InternalError

CHECK_SECONDS: Final = 45.0
"""For one check: a broker's takes up to five for each of its steps."""
FSCK_SECONDS: Final = 60.0
"""Without progress; a whole check may take as long as it likes."""
_MAX_LINE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: `mark` is `fault`, `warning` or `not-looked-at`."""

    code: str
    message: str
    remedy: str
    mark: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found: nothing is good."""

    name: str
    findings: tuple[Found, ...] = ()

    @property
    def mark(self) -> str:
        """`ok`, `bad`, or `odd` for what is only a warning or was not looked at."""
        if not self.findings:
            return "ok"
        return "bad" if any(one.mark == "fault" for one in self.findings) else "odd"


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a check of a ledger is, in entries."""

    what: str
    done: int
    total: int


async def diagnose(
    config: Path, checks: Sequence[str] = (), *, offline: bool = False
) -> AsyncGenerator[Checked, None]:
    """Each check as soon as it is done; one that hangs ends them all, and says so.

    Args:
        config: path of the configuration.
        checks: names of those to run; all if there are none.
        offline: do not ask the gateway, which hangs.

    What needs the network comes from where there is one, if that is not here (`reaching`).

    Raises:
        InternalError: `doctor-failed`; UnreachableError: as `reach`.
    """
    reached = await _reach(checks, offline=offline)
    chosen = [word for name in checks for word in ("--check", name)]
    command = _command(config, "doctor", *(["--offline"] * offline), *chosen)
    last = ""
    async with aclosing(_lines(command, CHECK_SECONDS)) as lines:
        async for line in lines:
            if line is None:
                yield Checked(last or "doctor", (_late(CHECK_SECONDS),))
                return
            if "check" in line:
                last = str(line["check"])
                told = reached[last] if last in reached else line["findings"]
                yield Checked(last, tuple(map(_found, told)))


async def check_ledgers(config: Path) -> AsyncGenerator[Checked | Reached, None]:
    """How far each ledger's check is, and what it has found.

    Raises:
        InternalError: `doctor-failed`.
    """
    async with aclosing(_lines(_command(config, "fsck"), FSCK_SECONDS)) as lines:
        async for line in lines:
            if line is None:
                yield Checked("fsck", (_late(FSCK_SECONDS),))
            elif "doing" in line:
                yield Reached(str(line["doing"]), int(line["done"]), int(line["total"]))
            elif "findings" in line:
                found = (one | {"finding": one["message"]} for one in line["findings"])
                yield Checked(f"fsck {line['id']}", tuple(map(_found, found)))


async def _reach(checks: Sequence[str], *, offline: bool) -> dict[str, list[Mapping[str, Any]]]:
    """Findings by check; whether brokers let us in is said by a gateway that answers."""
    if checks and not reaching.CHECKS.intersection(checks):
        return {}
    told = await reaching.reach(reaching.SOCKET)
    return {
        name: [one for one in line["findings"] if offline or one["mark"] != "not-looked-at"]
        for name, line in told.items()
    }


def _command(config: Path, *words: str) -> tuple[str, ...]:
    return (*CHOPMARK, "--json", "--progress", "--config", str(config), *words)


def _found(one: Mapping[str, Any]) -> Found:
    remedy = str(one.get("remedy") or one.get("hint") or "")
    return Found(str(one["code"]), str(one["finding"]), remedy, str(one.get("mark", "fault")))


def _late(seconds: float) -> Found:
    message = f"no answer within {seconds:g} s: what comes next hangs, or takes too long"
    return Found("program-late", message, "", "fault")


_Lines = AsyncGenerator[Mapping[str, Any] | None, None]


async def _lines(command: Sequence[str], seconds: float) -> _Lines:
    """The lines of JSON that a program says on either stream; None if it says nothing for long."""
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
    async with started(command) as process:
        streams = (process.stdout, process.stderr)
        reading = [asyncio.create_task(_pass_on(stream, queue)) for stream in streams]
        try:
            async for line in _heard(queue, seconds):
                yield line
        finally:
            for one in reading:
                one.cancel()
            await asyncio.gather(*reading, return_exceptions=True)


async def _heard(queue: asyncio.Queue[bytes], seconds: float) -> _Lines:
    """Until both streams have ended; what is no JSON is the program's last words."""
    words, open_streams = [], 2
    while open_streams:
        try:
            async with asyncio.timeout(seconds):
                line = await queue.get()
        except TimeoutError:
            yield None
            return
        open_streams -= not line
        try:
            value = json.loads(line or b"null")
        except ValueError:
            words.append(line.decode("utf-8", "replace").strip()[:500])
            continue
        if isinstance(value, dict):
            words.clear()
            yield value
    if words:
        message = " ".join(words[-5:]).removeprefix("chopmark: ")
        raise InternalError("doctor-failed", message, hint="`show log` may say more")


async def _pass_on(stream: asyncio.StreamReader | None, queue: asyncio.Queue[bytes]) -> None:
    assert stream is not None  # noqa: S101 - it was asked for
    rest = b""
    while data := await stream.read(65_536):
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[:_MAX_LINE]
        for line in filter(None, lines):
            await queue.put(line)
    await queue.put(b"")

"""The checks of `chopmark doctor` and `chopmark fsck`, by a process of their own.

A module that hangs, or a disk that does not answer, so costs a deadline and no more; and where the
console has no network, they can be run elsewhere (`programs`).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.console import reaching
from chopmark.console.command import Admin
from chopmark.console.programs import CHOPMARK, started
from chopmark.core.errors import ChopmarkError
from chopmark.service.listening import Lines, listen

CHECK_SECONDS: Final = 45.0
"""For one check: a broker's takes up to five for each of its steps."""
FSCK_SECONDS: Final = 60.0
"""Without progress; a whole check may take as long as it likes."""
_NOBODY: Final = frozenset(("admin-unreachable", "not-the-console"))
"""Codes by which root's service is away, or not for this process: by hand, without systemd."""

Asked = tuple[str, Mapping[str, Any]]
"""A verb of root's table, and its values."""


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
    config: Path,
    checks: Sequence[str] = (),
    *,
    offline: bool = False,
    admin: Admin | None = None,
) -> AsyncGenerator[Checked, None]:
    """Each check as soon as it is done; one that hangs ends them all, and says so.

    Args:
        config: path of the configuration.
        checks: names of those to run; all if there are none.
        offline: do not ask the gateway, which hangs.
        admin: has them run as the daemon's user, who sees token and ledger; where it is away, or
            None, this process looks.

    What needs the network comes from where there is one, if that is not here (`reaching`).

    Raises:
        InternalError: `doctor-failed`; UnreachableError: as `reach`.
    """
    reached = await _reach(checks, offline=offline)
    async with aclosing(_doctor(config, checks, reached, offline, admin)) as lines:
        last = ""
        async for line in lines:
            if line is None:
                yield Checked(last or "doctor", (_late(CHECK_SECONDS),))
                return
            if "check" in line:
                last = str(line["check"])
                told = reached[last] if last in reached else line["findings"]
                yield Checked(last, tuple(map(_found, told)))


async def _doctor(
    config: Path,
    checks: Sequence[str],
    reached: Mapping[str, Any],
    offline: bool,  # noqa: FBT001 - as `diagnose` has it
    admin: Admin | None,
) -> Lines:
    """Lines of `chopmark doctor`. Root's service has no network: what needs one is found here."""
    far = [name for name in reaching.CHECKS if not checks or name in checks]
    near = [name for name in checks if name not in reaching.CHECKS]
    values: dict[str, Any] = {"offline": offline, **({"checks": near} if checks else {})}
    asks = admin if near or not checks else None
    words, seen = _words(checks, offline=offline), set[str]()
    async with aclosing(_lines(config, words, asks, ("doctor", values), CHECK_SECONDS)) as lines:
        async for line in lines:
            yield line
            if line is None or _is_broken(line):
                return
            seen.add(str(line.get("check")))
    left = [name for name in far if name not in seen]
    for name in reached.keys() & left:
        yield {"check": name, "findings": []}
    if rest := [name for name in left if name not in reached]:
        words = _words(rest, offline=offline)
        async with aclosing(_lines(config, words, None, ("", {}), CHECK_SECONDS)) as lines:
            async for line in lines:
                if line is None or line.get("check") in rest:
                    yield line


def _words(checks: Sequence[str], *, offline: bool) -> tuple[str, ...]:
    chosen = [word for name in checks for word in ("--check", name)]
    return ("doctor", *(["--offline"] * offline), *chosen)


def _is_broken(line: Mapping[str, Any]) -> bool:
    """Whether it says that the configuration cannot be used: nothing else is looked at then."""
    return line.get("check") == "configuration" and bool(line.get("findings"))


async def check_ledgers(
    config: Path, admin: Admin | None = None
) -> AsyncGenerator[Checked | Reached, None]:
    """How far each ledger's check is, and what it has found; `admin` as for `diagnose`.

    Raises:
        InternalError: `doctor-failed`.
    """
    asked: Asked = ("fsck", {})
    async with aclosing(_lines(config, ("fsck",), admin, asked, FSCK_SECONDS)) as lines:
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
    if checks and not set(checks).intersection(reaching.CHECKS):
        return {}
    told = await reaching.reach(reaching.SOCKET)
    return {
        name: [one for one in line["findings"] if offline or one["mark"] != "not-looked-at"]
        for name, line in told.items()
    }


def _found(one: Mapping[str, Any]) -> Found:
    remedy = str(one.get("remedy") or one.get("hint") or "")
    return Found(str(one["code"]), str(one["finding"]), remedy, str(one.get("mark", "fault")))


def _late(seconds: float) -> Found:
    message = f"no answer within {seconds:g} s: what comes next hangs, or takes too long"
    return Found("program-late", message, "", "fault")


async def _lines(
    config: Path, words: Sequence[str], admin: Admin | None, asked: Asked, seconds: float
) -> Lines:
    """What root's service has the daemon's user find; where it is away, what this process finds."""
    if admin is not None:
        try:
            async with aclosing(_told(admin, asked, seconds)) as lines:
                async for line in lines:
                    yield line
                return
        except ChopmarkError as error:
            if error.code not in _NOBODY:
                raise
    command = (*CHOPMARK, "--json", "--progress", "--config", str(config), *words)
    async with started(command) as process, aclosing(listen(process, seconds)) as lines:
        async for line in lines:
            yield line


async def _told(admin: Admin, asked: Asked, seconds: float) -> Lines:
    verb, values = asked
    async with aclosing(admin.look(verb, **values)) as lines:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    line = await anext(lines, None)
            except TimeoutError:
                yield None
                return
            if line is None:
                return
            yield line

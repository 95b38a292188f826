"""What only the daemon's user can look at: token, PIN, ledger and state folder.

`chopmark doctor` and `chopmark fsck` run as that user, and what they say is passed on line by line:
each line is bounded, and so is the time without one. A caller that leaves ends them. What needs a
network is not among it: there is none here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from chopmark.admin.programs import Programs
from chopmark.admin.requests import Check, Doctor
from chopmark.client.files import read_bounded
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.core.inert import clean
from chopmark.service.config import MAX_CONFIG, parse_config
from chopmark.service.listening import listen

CHECKS: Final[tuple[str, ...]] = get_args(Check)
SILENCE: Final = 60.0
"""Seconds without a line: a module may take long to say that its token is away."""
MOST_FINDINGS: Final = 100
"""Of one check: what is beyond is counted."""
_MOST_TEXT: Final = 1000
_PROGRAM: Final = ("-m", "chopmark.cli.main", "--json", "--progress")

Tell = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Looking:
    """Looks, one thing at a time: each takes a process with a PKCS#11 module, or a disk.

    Attributes:
        programs: run what looks.
        lock: held meanwhile.
    """

    programs: Programs
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def doctor(self, asked: Doctor, tell: Tell) -> dict[str, Any]:
        """Tell of each check; see `chopmark doctor`.

        Raises:
            TryAgainError: `program-late`; InternalError: `doctor-failed`.
        """
        checks = asked.checks or CHECKS
        words = [word for name in checks for word in ("--check", name)]
        offline = ["--offline"] * asked.offline
        return await self._pass_on(("doctor", *offline, *words), tell, pin="pin" in checks)

    async def fsck(self, tell: Tell) -> dict[str, Any]:
        """Tell how far the check of each ledger is, and what it has found; raises as `doctor`."""
        return await self._pass_on(("fsck",), tell)

    async def state(self) -> Any:
        """How full the disk of the state folder is, and which files lie there, with their sizes."""
        return await self.programs.first("state-look", {"state": str(self._state)})

    async def _pass_on(
        self, words: tuple[str, ...], tell: Tell, *, pin: bool = False
    ) -> dict[str, Any]:
        config = str(self.programs.settings.config)
        command = (*_PROGRAM, "--config", config, *words)
        async with (
            self.lock,
            self.programs.started_as_daemon(*command, pin=pin) as process,
            aclosing(listen(process, SILENCE)) as lines,
        ):
            async for line in lines:
                if line is None:
                    message = f"`chopmark {words[0]}` has said nothing for {SILENCE:.0f} s"
                    raise TryAgainError("program-late", message, hint="try again; `show log`")
                if "check" in line or "doing" in line or "id" in line:
                    await tell(_bound(line))
        return {}

    @property
    def _state(self) -> Path:
        """Where the configuration has it, or the settings while there is none that holds."""
        settings = self.programs.settings
        try:
            return parse_config(read_bounded(settings.config, MAX_CONFIG)).gateway.state
        except ChopmarkError:
            return settings.state


def _bound(line: Mapping[str, Any]) -> dict[str, Any]:
    """What it says, no longer than somebody would read."""
    told = {key: _clip(value) for key, value in line.items()}
    findings = line.get("findings")
    if isinstance(findings, list):
        kept = [_clip_all(one) for one in findings[:MOST_FINDINGS] if isinstance(one, dict)]
        if len(findings) > MOST_FINDINGS:
            more = f"and {len(findings) - MOST_FINDINGS} more"
            kept.append({"code": "more", "finding": more, "message": more})
        told["findings"] = kept
    return told


def _clip_all(one: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): _clip(value) for key, value in one.items()}


def _clip(value: Any) -> Any:
    """Texts and numbers; whatever else it may be is left out."""
    if isinstance(value, str):
        return clean(value)[:_MOST_TEXT]
    return value if isinstance(value, int | float | bool) else None

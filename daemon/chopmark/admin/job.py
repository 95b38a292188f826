"""A unit that works on for long, and leaves JSON line by line: how far it is, what came of it."""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.admin.programs import Programs
from chopmark.client.files import read_bounded
from chopmark.core.errors import ChopmarkError, MissingError

LOG: Final = logging.getLogger("chopmark.admin")
_MAX_REPORT: Final = 65_536


@dataclass(slots=True)
class Job:
    """One at a time.

    Attributes:
        programs: start the unit.
        unit: its name.
        report: file that its standard output goes to.
    """

    programs: Programs
    unit: str
    report: Path
    _task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin."""
        self.report.unlink(missing_ok=True)
        work = self._work()
        self._task = asyncio.get_running_loop().create_task(work, name=self.unit)

    def state(self) -> dict[str, Any]:
        """`none`, `running`, or `ended`; `report` is the last that it has said, or null."""
        if self.busy:
            return {"state": "running", "report": self._read()}
        report = self._read()
        ended = report is not None or self._task is not None
        return {"state": "ended" if ended else "none", "report": report}

    async def stop(self) -> None:
        """Have the unit end, and wait for that."""
        await self.programs.control("stop", self.unit)
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Wait no longer; the unit goes on by itself."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _read(self) -> dict[str, Any] | None:
        with suppress(MissingError):
            return read_report(self.report)
        return None

    async def _work(self) -> None:
        try:
            await self.programs.control("start", "--wait", self.unit, seconds=None)
        except ChopmarkError as error:
            LOG.warning("%s has not ended well: %s", self.unit, error, extra={"code": error.code})


def read_report(path: Path) -> dict[str, Any] | None:
    """The object in the last line of a report; raises as `read_bounded`."""
    said = read_bounded(path, _MAX_REPORT).decode("utf-8", "replace").strip()
    with suppress(ValueError, RecursionError):
        found = json.loads(said.splitlines()[-1]) if said else None
        return found if isinstance(found, dict) else None
    return None

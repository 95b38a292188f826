"""The two slots of the firmware: what the image's own units do with them, and have said.

This service sees no disk and no boot loader. `chopmark-firmware@VERB.service` of the image does,
and leaves one object of JSON: what it found or did, or problem details.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.admin.programs import Programs
from chopmark.client.files import read_bounded
from chopmark.client.problem import error_from_problem
from chopmark.core.errors import ChopmarkError, ExistsError, InternalError, MissingError
from chopmark.service.platform import not_here

LOG: Final = logging.getLogger("chopmark.admin")
_MAX_REPORT: Final = 65_536


@dataclass(slots=True)
class Firmware:
    """Looks, installs, switches.

    Attributes:
        programs: start the units.
    """

    programs: Programs
    _installing: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether an update is being written."""
        return self._installing is not None and not self._installing.done()

    async def look(self) -> dict[str, Any]:
        """Which slot runs, which is due, and what is in each."""
        self._refuse_busy()
        return dict(await self._do("look"))

    async def switch(self, slot: str) -> dict[str, Any]:
        """Have a slot started next; raises what the unit said."""
        self._refuse_busy()
        return dict(await self._do(f"switch-{slot}"))

    async def install(self) -> dict[str, Any]:
        """Begin to write the update that is on the USB stick into the slot that does not run."""
        self._require_image()
        self._refuse_busy()
        self._report("install").unlink(missing_ok=True)
        work = self._install()
        self._installing = asyncio.get_running_loop().create_task(work, name="firmware")
        return {}

    async def state(self) -> dict[str, Any]:
        """How far an update has come: `none`, `running`, or `ended` with what was said of it."""
        if self.busy:
            return {"state": "running"}
        try:
            said = self._read("install")
        except MissingError:
            return {"state": "none" if self._installing is None else "ended", "report": None}
        return {"state": "ended", "report": said}

    async def close(self) -> None:
        """Wait no longer; the unit goes on by itself."""
        if self._installing is not None:
            self._installing.cancel()
            with suppress(asyncio.CancelledError):
                await self._installing

    async def _install(self) -> None:
        try:
            await self.programs.control("start", "--wait", _unit("install"), seconds=None)
        except ChopmarkError as error:
            LOG.warning("the update has not ended well: %s", error, extra={"code": error.code})

    async def _do(self, verb: str) -> Mapping[str, Any]:
        self._require_image()
        self._report(verb).unlink(missing_ok=True)
        failed: ChopmarkError | None = None
        try:
            await self.programs.control("start", "--wait", _unit(verb))
        except ChopmarkError as error:
            failed = error
        try:
            said = self._read(verb)
        except MissingError:
            said = None
        if said is None:
            raise failed or InternalError("program-failed", f"{verb} has said nothing")
        if "code" in said:
            raise error_from_problem(int(said.get("status", 500)), said, None)
        return said

    def _require_image(self) -> None:
        if not self.programs.settings.image.exists():
            raise not_here("firmware")

    def _refuse_busy(self) -> None:
        if self.busy:
            raise ExistsError("already-running", "an update is being written")

    def _read(self, verb: str) -> dict[str, Any] | None:
        said = read_bounded(self._report(verb), _MAX_REPORT).decode("utf-8", "replace").strip()
        with suppress(ValueError, RecursionError):
            found = json.loads(said.splitlines()[-1]) if said else None
            return found if isinstance(found, dict) else None
        return None

    def _report(self, verb: str) -> Path:
        return self.programs.settings.runtime / f"firmware-{verb}.json"


def _unit(verb: str) -> str:
    return f"chopmark-firmware@{verb}.service"

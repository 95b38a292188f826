"""The two slots of the firmware: what the image's own units do with them, and have said.

This service sees no disk, no boot loader and no network. `chopmark-firmware@VERB.service` of the
image does the first two, and `chopmark-fetch.service` gets a release. Each leaves objects of JSON:
what it found or did, or problem details.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chopmark.admin.job import Job, read_report
from chopmark.admin.programs import Programs
from chopmark.client.problem import error_from_problem
from chopmark.core.errors import ChopmarkError, ExistsError, InternalError, MissingError
from chopmark.service.platform import not_here


@dataclass(slots=True)
class Firmware:
    """Looks, fetches, installs, switches.

    Attributes:
        programs: start the units.
        installing: writes an update into the slot that does not run.
        fetching: gets a release from where the configuration says.
    """

    programs: Programs
    installing: Job = field(init=False)
    fetching: Job = field(init=False)

    def __post_init__(self) -> None:
        runtime = self.programs.settings.runtime
        self.installing = Job(self.programs, _unit("install"), self._report("install"))
        self.fetching = Job(self.programs, "chopmark-fetch.service", runtime / "fetch.json")

    @property
    def busy(self) -> bool:
        """Whether an update is being written, or fetched."""
        return self.installing.busy or self.fetching.busy

    async def look(self) -> dict[str, Any]:
        """Which slot runs, which is due, what is in each, and which release was fetched."""
        self._refuse_busy()
        return dict(await self._do("look"))

    async def switch(self, slot: str) -> dict[str, Any]:
        """Have a slot started next; raises what the unit said."""
        self._refuse_busy()
        return dict(await self._do(f"switch-{slot}"))

    async def erase(self) -> dict[str, Any]:
        """Destroy what opens the data partition, and start the box again: it is new then."""
        self._refuse_busy()
        return dict(await self._do("erase"))

    async def install(self) -> dict[str, Any]:
        """Begin to write an update: the one on the USB stick, or else the one that was fetched."""
        return self._begin(self.installing)

    async def fetch(self) -> dict[str, Any]:
        """Begin to fetch the release that the source has."""
        return self._begin(self.fetching)

    async def stop_fetching(self) -> dict[str, Any]:
        """End that; what is there stays, and the next one goes on with it."""
        await self.fetching.stop()
        return {}

    async def state(self) -> dict[str, Any]:
        """How far an update has come: `none`, `running`, or `ended` with what was said of it."""
        return self.installing.state()

    async def fetched(self) -> dict[str, Any]:
        """The same of a release that is fetched."""
        return self.fetching.state()

    async def close(self) -> None:
        """Wait no longer; the units go on by themselves."""
        await self.installing.close()
        await self.fetching.close()

    def _begin(self, job: Job) -> dict[str, Any]:
        self.require_image()
        self._refuse_busy()
        job.start()
        return {}

    async def _do(self, verb: str) -> Mapping[str, Any]:
        self.require_image()
        self._report(verb).unlink(missing_ok=True)
        failed: ChopmarkError | None = None
        try:
            await self.programs.control("start", "--wait", _unit(verb))
        except ChopmarkError as error:
            failed = error
        try:
            said = read_report(self._report(verb))
        except MissingError:
            said = None
        if said is None:
            raise failed or InternalError("program-failed", f"{verb} has said nothing")
        if "code" in said:
            raise error_from_problem(int(said.get("status", 500)), said, None)
        return said

    def require_image(self) -> None:
        """See that this is the appliance's image; raises `not-on-this-platform`."""
        if not self.programs.settings.image.exists():
            raise not_here("firmware")

    def _refuse_busy(self) -> None:
        if self.installing.busy:
            raise ExistsError("already-running", "an update is being written")
        if self.fetching.busy:
            hint = "`firmware fetch` shows how far it is; `firmware cancel` ends it"
            raise ExistsError("already-running", "a release is being fetched", hint=hint)

    def _report(self, verb: str) -> Path:
        return self.programs.settings.runtime / f"firmware-{verb}.json"


def _unit(verb: str) -> str:
    return f"chopmark-firmware@{verb}.service"

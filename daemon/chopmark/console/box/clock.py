"""The system's clock, and who keeps it: the kernel's opinion, and that of chrony if it is there."""

from dataclasses import dataclass
from datetime import UTC, datetime
from shutil import which
from typing import Final

from chopmark.console.programs import run
from chopmark.core.errors import ChopmarkError
from chopmark.service.kernelclock import read_kernel

SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class BoxClock:
    """What the box says: its time, whether anybody keeps it (else why not), and who."""

    now: datetime
    synchronised: bool
    reason: str
    source: str


async def read_clock() -> BoxClock:
    """Ask the kernel and chrony; raises nothing."""
    kernel = read_kernel()
    return BoxClock(datetime.now(UTC), kernel.synchronised, kernel.reason, await _ask_chrony())


async def _ask_chrony() -> str:
    """Its source and offset, by chronyc(1): `-c` gives fields with commas; empty without it."""
    if which("chronyc") is None:
        return ""
    try:
        said = await run(("chronyc", "-n", "-c", "tracking"), SECONDS)
    except ChopmarkError as error:
        return error.message
    words = said.output.strip().split(",")
    if said.code != 0 or len(words) < 5:
        return (said.output or said.errors).strip()[:200]
    return f"chrony: {words[1] or 'no source'}, stratum {words[2]}, offset {words[4]} s"

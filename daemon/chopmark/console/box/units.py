"""The units of systemd that make a gateway, and how each is (`systemctl show`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.console.programs import run
from chopmark.core.errors import MissingError

DAEMON: Final = "chopmark.service"
UNITS: Final = (
    DAEMON,
    "chopmark-hsm.service",
    "chopmark-admin.socket",
    "mosquitto.service",
    "chrony.service",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "pcscd.socket",
)
"""Of those that are not installed nothing is shown."""
SECONDS: Final = 1.5
_BOOTED: Final = Path("/run/systemd/system")
"""Is there when systemd is the init of this machine (sd_booted(3))."""
_ASKED: Final = "Id,LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,StatusText"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    Attributes:
        name: with its suffix.
        state: such as `active (running)`.
        restarts: how often systemd has started it anew by itself.
        said: what it says of itself (STATUS=), or why it failed; may be empty.
        works: it is active.
    """

    name: str
    state: str
    restarts: int
    said: str
    works: bool


def has_systemd() -> bool:
    """Whether systemd runs this machine."""
    return _BOOTED.is_dir()


async def read_units(names: tuple[str, ...] = UNITS) -> list[Unit]:
    """How those are that are installed.

    Raises:
        MissingError: `no-systemd`.
        TryAgainError: `program-late`.
    """
    if not has_systemd():
        raise MissingError("no-systemd", "no systemd runs on this machine")
    said = await run(("systemctl", "show", "--no-pager", f"--property={_ASKED}", *names), SECONDS)
    return [
        _parse(block)
        for block in map(_pairs, said.output.split("\n\n"))
        if block.get("LoadState") not in (None, "not-found", "masked")
    ]


def _pairs(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _parse(pairs: Mapping[str, str]) -> Unit:
    state, result = pairs.get("ActiveState", "?"), pairs.get("Result", "")
    why = f"{result}, exit status {pairs.get('ExecMainStatus', '?')}"
    failed = state == "failed" or result not in ("", "success")
    return Unit(
        pairs.get("Id", "?"),
        f"{state} ({pairs.get('SubState', '?')})",
        int(pairs["NRestarts"]) if pairs.get("NRestarts", "").isdecimal() else 0,
        why if failed else pairs.get("StatusText", ""),
        state == "active",
    )

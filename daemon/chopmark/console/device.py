"""Which box this is: what the banner says of it before anybody has signed in, and its label."""

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import chopmark
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import load_config

SERIALS: Final = (
    Path("/etc/chopmark/serial"),
    Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/sys/class/dmi/id/product_serial"),
)
"""Where the serial number on the box's label is found, the first that can be read."""
CMDLINES: Final = (Path("/run/chopmark-cmdline"), Path("/proc/cmdline"))
"""What the kernel was started with. Its unit lets the console see no more of /proc than processes,
so that systemd-tmpfiles copies it at each start of the box (tmpfiles.d/chopmark-console.conf)."""
_SLOT: Final = re.compile(r"(?:^|\s)rauc\.slot=([A-Za-z0-9._-]{1,32})")
_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Device:
    """The box.

    Attributes:
        id: of its gateway, or the name of the host while it has none.
        version: of this software.
        slot: of the firmware that runs; empty where there are no slots.
        serial: number on its label; its id where there is none.
        commissioned: there is a configuration.
    """

    id: str
    version: str
    slot: str
    serial: str
    commissioned: bool


def read_device(config: Path) -> Device:
    """Look at the box; what cannot be read is left empty."""
    try:
        name, commissioned = load_config(config).gateway.id, True
    except ChopmarkError:
        name, commissioned = socket.gethostname(), config.exists()
    slot = next(filter(None, (_SLOT.search(_read(path)) for path in CMDLINES)), None)
    serial = next(filter(None, map(_read, SERIALS)), name)
    return Device(name, chopmark.__version__, slot[1] if slot else "", serial, commissioned)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT).decode("ascii", "replace").strip("\0 \r\n\t")
    except OSError:
        return ""

"""Whether the box was unlocked since it was started: a stolen one must not sign by itself.

With `[hsm] unlock = "attended"` the daemon takes the PIN that is in place only after somebody has
given one since the machine was started, at the console, on the unix socket, or from a client with a
certificate. That is noted beside the API's socket, on a file system that a loss of power empties,
under the kernel's name for this boot: a restart of the daemon asks nobody.

docs/decisions/0022-unlocking-after-a-power-loss.md says what that is worth.
"""

import logging
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.client.files import replace_file
from chopmark.core.errors import ChopmarkError
from chopmark.service.config_model import Config

LOG: Final = logging.getLogger("chopmark.hsm")
BOOT_VARIABLE: Final = "CHOPMARK_BOOT"
"""The unit puts the name of this boot there (%b): it may not look into /proc itself."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_MAX_BOOT: Final = 64


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The note that somebody has given the PIN since the machine was started."""

    path: Path

    @property
    def stands(self) -> bool:
        """Whether it was made in this boot, by us or by root."""
        boot = read_boot()
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor) as file:
                found = os.fstat(descriptor)
                text = file.read(_MAX_BOOT).strip()
        except (OSError, ValueError):
            return False
        ours = found.st_uid in (0, os.geteuid())
        closed = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o022
        return ours and closed and boot != "" and text == boot

    def write(self) -> None:
        """Make it; where that cannot be, the next start asks again."""
        try:
            replace_file(self.path, read_boot().encode(), 0o644)
        except (OSError, ChopmarkError) as error:
            LOG.warning("that the PIN was given cannot be noted: the next start asks: %s", error)

    def forget(self) -> None:
        """Remove it: the next start asks."""
        with suppress(OSError):
            self.path.unlink()


def read_boot() -> str:
    """What tells this boot of the machine from others; empty if nobody says."""
    given = os.environ.get(BOOT_VARIABLE, "")
    if not given:
        with suppress(OSError):
            given = _BOOT.read_text("ascii")
    return given.strip().replace("-", "")


def open_unlocked(config: Config) -> Unlocked:
    """The note of the gateway with this configuration."""
    return Unlocked(config.api.socket.parent / "unlocked")

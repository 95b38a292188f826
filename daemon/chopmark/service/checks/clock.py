"""The system's clock.

Codes: `clock-unsynchronised`, `clock-absurd`.
"""

from collections.abc import Iterator
from typing import Final

from chopmark.core.wording import format_time
from chopmark.service.checks.finding import Finding, Mark, Scene
from chopmark.service.kernelclock import read_kernel

_EARLIEST: Final = 1_764_547_200_000
"""2025-12-01, before there was any such gateway."""


def check_clock(scene: Scene) -> Iterator[Finding]:
    """Ask the kernel whether anybody keeps its clock, and look at what it says."""
    if scene.now < _EARLIEST:
        finding = f"the clock says {format_time(scene.now)}"
        yield Finding("clock-absurd", finding, "set it: `timedatectl`; is the battery empty?")
    kernel = read_kernel()
    if not kernel.synchronised:
        demanded = scene.config.clock.require == "synchronised"
        remedy = "start a time daemon (systemd-timesyncd, chrony) and see that it has a server"
        mark: Mark = "fault" if demanded else "warning"
        yield Finding("clock-unsynchronised", kernel.reason, remedy, mark)

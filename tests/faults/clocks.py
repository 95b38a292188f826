"""Gateways whose clock a test moves, by libfaketime; their monotonic clock stays as it is."""

import os
from pathlib import Path
from typing import Final

from rig.gateway import Gateway

LIBRARY: Final = next(
    (str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
    "/usr/lib/faketime/libfaketimeMT.so.1",
)
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class TimedGateway(Gateway):
    """A gateway whose daemon reads the time that `move` and `set` say."""

    def launch(self) -> None:
        """Start the daemon, with its clock as it was last moved."""
        clock = self.folder / "clock"
        if not clock.exists():
            self.move(0)
        values = {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        os.environ.update(values)  # for the daemon alone: its other programs are ours
        try:
            super().launch()
        finally:
            for name in values:
                del os.environ[name]

    def move(self, ms: int) -> None:
        """Let the clock go on, so far ahead of the real one or, if negative, behind it."""
        self._tell(f"{ms // 1000:+d}")

    def set(self, time: str) -> None:
        """Let the clock go on from a time, like `2038-01-19 03:14:05`, in UTC."""
        self._tell(f"@{time}")

    def _tell(self, text: str) -> None:
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{text}\n")
        fresh.replace(self.folder / "clock")  # it is read at any moment, and never half written

    def used_cpu(self) -> float:
        """Processor time that the daemon has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

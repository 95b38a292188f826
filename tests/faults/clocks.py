"""Gateways whose clock a test moves, by libfaketime; their monotonic clock stays as it is."""

import os
from datetime import UTC, datetime, timedelta
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
ABOUT: Final = timedelta(minutes=5)
"""As exact as a clock need be that was moved a moment ago."""


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
            "FAKETIME_CACHE_DURATION": "1",  # 0 reads the file at each look at the clock
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
        self._tell(f"{ms // 1000:+d}", datetime.now(UTC) + timedelta(milliseconds=ms))

    def set(self, time: str) -> None:
        """Let the clock go on from a time, like `2038-01-19 03:14:05`, in UTC."""
        self._tell(f"@{time}", datetime.fromisoformat(f"{time}+00:00"))

    def _tell(self, text: str, due: datetime) -> None:
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{text}\n")
        fresh.replace(self.folder / "clock")  # it is read at any moment, and never half written
        if self._process is not None:
            self.wait_for(lambda: abs(self._now() - due) < ABOUT, f"to see {due}")

    def _now(self) -> datetime:
        """What its clock says."""
        return datetime.fromisoformat(self.get("/v1/status")["clock"]["now"])

    def used_cpu(self) -> float:
        """Processor time that the daemon has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

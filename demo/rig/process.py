"""Programs that a rig starts, and that never outlive it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rig.patience import PATIENCE


class PartFailedError(RuntimeError):
    """A program did not start; the message ends with its log."""


class Process:
    """One program, started at once. The kernel kills it when the thread that started it ends.

    Args:
        command: what to run.
        log: file for what it says.
        environment: added to this process's own.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until it does what it was started for.

        Raises:
            PartFailedError: it ended, or a deadline passed.
        """
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.01)
        self.kill()
        raise PartFailedError(f"{self._process.args!r}: {self.log.read_text()[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for its end. Harmless if it has ended."""
        self.signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

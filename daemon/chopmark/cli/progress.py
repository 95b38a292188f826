"""Progress of long work: nothing for the first second, then a bar on standard error."""

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY: Final = 1.0
"""Seconds; most work is done before a bar would be seen, and rich need not be loaded for it."""
EVERY: Final = 0.5
"""Seconds between two lines for programs."""
BYTES: Final = "bytes"
"""The unit that is shown as kB, MB, GB and a rate; others are counted."""


class Meter:
    """A progress bar that appears when work takes longer than a second.

    Args:
        label: what is being done.
        total: how much of it there is.
        unit: `bytes`, or what is counted.
        shown: whether to show anything at all.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        label: str,
        total: int,
        *,
        unit: str,
        shown: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._total = total
        self._unit = unit
        self._shown = shown
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: int) -> None:
        """So much more is done."""
        self.reach(self._done + amount, self._total)

    def reach(self, done: int, total: int) -> None:
        """So much of so much is done."""
        self._done, self._total = done, total
        self._tell()

    def _tell(self) -> None:
        if not self._shown or self._clock() - self._started < DELAY:
            return
        if self._bar is None:
            self._bar = self._open()
        self._bar.update(self._bar.task_ids[0], completed=self._done, total=self._total)

    def _open(self) -> "Progress":
        from rich import progress

        from chopmark.cli.terminal import open_console

        columns: list[progress.ProgressColumn] = [
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
        ]
        if self._unit == BYTES:
            columns += [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        else:
            columns += [progress.MofNCompleteColumn(), progress.TextColumn(self._unit)]
        columns.append(progress.TimeRemainingColumn())
        bar = progress.Progress(
            *columns,
            console=open_console(sys.stderr),
            transient=sys.stderr.isatty(),
            # Results go above the bar where they are seen; into a file they must go by themselves.
            redirect_stdout=sys.stdout.isatty(),
        )
        bar.add_task(self._label, total=self._total)
        bar.start()
        return bar


class LineMeter(Meter):
    """The same for programs: a line of JSON on standard error each half second."""

    def __exit__(self, *_: object) -> None:
        self._write()

    def _tell(self) -> None:
        if self._clock() - self._started >= EVERY:
            self._started = self._clock()
            self._write()

    def _write(self) -> None:
        write_line({"doing": self._label, "done": self._done, "total": self._total})


def write_line(value: object) -> None:
    """How far the work is, as a line of JSON on standard error."""
    print(json.dumps(value), file=sys.stderr, flush=True)

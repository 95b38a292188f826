"""The runs in an index's folder: which of them count, and which are merged next."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from chopmark.ledger.packed import SPAN
from chopmark.ledger.run import SUFFIX, UNFINISHED, DamagedRunError, Run

FAN: Final = 4
"""Runs of like size that are merged into one: an entry is written once for each power of it."""
LOG: Final = logging.getLogger("chopmark.ledger")
Span = tuple[int, int]


def open_chain(folder: Path) -> tuple[list[Run], list[Path], str | None]:
    """Open the runs that cover the entries from 0 on without a gap. Changes nothing.

    Returns:
        The runs in order; the other files, which are left over; and what is wrong with these,
        unless they are merely what a merge or a crash leaves behind.

    Raises:
        OSError: if the folder cannot be listed.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    left = [path for path in folder.iterdir() if path.suffix == UNFINISHED]
    runs: list[Run] = []
    problem = None
    position = 0
    while True:
        # What was merged begins where its first part did and goes further.
        here = [path for path in paths if path.name.startswith(f"{position:015}-")]
        run = None
        while here and run is None:
            try:
                run = Run(here.pop())
            except (OSError, DamagedRunError) as error:
                problem = str(error)
        if run is None or run.end == position:
            break
        runs.append(run)
        position = run.end
    used = {run.path for run in runs}
    left += [path for path in paths if path not in used]
    beyond = [path.name for path in left if _is_beyond(path, position)]
    return runs, left, problem or (f"{beyond[0]} does not follow" if beyond else None)


def remove(paths: Sequence[Path]) -> None:
    """Remove files that count no more; one that cannot be removed is tried at the next start."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def choose_merge(spans: Sequence[Span]) -> slice | None:
    """Which neighbours to merge into one run; None if it is well as it is.

    Args:
        spans: first entry and entry after the last of each run, in order.
    """
    sizes = [max(1, end - start) for start, end in spans]
    for limit in sorted({_tier(size) for size in sizes}):
        first = len(sizes)
        while first and _tier(sizes[first - 1]) <= limit:
            first -= 1
        # One that is so large that nothing goes with it stays alone.
        while len(sizes) - first >= FAN:
            last = first + 1
            while last < len(sizes) and sum(sizes[first : last + 1]) <= SPAN:
                last += 1
            if last - first > 1:
                return slice(first, last)
            first += 1
    return None


def _tier(size: int) -> int:
    """Runs of one tier differ in size by less than `FAN` times."""
    return (size.bit_length() - 1) // (FAN.bit_length() - 1)


def _is_beyond(path: Path, position: int) -> bool:
    """Whether a file was to cover what nothing covers now."""
    end = path.stem.partition("-")[2]
    return path.suffix == SUFFIX and not (end.isdecimal() and int(end) <= position)

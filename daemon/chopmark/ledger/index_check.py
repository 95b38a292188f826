"""The digest index against the entries, for `chopmark fsck`: reads only, beside a gateway or not.

For each file the keys that the entries call for and those that are there are added up, each
scrambled into 64 bits: that neither order nor memory matters, and one that is missing, changed or
too many shows. Nobody writes these files but ourselves, so this need not withstand a forger.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from chopmark.ledger.chain import open_chain
from chopmark.ledger.packed import Keys, read_batch
from chopmark.ledger.run import DamagedRunError, Run

_ATTEMPTS: Final = 20
"""Times to look: a gateway may be merging the files that we are about to open."""
_WORD: Final = 1 << 64
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Multipliers of splitmix64's finalizer."""
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))


class IndexCheck:
    """One check of one index; told the entries in order."""

    def __init__(self, folder: Path) -> None:
        """Open it as it is now: do so before taking the state of the log.

        Raises:
            OSError.
        """
        self.problems: list[str] = []
        runs, problem = _open(folder)
        if problem is not None:
            self.problems.append(f"the digest index is damaged: {problem}")
        self.position = runs[-1].end if runs else 0
        self._waiting = runs[::-1]
        self._sum = 0

    def add(self, start: int, digests: Sequence[bytes | None]) -> None:
        """Compare the digests of the entries from `start` on; what is not indexed yet is no fault.

        What is wrong with a file is in `problems` once all its entries have come.
        """
        at, end = start, start + len(digests)
        while self._waiting and at < end:
            run = self._waiting[-1]
            stop = min(run.end, end)
            batch = read_batch(at, digests[at - start : stop - start])
            keys = batch.words | (batch.entries - np.uint64(run.start))
            self._sum = (self._sum + _scrambled(keys)) % _WORD
            at = stop
            if stop == run.end:
                self._compare(self._waiting.pop())

    def _compare(self, run: Run) -> None:
        wanted, self._sum = self._sum, 0
        message = f"the digest index of the entries {run.start} to {run.end - 1}"
        try:
            held = _sum_up(run)
        except (OSError, DamagedRunError) as error:
            self.problems.append(f"{message} cannot be read: {error}")
            return
        if held is None:
            self.problems.append(f"{message} is not in order")
        elif held != wanted:
            self.problems.append(f"{message} does not say what they do")


def _open(folder: Path) -> tuple[list[Run], str | None]:
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            before = set(folder.iterdir())
            runs, _, problem = open_chain(folder)
            if problem is None or before == set(folder.iterdir()):
                return runs, problem
    raise OSError(f"{folder} does not stand still")


def _sum_up(run: Run) -> int | None:
    """The sum over a file's keys; None if they are not ascending."""
    total, last = 0, None
    for keys in run.all_keys():
        if (keys[1:] <= keys[:-1]).any() or (last is not None and keys[0] <= last):
            return None
        last = keys[-1]
        total = (total + _scrambled(keys)) % _WORD
    return total


def _scrambled(keys: Keys) -> int:
    """The sum modulo 2^64 of all keys, each scrambled as splitmix64 does."""
    mixed = (keys ^ (keys >> _SHIFTS[0])) * _MIX[0]
    mixed = (mixed ^ (mixed >> _SHIFTS[1])) * _MIX[1]
    return int((mixed ^ (mixed >> _SHIFTS[2])).sum(dtype=np.uint64))

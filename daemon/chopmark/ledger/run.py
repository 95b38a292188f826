"""Sorted runs: the files of the digest index. Each is written once and never changed.

    keys, ascending, 8 bytes each, in blocks of 256
    the first key of each block, 8 bytes each
    the CRC-32 of each block, 4 bytes each
    magic, first entry, entry after the last, number of keys, CRC-32 of all from the first keys on

Numbers are in the machine's own order: an index never leaves its machine, and is rebuilt if it
should. A run is written under another name and takes its own once it is safe on the disk, so that
a file `<first>-<after the last>.run` is there whole or not at all, whenever the power goes.
"""

import os
import struct
import sys
import weakref
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from chopmark.ledger.packed import KEY, SPAN, Keys, newest

BLOCK: Final = 256
"""Keys of a block: what one look-up reads (2 kB)."""
SLICE: Final = 1024
"""Blocks that merging takes at a time (2 MB)."""
SUFFIX: Final = ".run"
UNFINISHED: Final = ".new"
_FOOTER: Final = struct.Struct("=8sQQQI")
_MAGIC: Final = b"chopidx1"
_CRC: Final = 4


class DamagedRunError(Exception):
    """A run does not hold what was written into it."""

    def __init__(self, run: "Run", message: str) -> None:
        super().__init__(f"{run.path.name} {message}")
        self.run = run


class Run:
    """One file, open for reading; closed when nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        """Open it and read all but the keys.

        Raises:
            OSError, DamagedRunError.
        """
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        end = os.pread(self._file, _FOOTER.size, max(0, size - _FOOTER.size))
        if len(end) != _FOOTER.size or end[: len(_MAGIC)] != _MAGIC:
            raise DamagedRunError(self, "is no run of ours")
        _, self.start, self.end, self.count, check = _FOOTER.unpack(end)
        blocks = -(-self.count // BLOCK)
        if size != self.count * KEY + blocks * (KEY + _CRC) + _FOOTER.size:
            raise DamagedRunError(self, "does not have the size it should")
        table = os.pread(self._file, blocks * (KEY + _CRC), self.count * KEY)
        if zlib.crc32(table + end[:-_CRC]) != check:
            raise DamagedRunError(self, "has a damaged table")
        if not 0 <= self.end - self.start <= SPAN or path.name != run_name(self.start, self.end):
            raise DamagedRunError(self, "is not of the entries it should be of")
        self._firsts = memoryview(table)[: blocks * KEY].cast("Q")
        self._checks = memoryview(table)[blocks * KEY :].cast("I")

    @property
    def firsts(self) -> memoryview:
        """The first key of each block."""
        return self._firsts

    def find(self, word: int, below: int, limit: int) -> list[int]:
        """The newest entries of a word, ascending; see `packed.newest`.

        Raises:
            OSError, DamagedRunError.
        """
        top = min(below - self.start, SPAN)
        last = bisect_left(self._firsts, word + top) - 1
        found: list[int] = []
        while last >= 0 and len(found) < limit:
            found[:0] = newest(self._read(last, last + 1).cast("Q"), word, top, limit - len(found))
            if self._firsts[last] < word:
                break
            last -= 1
        return [self.start + place for place in found]

    def keys(self, first: int, last: int) -> Keys:
        """The keys of the blocks [first, last).

        Raises:
            OSError, DamagedRunError.
        """
        return np.frombuffer(self._read(first, last), np.uint64)

    def all_keys(self) -> Iterator[Keys]:
        """All keys, some at a time.

        Raises:
            OSError, DamagedRunError.
        """
        for first in range(0, len(self._firsts), SLICE):
            yield self.keys(first, min(first + SLICE, len(self._firsts)))

    def _read(self, first: int, last: int) -> memoryview:
        size = min(last * BLOCK, self.count) - first * BLOCK
        data = memoryview(os.pread(self._file, size * KEY, first * BLOCK * KEY))
        for n in range(first, last):
            at = (n - first) * BLOCK * KEY
            if zlib.crc32(data[at : at + BLOCK * KEY]) != self._checks[n]:
                raise DamagedRunError(self, f"is damaged in block {n}")
        return data


def run_name(start: int, end: int) -> str:
    """Name of the file of a run over the entries [start, end)."""
    return f"{start:015}-{end:015}{SUFFIX}"


def write_run(folder: Path, start: int, end: int, parts: Iterable[Keys]) -> Run:
    """Write a run: write, fsync, rename, fsync of the folder.

    Args:
        folder: where.
        start: its first entry.
        end: the entry after its last.
        parts: its keys, ascending, any number at a time.

    Raises:
        OSError: nothing is there then that was not there before.
    """
    path = folder / run_name(start, end)
    fresh = path.with_suffix(UNFINISHED)
    try:
        with fresh.open("wb", buffering=0) as file:
            _write_all(file.fileno(), start, end, parts)
            os.fsync(file.fileno())
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync(folder)
    return Run(path)


def merge_runs(folder: Path, runs: Sequence[Run], pause: Callable[[], None]) -> Run:
    """Write the run that covers what these do, which follow each other.

    Args:
        folder: where.
        runs: at least one, in order.
        pause: called now and then; may raise to give up.

    Raises:
        OSError, DamagedRunError.
    """
    return write_run(folder, runs[0].start, runs[-1].end, _merge(runs, pause))


def _merge(runs: Sequence[Run], pause: Callable[[], None]) -> Iterator[Keys]:
    """All keys in order, some at a time: no slice is much larger than `SLICE` blocks."""
    offsets = [np.uint64(run.start - runs[0].start) for run in runs]
    firsts = [
        np.frombuffer(run.firsts, np.uint64) + by for run, by in zip(runs, offsets, strict=True)
    ]
    # Between two of these there are at most as many keys, and one block more of each run.
    cuts = np.sort(np.concatenate(firsts))[SLICE::SLICE]
    low = np.uint64(0)
    for high in [*cuts, None]:
        pause()
        parts = [_cut(*of, low, high) for of in zip(runs, firsts, offsets, strict=True)]
        whole = np.concatenate(parts)
        whole.sort()
        yield whole
        low = high


def _cut(run: Run, firsts: Keys, offset: np.uint64, low: np.uint64, high: np.uint64 | None) -> Keys:
    """The keys [low, high) of a run, as the merged run counts them."""
    first = max(0, int(np.searchsorted(firsts, low, "right")) - 1)
    last = len(firsts) if high is None else int(np.searchsorted(firsts, high))
    if first >= last:
        return np.empty(0, np.uint64)
    keys = run.keys(first, last) + offset
    end = len(keys) if high is None else int(np.searchsorted(keys, high))
    return keys[int(np.searchsorted(keys, low)) : end]


def _write_all(file: int, start: int, end: int, parts: Iterable[Keys]) -> None:
    firsts, checks = bytearray(), bytearray()
    count, rest = 0, b""
    for part in parts:
        count += len(part)
        data = memoryview(rest + part.tobytes())
        whole = len(data) - len(data) % (BLOCK * KEY)
        _write_blocks(file, data[:whole], firsts, checks)
        rest = bytes(data[whole:])
    _write_blocks(file, memoryview(rest), firsts, checks)
    head = _FOOTER.pack(_MAGIC, start, end, count, 0)[:-_CRC]
    table = bytes(firsts + checks)
    _write(file, table + head + zlib.crc32(table + head).to_bytes(_CRC, sys.byteorder))


def _write_blocks(file: int, data: memoryview, firsts: bytearray, checks: bytearray) -> None:
    for at in range(0, len(data), BLOCK * KEY):
        block = data[at : at + BLOCK * KEY]
        firsts += block[:KEY]
        checks += zlib.crc32(block).to_bytes(_CRC, sys.byteorder)
    _write(file, data)


def _write(file: int, data: memoryview | bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

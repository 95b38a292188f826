"""Disks that remember: what was written to one, and when it was flushed (`fusedisk.py`)."""

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mounts import loop_device, mounted, unmount

HEADER = struct.Struct("<cQI")
"""`w`, offset and number of bytes that follow; or `f` for a flush."""
COUNT = struct.Struct("<Q")
_DEADLINE = 120.0  # `fusedisk.py` sees nothing of the rig
_PROGRAM = Path(__file__).with_name("fusedisk.py")


@dataclass(frozen=True, slots=True)
class Event:
    """A write; or a flush, which has no data."""

    offset: int
    data: bytes

    @property
    def is_flush(self) -> bool:
        return not self.data


def read_events(path: Path) -> list[Event]:
    """All that happened to a disk."""
    data, at, events = path.read_bytes(), 0, []
    while at < len(data):
        _, offset, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        events.append(Event(offset, data[at : at + size]))
        at += size
    return events


@contextmanager
def recorded(image: Path, folder: Path, place: Path) -> Iterator[None]:
    """Mount a copy of an ext4 image at `place`, on a disk that remembers.

    Afterwards `folder` has the file `events`; meanwhile and later, `counter`.
    """
    fuse = folder / "fuse"
    fuse.mkdir()
    with ExitStack() as stack:
        stack.enter_context(_serving(image, folder, fuse))
        device = stack.enter_context(loop_device(fuse / "disk"))
        stack.enter_context(mounted("-t", "ext4", device, place))
        yield
    fuse.rmdir()


@contextmanager
def _serving(image: Path, folder: Path, fuse: Path) -> Iterator[None]:
    counter = folder / "counter"
    counter.write_bytes(bytes(COUNT.size))
    command = [sys.executable, _PROGRAM, image, folder / "events", counter, fuse]
    with (folder / "fuse.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _DEADLINE
        while not (fuse / "disk").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no FUSE: {(folder / 'fuse.log').read_text()[-1000:]}")
            time.sleep(0.02)
        yield
    finally:
        _end(process, fuse)


def _end(process: subprocess.Popen[Any], fuse: Path) -> None:
    if fuse.is_mount():
        unmount(fuse)
    try:
        process.wait(_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

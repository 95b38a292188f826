"""A disk that remembers every write and every flush: `blockdev.py IMAGE EVENTS COUNTER FOLDER`.

Mounts a FUSE file system in FOLDER with one file, `disk`, that begins as a copy of IMAGE and is
held in memory. A loop device on it sends each block write as a write and each flush as an fsync;
they are appended to the file EVENTS, and the first eight bytes of COUNTER always say how many they
are: what somebody was answered can be put between two of them.
"""

import errno
import mmap
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mfusepy
from mounts import loop_device, mounted, unmount

HEADER = struct.Struct("<cQI")
"""`w`, offset and number of bytes that follow; or `f` for a flush."""
COUNT = struct.Struct("<Q")
_DEADLINE = 20.0


class Disk(mfusepy.Operations):  # type: ignore[misc]
    """The file system with the one file."""

    use_ns = True

    def __init__(self, image: Path, events: Path, counter: Path) -> None:
        self._data = bytearray(image.read_bytes())
        self._events = events.open("wb")
        with counter.open("r+b") as file:
            self._counter = mmap.mmap(file.fileno(), COUNT.size)
        self._count = 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        del fh
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path == "/disk":
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": len(self._data)}
        raise mfusepy.FuseOSError(errno.ENOENT)

    def readdir(self, path: str, fh: int) -> list[str]:
        del path, fh
        return [".", "..", "disk"]

    def open(self, path: str, flags: int) -> int:
        del path, flags
        return 1

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        del path, fh
        return bytes(self._data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del path, fh
        self._data[offset : offset + len(data)] = data
        self._log(b"w", offset, data)
        return len(data)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        del path, datasync, fh
        self._log(b"f", 0, b"")
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        del path, length, fh
        return 0

    def destroy(self, path: str) -> None:
        del path
        self._events.close()

    def _log(self, what: bytes, offset: int, data: bytes) -> None:
        self._events.write(HEADER.pack(what, offset, len(data)) + data)
        self._count += 1
        self._counter[:] = COUNT.pack(self._count)


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
    command = [sys.executable, __file__, image, folder / "events", counter, fuse]
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


if __name__ == "__main__":
    image_, events_, counter_, folder_ = (Path(word) for word in sys.argv[1:])
    mfusepy.FUSE(Disk(image_, events_, counter_), str(folder_), foreground=True, nothreads=True)

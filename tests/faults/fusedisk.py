"""A disk that remembers every write and every flush: `fusedisk.py IMAGE EVENTS COUNTER FOLDER`.

Mounts a FUSE file system in FOLDER with one file, `disk`, that begins as a copy of IMAGE and is
held in memory. A loop device on it sends each block write as a write and each flush as an fsync;
they are appended to the file EVENTS, and the first eight bytes of COUNTER always say how many they
are: what somebody was answered can be put between two of them.
"""

import errno
import mmap
import stat
import sys
from pathlib import Path

import mfusepy
from blockdev import COUNT, HEADER


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


if __name__ == "__main__":
    image_, events_, counter_, folder_ = (Path(word) for word in sys.argv[1:])
    mfusepy.FUSE(Disk(image_, events_, counter_), str(folder_), foreground=True, nothreads=True)

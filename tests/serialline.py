"""A serial line for tests: two ptys with a relay between them, and lrzsz at the far end.

The relay is a STAND-IN for the line. With a rate it passes so many bytes a second each way (115,200
baud, 8N1, are 11,520); a pty by itself knows no rate. It has no modem lines and no parity.
"""

import asyncio
import os
import pty
import select
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from chopmark.console.desk import HungUpError
from rig.patience import PATIENCE

RATE_115200 = 11_520
"""Bytes a second of 115,200 baud with 8N1."""
CHUNK = 4096


class SerialLine:
    """A line: `box` and `far` are the paths of its ends.

    Args:
        rate: bytes a second each way; 0 is as fast as it goes.
        spoil: what noise does to the bytes on their way to the box, and to the far end.
    """

    def __init__(
        self,
        rate: int = 0,
        spoil: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]] | None = None,
    ) -> None:
        ends = [pty.openpty(), pty.openpty()]
        for _, slave in ends:
            tty.setraw(slave)
        self._masters = [master for master, _ in ends]
        self._slaves = [slave for _, slave in ends]
        self.box, self.far = (os.ttyname(slave) for slave in self._slaves)
        self._stop, self._wake = os.pipe()
        same: Callable[[bytes], bytes] = bytes
        to_box, to_far = spoil or (same, same)
        ways = ((*self._masters, to_far), (*reversed(self._masters), to_box))
        self._threads = [
            threading.Thread(target=self._relay, args=(*way, rate), daemon=True) for way in ways
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unplug."""
        if self._wake < 0:
            return
        os.write(self._wake, b".")
        for thread in self._threads:
            thread.join()
        for one in (*self._masters, *self._slaves, self._stop, self._wake):
            os.close(one)
        self._wake = -1

    def _relay(self, start: int, end: int, spoil: Callable[[bytes], bytes], rate: int) -> None:
        """Byte after byte without a gap while there are any, as an UART does."""
        due = time.monotonic()
        with suppress(OSError):
            while True:
                if not self._ready(start, select.POLLIN, 0):
                    if not self._ready(start, select.POLLIN):
                        return
                    due = max(due, time.monotonic())
                data = os.read(start, rate // 100 if rate else CHUNK)
                if rate:
                    due += len(data) / rate
                    time.sleep(max(0, due - time.monotonic()))
                self._put(end, spoil(data))

    def _put(self, end: int, data: bytes) -> None:
        while data and self._ready(end, select.POLLOUT):
            data = data[os.write(end, data[:256]) :]

    def _ready(self, one: int, event: int, wait: int | None = None) -> bool:
        """Wait until a descriptor is ready; false when it is not, or the line is unplugged."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.register(one, event)
        found = dict(poll.poll(wait))
        return one in found and self._stop not in found


class PtyWire:
    """A `Wire` on one end of the line, without pyserial: what a transfer needs of a port."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        os.close(self._file)

    async def read(self) -> bytes:
        await self._ready(self._loop.add_reader, self._loop.remove_reader)
        try:
            data = os.read(self._file, CHUNK)
        except OSError:
            data = b""
        if not data:
            raise HungUpError("hung-up", "the other end is gone")
        return data

    async def write(self, data: bytes) -> None:
        while data:
            await self._ready(self._loop.add_writer, self._loop.remove_writer)
            data = data[os.write(self._file, data) :]

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        ready = asyncio.Event()
        add(self._file, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._file)


def start_far(line: SerialLine, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Run the technician's `sz` or `rz` on the far end, as a terminal program does."""
    end = os.open(line.far, os.O_RDWR | os.O_NOCTTY)
    try:
        return subprocess.Popen(
            command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, cwd=folder
        )
    finally:
        os.close(end)


async def end_far(process: subprocess.Popen[bytes]) -> int:
    """Wait until it has ended."""
    return await asyncio.to_thread(process.wait, PATIENCE)

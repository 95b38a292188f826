"""The console's line: how near ZMODEM comes to what it can carry."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # where `serialline` is
sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))  # where `rig` is

from bench import Bench, Figures
from chopmark.console.transfer import zmodem
from rows import Figure
from serialline import RATE_115200, PtyWire, SerialLine, end_far, start_far

MIB: Final = 2**20
SIZE: Final = 2**17
"""Bytes sent below `FULL` entries: eleven seconds in place of 91. The ratio is the same, but for
the second or so in which a transfer begins and ends, which weighs more."""
FULL: Final = 10_000_000


def zmodem_out(bench: Bench) -> Figures:
    """Seconds of one MiB to the technician at 115,200 baud, through the relay."""
    size = MIB if bench.scale >= FULL else SIZE
    seconds = asyncio.run(time_sending(os.urandom(size)))
    return {"console.zmodem": Figure(seconds * MIB / size, MIB / RATE_115200)}


async def time_sending(data: bytes) -> float:
    """Seconds from the start of our `sz` until the other side has the file."""
    with SerialLine(RATE_115200) as line, tempfile.TemporaryDirectory() as name:
        wire = PtyWire(line.box)
        far = start_far(line, ["rz", "--quiet", "--binary"], Path(name))
        start = time.perf_counter()
        await zmodem.send(wire, "bundle", data)
        seconds = time.perf_counter() - start
        code = await end_far(far)
        wire.close()
        if code or (Path(name) / "bundle").read_bytes() != data:
            raise RuntimeError("the file did not arrive as it was")
        return seconds


if __name__ == "__main__":
    taken = asyncio.run(time_sending(os.urandom(MIB)))
    print(f"1 MiB in {taken:.1f} s, {taken * RATE_115200 / MIB:.3f} of the line's limit")

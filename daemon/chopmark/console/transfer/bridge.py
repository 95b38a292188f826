"""A program of lrzsz with its input and output on the line, watched over.

Rules: everything between line and program is bounded, as is its time. Five CAN from the other side
end the transfer (they never follow one another inside of ZMODEM's data), and Ctrl-C does where it
cannot be data. However it ends, the program is gone afterwards; and unless it ended well, the other
side is told so and the line is read until it is quiet, so that no rest is taken for commands.
"""

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.console.desk import HungUpError, InterruptedByUserError, Wire
from chopmark.core.errors import ChopmarkError, MissingError, RefusedError, UnreachableError

CAN: Final = b"\x18"
CTRL_C: Final = b"\x03"
STOP: Final = b"*" + CAN * 8 + b"\b \b"
"""What ends a transfer at the other side. A `sz` that has just seen a second ZRINIT passes over all
but a `*`, which is wiped from a terminal where no transfer runs."""
PIECE: Final = 1024
"""Bytes handed on at a time."""
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "ZMODEM_RESTRICTED": "1"}
"""All that the programs know of ours."""
QUIET: Final = 1.0
"""Seconds without a byte after which Ctrl-C is a person's."""
SETTLE: Final = 10.0
"""Seconds at most until a line is taken for quiet."""
GOODBYE: Final = b"**\x18B08"
"""ZFIN, the last header of a session; the sender answers `OO`."""
OVER: Final = b"OO"
_SAID: Final = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What a transfer may take.

    Attributes:
        begin: seconds until the other side begins.
        silence: seconds without a byte from it, later.
        total: seconds for all.
        most: bytes from it.
    """

    most: int
    total: float
    begin: float
    silence: float


@dataclass(slots=True)
class Watch:
    """Looks at what comes from the other side.

    Attributes:
        limits: see there.
        sending: nothing but headers in hexadecimal come, so that Ctrl-C always is a person's.
        count: bytes so far.
        begun: the other side speaks ZMODEM.
    """

    limits: Limits
    sending: bool
    count: int = 0
    begun: bool = False
    _last: bytes = field(default=b"")

    @property
    def patience(self) -> float:
        """Seconds to wait for the next byte."""
        return self.limits.silence if self.begun else self.limits.begin

    def feed(self, data: bytes, waited: float) -> None:
        """Take what came, and how many seconds it took to come.

        Raises:
            InterruptedByUserError: `interrupted`.
            RefusedError: `transfer-cancelled`, `transfer-too-large`.
        """
        self.count += len(data)
        seen = self._last + data
        if CTRL_C in data and (self.sending or self._is_alone(data, waited)):
            raise InterruptedByUserError("interrupted", "interrupted")
        if CAN * 5 in seen:
            raise RefusedError("transfer-cancelled", "the other side has ended the transfer")
        if self.count > self.limits.most:
            message = f"more came than is taken: {self.limits.most} bytes"
            raise RefusedError("transfer-too-large", message, hint="send a smaller file")
        self.begun = self.begun or any(b"*" + CAN + kind in seen for kind in (b"A", b"B", b"C"))
        self._last = seen[-4:]

    def _is_alone(self, data: bytes, waited: float) -> bool:
        """Whether nothing but Ctrl-C came, and not in the midst of a file."""
        return not data.strip(CTRL_C) and (not self.begun or waited > QUIET)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code.
        said: the beginning of what it wrote to standard error.
    """

    code: int
    said: bytes


async def run(
    wire: Wire,
    command: Sequence[str],
    folder: Path,
    watch: Watch,
    check: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a program on the line until it ends.

    Args:
        wire: the line.
        command: the program and its arguments.
        folder: in which it works.
        watch: what the other side may do.
        check: called for every piece from the other side; raises to end the transfer.

    Raises:
        MissingError: `no-lrzsz`.
        UnreachableError: `transfer-silent`.
        HungUpError: see `Wire`.
        InterruptedByUserError: `interrupted`.
        RefusedError: `transfer-cancelled`, `transfer-too-large`, or what `check` raises.
    """
    process = await _start(command, folder)
    try:
        async with asyncio.timeout(watch.limits.total):
            ended = await _pump(wire, process, watch, check)
    except HungUpError:
        raise
    except TimeoutError as error:
        _kill(process)
        await calm(wire, stop=True)
        message = "the other side is silent, or far too slow"
        hint = "start the transfer in the terminal program, or send by `armour`"
        raise UnreachableError("transfer-silent", message, hint=hint) from error
    except ChopmarkError:
        _kill(process)
        await calm(wire, stop=True)
        raise
    finally:
        await _end(process)
    await calm(wire, stop=ended.code != 0)
    return ended


async def calm(wire: Wire, *, stop: bool) -> None:
    """Read the line until it is quiet; `stop` tells the other side that all is over.

    It is told twice: programs of the other side may drop what came while they turned round.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE):
            for _ in range(2 if stop else 0):
                await wire.write(STOP)
                await _drain(wire, QUIET)
            await _drain(wire, QUIET / 4)


async def _drain(wire: Wire, quiet: float) -> None:
    """Read until nothing comes for so many seconds."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(quiet):
                await wire.read()


async def _start(command: Sequence[str], folder: Path) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=folder, env=ENVIRONMENT, limit=PIECE
        )
    except FileNotFoundError as error:
        hint = "send by `armour`, or install lrzsz"
        raise MissingError("no-lrzsz", f"{command[0]} is not installed", hint=hint) from error


async def _pump(wire: Wire, process: Process, watch: Watch, check: Callable[[], None]) -> Ended:
    inward = asyncio.create_task(_take(wire, process, watch, check), name="transfer-in")
    outward = asyncio.create_task(_give(wire, process, watch), name="transfer-out")
    said = asyncio.create_task(_listen(process), name="transfer-said")
    try:
        done, _ = await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            await one
        return Ended(await process.wait(), await said)
    finally:
        inward.cancel(), outward.cancel(), said.cancel()
        await asyncio.gather(inward, outward, said, return_exceptions=True)


async def _take(wire: Wire, process: Process, watch: Watch, check: Callable[[], None]) -> None:
    """From the line to the program, for ever."""
    while True:
        data = await _next(wire, watch)
        check()
        if process.stdin is None:
            raise RuntimeError("started without a pipe")
        if process.stdin.is_closing():
            continue  # it reads no more; asyncio would log each piece that is written
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(data)
            await process.stdin.drain()


async def _next(wire: Wire, watch: Watch) -> bytes:
    clock = asyncio.get_running_loop().time
    start = clock()
    async with asyncio.timeout(watch.patience):
        data = await wire.read()
    watch.feed(data, clock() - start)
    return data


async def _give(wire: Wire, process: Process, watch: Watch) -> None:
    """From the program to the line, until it ends."""
    while process.stdout is not None and (data := await process.stdout.read(PIECE)):
        await wire.write(data)
        if not watch.sending and GOODBYE in data:
            asyncio.get_running_loop().call_later(QUIET, _say_over, process)


def _say_over(process: Process) -> None:
    """In place of the other side, which may have dropped it when it closed its port."""
    if process.returncode is None and process.stdin is not None:
        process.stdin.write(OVER)


async def _listen(process: Process) -> bytes:
    said = b""
    while process.stderr is not None and (data := await process.stderr.read(PIECE)):
        said = (said + data)[:_SAID]
    return said


async def _end(process: Process) -> None:
    _kill(process)
    await process.communicate(b"")  # closes the pipes, too
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.wait_closed()  # else asyncio logs that nobody asked why it broke


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()

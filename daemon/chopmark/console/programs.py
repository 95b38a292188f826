"""Programs of this machine that the console asks: each has a deadline, and a bound on what it says.

None of them has a network where the console has none: see `reaching`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.errors import MissingError, TryAgainError

MAX_OUTPUT: Final = 4 * 1024 * 1024
CHOPMARK: Final = (sys.executable, "-m", "chopmark.cli.main")
_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Said:
    """What a program has said: exit code, standard output, standard error."""

    code: int
    output: str
    errors: str


async def run(command: Sequence[str], seconds: float, limit: int = MAX_OUTPUT) -> Said:
    """Run a program to its end; whatever it started ends with it.

    Raises:
        MissingError: `no-such-program`.
        TryAgainError: `program-late`: it was ended at its deadline.
    """
    async with started(command) as process:
        try:
            async with asyncio.timeout(seconds):
                output, errors = await asyncio.gather(
                    _read(process.stdout, limit), _read(process.stderr, _CHUNK)
                )
                code = await process.wait()
        except TimeoutError as error:
            message = f"{Path(command[0]).name} has not ended within {seconds:g} s"
            raise TryAgainError("program-late", message, hint="try again later") from error
    return Said(code, output, errors)


@asynccontextmanager
async def started(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs while the block does, in a group of processes of its own.

    Raises:
        MissingError: `no-such-program`.
    """
    pipe = asyncio.subprocess.PIPE
    environment = os.environ | {"LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        message = f"cannot run {Path(command[0]).name}: {error.strerror}"
        raise MissingError("no-such-program", message, hint="is it installed?") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - unread pipes


async def _read(stream: asyncio.StreamReader | None, limit: int) -> str:
    """All that comes, of which the end is kept."""
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        kept += chunk
        del kept[:-limit]
    return kept.decode("utf-8", "replace")

"""What a program of ours says while it works: lines of JSON, on either of its streams."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from chopmark.core.errors import InternalError

MAX_LINE: Final = 1024 * 1024
_ENDS: Final = (0, 10)
"""Exit codes of `chopmark doctor` and `chopmark fsck`: nothing is wrong, or something is."""
_WAITING: Final = 100
"""Lines that wait before the program is held up."""

Lines = AsyncGenerator[Mapping[str, Any] | None, None]


async def listen(process: asyncio.subprocess.Process, seconds: float) -> Lines:
    """The objects that it says; None, and an end, if it says nothing for so many seconds.

    Raises:
        InternalError: `doctor-failed`: its last words, where these are none; or it was killed, so
            that silence is not taken for a good end.
    """
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=_WAITING)
    streams = (process.stdout, process.stderr)
    reading = [asyncio.create_task(_pass_on(stream, queue)) for stream in streams]
    try:
        line: Mapping[str, Any] | None = {}
        async for line in _heard(queue, seconds, len(streams)):
            yield line
        if line is not None and (code := await process.wait()) not in _ENDS:
            message = f"what looks has ended with {code}, before it had said all"
            raise InternalError("doctor-failed", message, hint="`show log` may say more")
    finally:
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _heard(queue: asyncio.Queue[bytes], seconds: float, open_streams: int) -> Lines:
    """Until all streams have ended; what is no JSON is the program's last words."""
    words: list[str] = []
    while open_streams:
        try:
            async with asyncio.timeout(seconds):
                line = await queue.get()
        except TimeoutError:
            yield None
            return
        open_streams -= not line
        try:
            value = json.loads(line or b"null")
        except (ValueError, RecursionError):
            words = [*words[-9:], line.decode("utf-8", "replace").strip()[:500]]
            continue
        if isinstance(value, dict):
            words.clear()
            yield value
    if words:
        message = " ".join(words[-5:]).removeprefix("chopmark: ")
        raise InternalError("doctor-failed", message, hint="`show log` may say more")


async def _pass_on(stream: asyncio.StreamReader | None, queue: asyncio.Queue[bytes]) -> None:
    assert stream is not None  # noqa: S101 - it was asked for
    rest = b""
    while data := await stream.read(65_536):
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[:MAX_LINE]
        for line in filter(None, lines):
            await queue.put(line)
    await queue.put(b"")

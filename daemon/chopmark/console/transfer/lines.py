"""Files as armoured lines on the line: written out for a log, and taken in as they are pasted."""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Final

from chopmark.console.desk import InterruptedByUserError, Wire
from chopmark.console.transfer.bridge import CTRL_C, calm
from chopmark.core.armour import MAX_LINE, Armoured, ArmourReader, encode_numbers
from chopmark.core.errors import (
    ChopmarkError,
    MalformedError,
    RefusedError,
    TryAgainError,
    UnreachableError,
)

SILENCE: Final = 120
"""Seconds without a byte after which pasting is given up: a person looks for a file meanwhile."""
LONGEST: Final = 3600
"""Seconds for all of it, however it trickles: a megabyte at 9600 baud takes 25 minutes."""
PROGRESS: Final = 16
"""Blocks after which one dot shows that something comes."""
_ENDS: Final = re.compile(rb"[\r\n]+")
_EOT: Final = b"\x04"
_PIECE: Final = 1024


async def write_lines(wire: Wire, lines: Iterable[str]) -> None:
    """Write lines with CR LF, at the line's pace; Ctrl-C ends it.

    Raises:
        InterruptedByUserError: `interrupted`.
        HungUpError: see `Wire`.
    """
    writing = asyncio.create_task(_write(wire, lines), name="armour-out")
    listening = asyncio.create_task(_until_interrupted(wire), name="armour-listen")
    try:
        done, _ = await asyncio.wait((writing, listening), return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in (writing, listening):
            one.cancel()
        await asyncio.gather(writing, listening, return_exceptions=True)


async def _write(wire: Wire, lines: Iterable[str]) -> None:
    piece = b""
    for line in lines:
        piece += line.encode() + b"\r\n"
        if len(piece) > _PIECE:
            await wire.write(piece)
            piece = b""
    if piece:
        await wire.write(piece)


async def _until_interrupted(wire: Wire) -> None:
    while CTRL_C not in await wire.read():
        pass
    raise InterruptedByUserError("interrupted", "interrupted")


async def read_lines(
    wire: Wire,
    limit: int,
    ask_again: Callable[[str], str],
    *,
    silence: float = SILENCE,
    longest: float = LONGEST,
) -> Armoured:
    """Take a file that is pasted, without echo; blocks that are missing at END are asked for.

    Args:
        wire: the line.
        limit: bytes that the file may have.
        ask_again: what to say when the blocks of these numbers are missing.
        silence: seconds without a byte until it is given up.
        longest: seconds in all until it is given up.

    Raises:
        InterruptedByUserError: `interrupted`, by Ctrl-C.
        MalformedError: `armour-incomplete` after Ctrl-D, `no-armour`.
        RefusedError: `file-too-large`.
        UnreachableError: `transfer-silent`; TryAgainError: `transfer-late`.
        HungUpError: see `Wire`.
    """
    try:
        async with asyncio.timeout(longest):
            return await _take(wire, limit, ask_again, silence)
    except TimeoutError as error:
        message = f"the whole file has not come within {longest:.0f} seconds"
        hint = "begin again; a faster speed, or ZMODEM, takes less time"
        raise TryAgainError("transfer-late", message, hint=hint) from error


async def _take(
    wire: Wire, limit: int, ask_again: Callable[[str], str], silence: float
) -> Armoured:
    reader, rest, dots = ArmourReader(limit), b"", 0
    while True:
        data = await _read(wire, silence)
        *lines, rest = _ENDS.split((rest + data)[: len(data) + MAX_LINE])
        for line in lines:
            reader.feed(line.decode("ascii", "replace"))
        await _check(wire, reader, data)
        found = reader.current
        if found and reader.ended and not found.missing():
            await calm(wire, stop=False)
            return found
        if found and reader.ended:
            reader.ended = False
            await wire.write(ask_again(encode_numbers(found.missing())).encode() + b"\r\n")
        dots = await _show_dots(wire, reader, dots)


async def _read(wire: Wire, silence: float) -> bytes:
    try:
        async with asyncio.timeout(silence):
            return await wire.read()
    except TimeoutError as error:
        message = f"nothing came for {silence:.0f} seconds"
        hint = "begin again, and paste the whole file with its BEGIN and END"
        raise UnreachableError("transfer-silent", message, hint=hint) from error


async def _check(wire: Wire, reader: ArmourReader, data: bytes) -> None:
    """Raise for what ends the pasting, after what is still being pasted has run out."""
    try:
        _find_end(reader, data)
    except ChopmarkError:
        await calm(wire, stop=False)
        raise


def _find_end(reader: ArmourReader, data: bytes) -> None:
    if CTRL_C in data:
        raise InterruptedByUserError("interrupted", "interrupted")
    if reader.refused:
        raise RefusedError("file-too-large", reader.refused, hint="send a smaller file")
    if _EOT not in data:
        return
    if reader.current is not None:
        reader.current.data()
    hint = "paste the lines from BEGIN to END that `chopmark console armour FILE` prints"
    raise MalformedError("no-armour", "no armoured file came", hint=hint)


async def _show_dots(wire: Wire, reader: ArmourReader, shown: int) -> int:
    have = len(reader.current.parts) // PROGRESS if reader.current else 0
    if have > shown:
        await wire.write(b"." * (have - shown))
    return max(have, shown)

"""One file out to the person at a desk, or one in: what other commands need of transfers."""

from collections.abc import Iterable
from typing import Final

from chopmark.console.desk import Desk
from chopmark.console.transfer import zmodem
from chopmark.console.transfer.codes import make_code
from chopmark.console.transfer.folder import MAX_FILE
from chopmark.console.transfer.lines import read_lines, write_lines
from chopmark.console.words import t
from chopmark.core.armour import armour
from chopmark.core.errors import RefusedError, UsageError
from chopmark.core.filename import plain_name

OUT: Final = ("zmodem", "armour", "qr")
IN: Final = ("zmodem", "armour")
_ROWS: Final = 23
"""Lines of a code that a terminal of 24 shows together with the prompt."""


async def send_file(
    desk: Desk, name: str, data: bytes, *, way: str = "", only: Iterable[int] | None = None
) -> None:
    """Hand a file to the person; returns once the other side has it, as far as that can be known.

    Args:
        desk: the person.
        name: what to call the file; it is made plain.
        data: the file, at most `MAX_FILE` bytes.
        way: `zmodem`, `armour` or `qr`; the person is asked if none is given.
        only: numbers of armoured blocks to send again.

    Raises:
        UsageError: `no-such-way`.
        RefusedError: `file-too-large`, `transfer-skipped`, `too-large-for-qr` and such.
        ChopmarkError: as `zmodem.send` and `lines.write_lines`: Ctrl-C, hung up, silent.
    """
    name = plain_name(name)
    if len(data) > MAX_FILE:
        raise RefusedError("file-too-large", f"{name} has more than {MAX_FILE} bytes")
    chosen = way or await _ask_way(desk, OUT)
    if chosen == "zmodem":
        await _send_zmodem(desk, name, data)
    elif chosen == "armour":
        await _send_armour(desk, name, data, only)
    elif chosen == "qr":
        await _send_code(desk, name, data)
    else:
        raise _no_way(chosen, OUT)


async def receive_file(desk: Desk, name: str, *, way: str = "", limit: int = MAX_FILE) -> bytes:
    """Take one file from the person; nothing is written to the folder of files.

    Args:
        desk: the person.
        name: what the file is, as the person is told.
        way: `zmodem` or `armour`; the person is asked if none is given.
        limit: bytes that it may have.

    Raises as `receive_files`; `too-many-files` for more than one.
    """
    found = await receive_files(desk, name, way=way, limit=limit)
    if len(found) > 1:
        message = f"{len(found)} files came in place of one"
        raise RefusedError("too-many-files", message, hint="send one file")
    return found[0][1]


async def receive_files(
    desk: Desk, name: str = "", *, way: str = "", limit: int = MAX_FILE
) -> list[tuple[str, bytes]]:
    """Take files from the person, with plain names; by `armour` it is one.

    Raises:
        UsageError: `no-such-way`.
        ChopmarkError: as `zmodem.receive` and `lines.read_lines`.
    """
    chosen = way or await _ask_way(desk, IN)
    if chosen == "zmodem":
        await desk.say(t(desk.language, "transfer.send-now", name=name or "FILE"))
        async with desk.raw() as wire:
            found = await zmodem.receive(wire, limit)
        await desk.say()  # the row has what a terminal shows of the beginning
        return found
    if chosen == "armour":
        return [await _receive_armour(desk, name, limit)]
    raise _no_way(chosen, IN)


async def _send_zmodem(desk: Desk, name: str, data: bytes) -> None:
    await desk.say(t(desk.language, "transfer.receive-now", name=name, size=len(data)))
    async with desk.raw() as wire:
        await zmodem.send(wire, name, data)
    await desk.say()


async def _send_armour(desk: Desk, name: str, data: bytes, only: Iterable[int] | None) -> None:
    lines = armour(name, data, only)
    await desk.say(t(desk.language, "transfer.capture-now", name=name))
    async with desk.raw() as wire:
        await write_lines(wire, lines)
    await desk.say(t(desk.language, "transfer.captured", name=name))


async def _send_code(desk: Desk, name: str, data: bytes) -> None:
    """Past the pager, which would break the code in two."""
    code = make_code(name, data, desk.width, plain=desk.plain)
    if len(code.lines) > _ROWS:
        rows = len(code.lines) + 1
        await desk.say(t(desk.language, "transfer.tall-code", rows=rows))
        await desk.ask(t(desk.language, "transfer.press-enter"))
    async with desk.raw() as wire:
        await write_lines(wire, code.lines)


async def _receive_armour(desk: Desk, name: str, limit: int) -> tuple[str, bytes]:
    def again(numbers: str) -> str:
        return t("en" if desk.plain else desk.language, "transfer.paste-again", numbers=numbers)

    await desk.say(t(desk.language, "transfer.paste-now", name=name or "FILE"))
    async with desk.raw() as wire:
        found = await read_lines(wire, limit, again)
    return found.header.name, found.data()


async def _ask_way(desk: Desk, ways: tuple[str, ...]) -> str:
    prompt = t(desk.language, "transfer.which-way", ways="/".join(ways))
    answer = (await desk.ask(prompt, default=ways[0])).strip().lower()
    fitting = [one for one in ways if answer and one.startswith(answer)]
    if len(fitting) != 1:
        raise _no_way(answer, ways)
    return fitting[0]


def _no_way(given: str, ways: tuple[str, ...]) -> UsageError:
    return UsageError("no-such-way", f"not a way: {given[:32]!r}", hint=f"one of {', '.join(ways)}")

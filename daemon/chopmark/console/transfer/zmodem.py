"""Files by ZMODEM: `sz` and `rz` of lrzsz on the line, each in an empty folder of its own."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chopmark.client.files import read_bounded
from chopmark.console.desk import Wire
from chopmark.console.transfer.bridge import Ended, Limits, Watch, run
from chopmark.core.errors import RefusedError
from chopmark.core.filename import plain_name

MAX_FILES: Final = 16
"""Files that one transfer may bring."""
BEGIN: Final = 60
"""Seconds until the other side must have begun: a person looks for a menu meanwhile."""
SILENCE: Final = 30
"""Seconds without a byte from the other side, later."""
SLOWEST: Final = 500
"""Bytes a second below which a transfer is given up: half of 9,600 baud."""
SLOW: Final = 5_000
"""The same of an update: half of 115,200 baud, at which it takes five hours."""
_ANSWERS: Final = 2**20
"""Bytes that the other side may say while a file goes out."""
SEND: Final = (
    "sz",
    "--quiet",
    "--binary",
    "--restricted",  # runs no commands for the other side
    "--protect",  # nothing is overwritten over there
    # At most 8 KiB are on their way, whatever buffers are in between: what went wrong is sent again
    # at once, and an answer to each 2 KiB shows that the other side is alive.
    "--windowsize=8192",
    "--packetlen=1024",
    "--",
)
RECEIVE: Final = (
    "rz",
    "--quiet",
    "--zmodem",
    "--binary",
    "--protect",
    "--restricted",  # no folders, no names with a leading dot, no commands
    "--keep-uppercase",
)

RESUME: Final = (*(one for one in RECEIVE if one != "--protect"), "--resume")
"""A file that is there is gone on with: crash recovery is the receiver's to ask for."""


async def send(
    wire: Wire, name: str, data: bytes, *, begin: float = BEGIN, silence: float = SILENCE
) -> None:
    """Send a file under its plain name.

    Args:
        wire: the line.
        name: a plain name.
        data: the file.
        begin: seconds until the other side must have begun.
        silence: seconds without a byte from it, later.

    Raises:
        RefusedError: `transfer-skipped`, `transfer-failed`, and as `bridge.run`.
        ChopmarkError: as `bridge.run`.
    """
    limits = Limits(_ANSWERS, _time(len(data)), begin, silence)
    with _folder() as folder:
        (folder / name).write_bytes(data)
        ended = await run(wire, (*SEND, name), folder, Watch(limits, sending=True))
    if b"skipped" in ended.said:
        hint = "your side has a file of this name: move it away, or receive into another folder"
        raise RefusedError("transfer-skipped", f"the other side did not take {name}", hint=hint)
    _check_code(ended)


async def receive(
    wire: Wire, limit: int, *, begin: float = BEGIN, silence: float = SILENCE
) -> list[tuple[str, bytes]]:
    """Receive files; names are made plain.

    Args:
        wire: the line.
        limit: bytes of all of them together.
        begin: seconds until the other side must have begun.
        silence: seconds without a byte from it, later.

    Raises:
        RefusedError: `transfer-too-large`, `too-many-files`, `transfer-nothing`, `transfer-failed`.
        ChopmarkError: as `bridge.run`.
    """
    # ZMODEM writes up to two bytes for one, and has no compression: what comes bounds the disk.
    limits = Limits(2 * limit + 65_536, _time(limit), begin, silence)
    with _folder() as folder:
        watch = Watch(limits, sending=False)
        ended = await run(wire, RECEIVE, folder, watch, lambda: _check_landed(folder, limit))
        _check_code(ended)
        found = _take(folder, limit)
    if not found:
        hint = "names with folders or a leading dot are not taken: send one plain file"
        raise RefusedError("transfer-nothing", "no file arrived", hint=hint)
    return found


async def receive_into(
    wire: Wire,
    folder: Path,
    limit: int,
    check: Callable[[], None],
    *,
    begin: float = BEGIN,
    silence: float = SILENCE,
) -> None:
    """Receive files into a folder, in which what broke off stays and is gone on with.

    Args:
        wire: the line.
        folder: of files; what comes has plain names there.
        limit: bytes of all that comes.
        check: called for every piece that comes; raises to end the transfer.
        begin: seconds until the other side must have begun.
        silence: seconds without a byte from it, later.

    Raises:
        RefusedError: `transfer-failed`, `transfer-too-large`.
        ChopmarkError: as `bridge.run`, and what `check` raises.
    """
    limits = Limits(2 * limit + 65_536, 300 + limit / SLOW, begin, silence)
    _check_code(await run(wire, RESUME, folder, Watch(limits, sending=False), check))


def _take(folder: Path, limit: int) -> list[tuple[str, bytes]]:
    _check_landed(folder, limit)
    files = sorted(one for one in folder.iterdir() if one.is_file() and not one.is_symlink())
    return [(plain_name(one.name), read_bounded(one, limit)) for one in files]


def _check_landed(folder: Path, limit: int) -> None:
    sizes = [one.lstat().st_size for one in folder.iterdir()]
    if len(sizes) > MAX_FILES:
        message = f"more than {MAX_FILES} files at once"
        raise RefusedError("too-many-files", message, hint="send fewer at a time")
    if sum(sizes) > limit:
        message = f"more came than is taken: {limit} bytes"
        raise RefusedError("transfer-too-large", message, hint="send a smaller file")


def _check_code(ended: Ended) -> None:
    if ended.code:
        message = f"the transfer has failed (lrzsz: {ended.code})"
        raise RefusedError("transfer-failed", message, hint="try again, or by `armour`")


def _time(size: int) -> float:
    return 300 + size / SLOWEST


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chopmark-transfer-") as name:
        yield Path(name)

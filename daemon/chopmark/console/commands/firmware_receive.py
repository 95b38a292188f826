"""`firmware receive`: an update over the console's own line, by ZMODEM, for a line that is quick.

Nothing of it is held in memory, and what broke off is gone on with: a part stays in `incoming`
under the name that the other side gives it. What has arrived whole lies above that, where root
finds it; root copies and checks it, as whatever comes without a person's hands.
"""

import asyncio
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Final

from chopmark.client.files import make_folder, sync_folder
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.place import find_folder
from chopmark.console.transfer import zmodem
from chopmark.console.words import t
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.service.config_model import Storage
from chopmark.service.storage import measure

MOST: Final = 512 << 20
"""Bytes: no bundle has more."""
USUAL: Final = 200 * 10**6
"""Bytes that an update has, for saying how long it takes."""
YIELD: Final = 0.09
"""Bytes that a line carries for each bit of its speed, with what ZMODEM adds."""
WHOLE: Final = {".raucb": "release.raucb", ".note": "release.note"}


def find_update() -> Path:
    """The folder of what has arrived."""
    return find_folder() / "firmware"


async def _receive(around: Surroundings, _: Mapping[str, str]) -> None:
    folder, desk = find_update(), around.desk
    incoming = folder / "incoming"
    make_folder(incoming, 0o700)
    await desk.say(_announce(around))
    before = _times(incoming)
    _check_room(folder)
    async with desk.raw() as wire:
        await zmodem.receive_into(wire, incoming, MOST, lambda: _check_room(folder))
    await desk.say()
    for path in _find_arrived(incoming, before):
        await _keep(around, path)
    if all((folder / name).exists() for name in WHOLE.values()):
        await desk.say(t(desk.language, "firmware.receive.done"))
    else:
        await desk.say(t(desk.language, "firmware.receive.half"))


def _announce(around: Surroundings) -> str:
    language, speed = around.desk.language, around.desk.speed
    if speed is None:
        return t(language, "firmware.receive.about", size=USUAL // 10**6)
    size = USUAL // 10**6
    minutes = round(USUAL / (speed * YIELD) / 60)
    values = {"speed": speed, "size": size, "hours": minutes // 60, "minutes": minutes % 60}
    about = t(language, "firmware.receive.about", size=size)
    return t(language, "firmware.receive.takes", **values) + "\n" + about


async def _keep(around: Surroundings, path: Path) -> None:
    digest, size = await asyncio.to_thread(_measure, path)
    about = {"file": path.name, "size": str(size), "sha256": digest}
    await around.recorder.record(around.who, "console.file-received", "done", **about)
    _move(path, find_update() / WHOLE[path.suffix])
    values = {"name": path.name, "size": f"{size:,}", "digest": digest}
    await around.desk.say(t(around.desk.language, "transfer.received", **values))


def _find_arrived(incoming: Path, before: Mapping[str, int]) -> list[Path]:
    """What is whole now and was not before; what can be no part of an update goes.

    Raises:
        RefusedError: `transfer-nothing`, `too-many-files`.
    """
    changed = [name for name, when in _times(incoming).items() if before.get(name) != when]
    arrived = [incoming / name for name in sorted(changed)]
    strange = [path for path in arrived if path.suffix not in WHOLE]
    for path in strange:
        path.unlink()
    if strange or not arrived:
        hint = "send the two files of the release: ….raucb and ….note, without a folder"
        raise RefusedError("transfer-nothing", "no part of an update has arrived", hint=hint)
    if len({path.suffix for path in arrived}) < len(arrived):
        for path in arrived:
            path.unlink()
        hint = "send one note and one bundle"
        raise RefusedError("too-many-files", "more than one release has arrived", hint=hint)
    return arrived


def _move(path: Path, target: Path) -> None:
    """One that is whole; parts of other releases, which nobody wants any more, go."""
    path.replace(target)
    sync_folder(target.parent)
    for other in path.parent.glob(f"*{path.suffix}"):
        other.unlink()


def _measure(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest(), file.tell()


def _times(folder: Path) -> dict[str, int]:
    """When each file was last changed; the other side cannot say that."""
    return {one.name: one.lstat().st_ctime_ns for one in folder.iterdir() if one.is_file()}


def _check_room(folder: Path) -> None:
    """The disk stays below its alarm, also once root has its copy.

    Raises:
        RefusedError: `transfer-too-large`.
        TryAgainError: `firmware-no-room`.
    """
    size = sum(one.lstat().st_size for one in folder.rglob("*") if one.is_file())
    if size > 2 * MOST:
        raise RefusedError("transfer-too-large", "more came than an update has", hint="send one")
    disk = measure(folder)
    if disk.used + size > Storage().alarm * disk.total:
        hint = "make room (`show disk`); or bring it on a USB stick"
        message = "no room for the update: with root's copy the disk would be over its alarm"
        raise TryAgainError("firmware-no-room", message, hint=hint)


COMMANDS: Final = (
    Command(("firmware", "receive"), "help.firmware.receive", Role.SERVICE, _receive, changes=True),
)

"""`transfer`: the console's folder of files, and files out of it and into it."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.place import find_files
from chopmark.console.transfer.files import IN, OUT, receive_files, send_file
from chopmark.console.transfer.folder import MAX_FILES, MAX_TOTAL, Folder
from chopmark.console.words import t
from chopmark.core.armour import parse_numbers


async def send(around: Surroundings, given: Mapping[str, str]) -> None:
    """Send a file of the folder."""
    name, way, blocks = given["FILE"], given.get("WAY", ""), given.get("BLOCKS", "")
    data = Folder(find_files()).read(name)
    only = parse_numbers(blocks) if blocks else None
    await send_file(around.desk, name, data, way="armour" if blocks and not way else way, only=only)
    await _note(around, "console.file-sent", name, data)
    await around.desk.say(_summary(around, "transfer.sent", name, data))


async def receive(around: Surroundings, given: Mapping[str, str]) -> None:
    """Receive files into the folder: as many as there is room for, each whole or not at all."""
    folder = Folder(find_files())
    folder.check_room("", 0)
    for name, data in await receive_files(around.desk, way=given.get("WAY", "")):
        folder.add(name, data)
        await _note(around, "console.file-received", name, data)
        await around.desk.say(_summary(around, "transfer.received", name, data))


async def show(around: Surroundings, _given: Mapping[str, str]) -> None:
    """List the files of the folder."""
    sizes, language = Folder(find_files()).sizes(), around.desk.language
    lines = [f"{size:>12,}  {name}" for name, size in sizes.items()]
    total = sum(sizes.values())
    lines.append(
        t(
            language,
            "transfer.total",
            count=len(sizes),
            most=MAX_FILES,
            total=f"{total:,}",
            room=f"{MAX_TOTAL:,}",
        )
    )
    await around.desk.say("\n".join(lines))


async def remove(around: Surroundings, given: Mapping[str, str]) -> None:
    """Remove a file of the folder."""
    Folder(find_files()).remove(given["FILE"])
    await around.recorder.record(around.who, "console.file-removed", "done", file=given["FILE"])
    await around.desk.say(t(around.desk.language, "transfer.removed", name=given["FILE"]))


async def _note(around: Surroundings, action: str, name: str, data: bytes) -> None:
    about = {"file": name, "size": str(len(data)), "sha256": sha256(data).hexdigest()}
    await around.recorder.record(around.who, action, "done", **about)


def _summary(around: Surroundings, key: str, name: str, data: bytes) -> str:
    digest = sha256(data).hexdigest()
    return t(around.desk.language, key, name=name, size=f"{len(data):,}", digest=digest)


_FILE: Final = Argument("FILE", "transfer.help.file")
COMMANDS: Final = (
    Command(
        ("transfer", "send"),
        "transfer.help.send",
        Role.SERVICE,
        send,
        (
            _FILE,
            Argument("WAY", "transfer.help.way", OUT, optional=True),
            Argument("BLOCKS", "transfer.help.blocks", optional=True),
        ),
    ),
    Command(
        ("transfer", "receive"),
        "transfer.help.receive",
        Role.SERVICE,
        receive,
        (Argument("WAY", "transfer.help.way", IN, optional=True),),
        changes=True,
    ),
    Command(("transfer", "list"), "transfer.help.list", Role.OBSERVE, show),
    Command(
        ("transfer", "remove"),
        "transfer.help.remove",
        Role.SERVICE,
        remove,
        (_FILE,),
        changes=True,
    ),
)

"""`chopmark console armour` and `unarmour`: files over a console's line as lines of text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_json
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.core.armour import Armoured, ArmourReader

LARGEST: Final = 64 * 2**20
"""Bytes of all files in the logs of one call."""
_LOG: Final = 256 * 2**20


def armour(file: Path, /, *, blocks: str | None = None, options: Given) -> int:
    """Print a file as lines of text, to be pasted into a console: there `transfer receive armour`.

    Args:
        file: The file.
        blocks: Print these blocks only, such as 17,20-22.
    """
    from chopmark.client.files import read_bounded
    from chopmark.core.armour import armour as make
    from chopmark.core.armour import parse_numbers
    from chopmark.core.filename import plain_name

    data = read_bounded(file, LARGEST)
    if len(data) > LARGEST:
        raise RefusedError("file-too-large", f"{file} has more than {LARGEST} bytes")
    lines = list(make(plain_name(file.name), data, parse_numbers(blocks) if blocks else None))
    if options.json:
        say_json({"file": str(file), "lines": lines})
        return 0
    for line in lines:
        say(line)
    return 0


def unarmour(
    *logs: Path, output: Annotated[Path | None, Parameter(alias="-o")] = None, options: Given
) -> int:
    """Take a file out of what a terminal program logged of `transfer send FILE armour`.

    The log may hold anything else before, behind and between. Blocks that are missing or damaged
    are named: have them sent again, and give the new log as well (or log into the same file).

    Args:
        logs: The logs, in any order.
        output: Write the file here; by default under its own name in the current folder.
    """
    from chopmark.client.files import check_creatable, write_new

    found = _only(_read(logs))
    target = output or Path(found.header.name)
    check_creatable(target)
    data = _whole(found)
    write_new(target, data)
    fields = {"file": str(target), "size": len(data), "sha256": found.header.digest.hex()}
    if options.json:
        say_json(fields)
    else:
        say(clean(target), f"  {len(data):,} bytes, SHA-256 {fields['sha256']}")
    return 0


def _read(logs: tuple[Path, ...]) -> "ArmourReader":
    """Logs are read line by line; one that never ends a line is read in pieces."""
    from chopmark.client.files import explain_read_error
    from chopmark.core.armour import MAX_LINE, ArmourReader

    reader, left = ArmourReader(LARGEST), _LOG
    for log in logs:
        try:
            with log.open("r", encoding="ascii", errors="replace") as file:
                while left > 0 and (line := file.readline(2 * MAX_LINE)):
                    left -= len(line)
                    reader.feed(line)
        except OSError as error:
            raise explain_read_error(log, error) from error
    return reader


def _only(reader: "ArmourReader") -> "Armoured":
    """The one file of the logs."""
    if reader.refused:
        raise RefusedError("file-too-large", reader.refused)
    if not reader.files:
        hint = "log from before `transfer send FILE armour` on; BEGIN and the four lines are needed"
        raise MalformedError("no-armour", "no armoured file is in there", hint=hint)
    *others, last = reader.files.values()
    if others:
        names = ", ".join(one.header.name for one in reader.files.values())
        hint = "put each into a log of its own"
        raise MalformedError("several-files", f"several files are in there: {names}", hint=hint)
    return last


def _whole(found: "Armoured") -> bytes:
    from chopmark.core.armour import encode_numbers

    try:
        return found.data()
    except MalformedError as error:
        numbers = encode_numbers(found.missing())
        hint = f"at the console: transfer send {found.header.name} armour {numbers}"
        raise MalformedError(error.code, error.message, hint=hint) from error

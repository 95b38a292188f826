"""Changing a few values of a configuration file's text: its comments and all else stay as they are.

Rules:
1. A value on a line of its own is replaced on that line; what the table lacks is put behind the
   last value of it.
2. A `[[broker]]` that goes is taken out with what belongs to it; one that comes is put behind the
   last one. Comments in front of a table belong to that table and stay, whatever goes.
3. The new text must parse to exactly what was wanted, or nothing is changed: a file that is written
   in another way (inline tables, values of several lines) is refused, never spoiled.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from chopmark.core.errors import ConfigurationError
from chopmark.service.config import parse_config
from chopmark.service.config_model import Broker, Config, Firmware
from chopmark.service.config_text import render_broker, render_firmware, render_value

_HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.\"-]+)\s*\]\]?\s*(#.*)?")
_VALUE: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_HINT: Final = "change it with an editor on the box; `chopmark config check` tells whether it holds"


def set_names(text: str, names: Mapping[str, str]) -> str:
    """Change keys of `[gateway]` whose values are texts, such as `institution`.

    Raises:
        ConfigurationError: as `parse_config`, of the result; `config-shape` (rule 3).
    """
    config = parse_config(text.encode())
    gateway = msgspec.structs.replace(config.gateway, **names)
    lines = text.split("\n")
    for key, value in names.items():
        lines = _set_value(lines, "gateway", f"{key} = {render_value(value)}")
    return _checked(lines, msgspec.structs.replace(config, gateway=gateway))


def set_brokers(text: str, brokers: Sequence[Broker]) -> str:
    """Have exactly these brokers; those that are there already keep text and comments.

    Raises:
        ConfigurationError: as `set_names`.
    """
    config = parse_config(text.encode())
    lines = text.split("\n")
    blocks = _find_blocks(lines, "broker")
    if len(blocks) != len(config.broker):
        raise _shape("the brokers are not written as [[broker]] blocks")
    written = dict(zip(config.broker, blocks, strict=True))
    new = [one for one in brokers if one not in written]
    added = [line for one in new for line in ("", *render_broker(one).rstrip().split("\n"))]
    at = blocks[-1][1]
    lines[at:at] = added
    for broker, (first, last) in reversed(written.items()):
        if broker not in brokers:
            del lines[first:last]
    kept = [one for one in config.broker if one in brokers]
    return _checked(lines, msgspec.structs.replace(config, broker=(*kept, *new)))


def set_firmware(text: str, firmware: Firmware | None) -> str:
    """Have this source of releases, or none; its table goes to the end of the file.

    Raises:
        ConfigurationError: as `set_names`.
    """
    config = parse_config(text.encode())
    lines = text.rstrip().split("\n")
    for first, last in reversed(_find_blocks(lines, "firmware")):
        del lines[first:last]
    if firmware is not None:
        lines += ["", *render_firmware(firmware).split("\n")]
    return _checked(lines, msgspec.structs.replace(config, firmware=firmware))


def _checked(lines: Sequence[str], wanted: Config) -> str:
    text = "\n".join(lines)
    if parse_config(text.encode()) != wanted:
        raise _shape("the file is not written in a way that can be changed here")
    return text


def _set_value(lines: list[str], table: str, line: str) -> list[str]:
    """Rule 1."""
    first, last = next(iter(_find_blocks(lines, table)), (0, 0))
    if first == last:
        raise _shape(f"there is no [{table}] on a line of its own")
    key = line.partition(" ")[0]
    for at in range(first + 1, last):
        found = _VALUE.match(lines[at])
        if found and found[1] == key:
            return [*lines[:at], line, *lines[at + 1 :]]
    return [*lines[:last], line, *lines[last:]]


def _find_blocks(lines: Sequence[str], table: str) -> list[tuple[int, int]]:
    """First line, and the line behind the last one, of each block of a table and those below it."""
    headers = [(at, found[1]) for at, one in enumerate(lines) if (found := _HEADER.fullmatch(one))]
    ends = [*(at for at, _ in headers[1:]), len(lines)]
    blocks: list[tuple[int, int]] = []
    for (at, name), end in zip(headers, ends, strict=True):
        last = _last_value(lines, at, end)
        if name == table:
            blocks.append((at, last))
        elif blocks and name.startswith(f"{table}."):
            blocks[-1] = (blocks[-1][0], last)
    return blocks


def _last_value(lines: Sequence[str], first: int, end: int) -> int:
    """The line behind the last one that is neither empty nor a comment (rule 2)."""
    while end > first + 1 and (not (line := lines[end - 1].strip()) or line.startswith("#")):
        end -= 1
    return end


def _shape(message: str) -> ConfigurationError:
    return ConfigurationError("config-shape", message, hint=_HINT)

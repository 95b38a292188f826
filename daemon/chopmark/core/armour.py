"""Files as lines of text, for terminals without a transfer protocol (docs/formats/armour.md).

A file becomes numbered blocks. Each has a check of its own, so that a block that was lost or
damaged on the way is known by its number and can be sent again. The reader takes lines as they
come out of a terminal's log: whatever is between them is passed over.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.filename import PLAIN_NAME
from chopmark.core.text import encode_base64, parse_base64, parse_decimal

BEGIN: Final = "-----BEGIN CHOPMARK FILE-----"
END: Final = "-----END CHOPMARK FILE-----"
LINE: Final = 57
"""Bytes of the file in one line: 76 characters, so that no terminal of 80 columns breaks it."""
BLOCK: Final = 16 * LINE
"""Bytes of the file in one block: with its first line it fits on a screen."""
MAX_LINE: Final = 1024
"""Characters of a line that may be one of ours, with whatever a terminal's log puts before it."""
MAX_FILES: Final = 64
"""Files in one log."""

_FIELD: Final = re.compile(r"(?:^|\s)(name|size|sha256|check) (\S{1,64})$", re.ASCII)
_BLOCK: Final = re.compile(r"(?:^|\s)block ([1-9][0-9]{0,8}) ([0-9a-f]{8})$", re.ASCII)
_DATA: Final = re.compile(r"(?:^|\s)([A-Za-z0-9+/]{2,76}={0,2})$", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Header:
    """What is said of a file before its blocks.

    Attributes:
        name: a plain name.
        size: in bytes.
        digest: SHA-256 of the file.
    """

    name: str
    size: int
    digest: bytes

    @property
    def blocks(self) -> int:
        """How many blocks there are; they are numbered from 1."""
        return -(-self.size // BLOCK)

    def lines(self) -> tuple[str, ...]:
        """The lines after BEGIN."""
        said = (f"name {self.name}", f"size {self.size}", f"sha256 {self.digest.hex()}")
        return *said, f"check {_check_header(said)}"

    def length(self, number: int) -> int:
        """Bytes of a block."""
        return min(BLOCK, self.size - (number - 1) * BLOCK)


@dataclass(slots=True)
class Armoured:
    """A file as far as its blocks have come.

    Attributes:
        header: what was said of it.
        parts: its blocks, by number.
    """

    header: Header
    parts: dict[int, bytes] = field(default_factory=dict)

    def missing(self) -> list[int]:
        """Numbers of the blocks that have not come whole."""
        return [one for one in range(1, self.header.blocks + 1) if one not in self.parts]

    def data(self) -> bytes:
        """The file.

        Raises:
            MalformedError: `armour-incomplete`, with the numbers of the blocks that are missing.
            RefusedError: `armour-damaged`: all blocks fit, but not the SHA-256 of the file.
        """
        missing, header = self.missing(), self.header
        if missing:
            numbers = encode_numbers(missing)
            message = (
                f"of {header.blocks} blocks of {header.name} are missing or damaged: {numbers}"
            )
            raise MalformedError("armour-incomplete", message, hint="have these sent again")
        data = b"".join(self.parts[number] for number in range(1, header.blocks + 1))
        if sha256(data).digest() != header.digest:
            message = f"{header.name} is not what its SHA-256 says"
            raise RefusedError("armour-damaged", message, hint="have the whole file sent again")
        return data


def armour(name: str, data: bytes, only: Iterable[int] | None = None) -> Iterator[str]:
    """The lines of a file, without their ends.

    Args:
        name: a plain name.
        data: the file.
        only: numbers of the blocks to give; all by default.

    Raises:
        RefusedError: `no-such-block`.
    """
    header = Header(name, len(data), sha256(data).digest())
    numbers = range(1, header.blocks + 1) if only is None else tuple(only)
    for number in numbers:
        _check_number(number, header)
    return _lines(header, data, numbers)


def _lines(header: Header, data: bytes, numbers: Iterable[int]) -> Iterator[str]:
    yield BEGIN
    yield from header.lines()
    for number in numbers:
        part = data[(number - 1) * BLOCK : number * BLOCK]
        yield f"block {number} {_check_block(header, number, part)}"
        for start in range(0, len(part), LINE):
            yield encode_base64(part[start : start + LINE])
    yield END


@dataclass(slots=True)
class _Open:
    """A block whose lines are coming."""

    number: int
    check: str
    length: int
    data: bytearray = field(default_factory=bytearray)

    def takes(self, text: str) -> bool:
        """Whether a line has just the length of the next one of this block."""
        left = min(LINE, self.length - len(self.data))
        return len(text) == -(-left // 3) * 4


class ArmourReader:
    """Takes lines and gives files.

    Rules: BEGIN and four good lines begin a file, or go on with one of the same name, size and
    SHA-256. `block` begins a block. Then only lines of the very length that is due are data. A
    block whose check fails is left out. The reader never raises for what is in a line.

    Args:
        limit: bytes of all files together. A file that goes beyond is named in `refused`.

    Attributes:
        files: by their headers, in the order in which they began.
        current: the file that is being read.
        ended: END was the last of our lines.
        refused: why a file was not taken, if one was not.
    """

    def __init__(self, limit: int) -> None:
        self.files: dict[Header, Armoured] = {}
        self.current: Armoured | None = None
        self.ended = False
        self.refused = ""
        self._limit = limit
        self._said: list[str] | None = None
        self._open: _Open | None = None

    def feed(self, line: str) -> None:
        """Take one line, with or without its end."""
        line = line[: MAX_LINE + 2].strip()
        if len(line) > MAX_LINE:
            return
        if line.endswith(BEGIN):
            self.current, self._said, self._open, self.ended = None, [], None, False
        elif line.endswith(END):
            self._said, self._open, self.ended = None, None, True
        elif self._said is not None and (found := _FIELD.search(line)):
            self._take_field(self._said, found[1], found[2])
        elif found := _BLOCK.search(line):
            self._begin_block(int(found[1]), found[2])
        elif self._open is not None and (found := _DATA.search(line)):
            self._take_data(self._open, found[1])

    def _take_field(self, said: list[str], name: str, value: str) -> None:
        said.append(f"{name} {value}")
        if name != "check":
            return
        self._said = None
        header = _read_header(tuple(said))
        if header is not None:
            self._begin_file(header)

    def _begin_file(self, header: Header) -> None:
        known = self.files.get(header)
        if known is None:
            total = sum(one.size for one in self.files) + header.size
            if total > self._limit or len(self.files) >= MAX_FILES:
                self.refused = f"{header.name}: {header.size} bytes are more than is taken"
                return
            known = self.files[header] = Armoured(header)
        self.current = known

    def _begin_block(self, number: int, check: str) -> None:
        self._open, self.ended = None, False
        if self.current is not None and number <= self.current.header.blocks:
            self._open = _Open(number, check, self.current.header.length(number))

    def _take_data(self, block: _Open, text: str) -> None:
        if self.current is None or not block.takes(text):
            return
        try:
            block.data += parse_base64(text, "a line")
        except MalformedError:
            return
        if len(block.data) < block.length:
            return
        data, self._open = bytes(block.data), None
        if _check_block(self.current.header, block.number, data) == block.check:
            self.current.parts[block.number] = data


def _read_header(said: tuple[str, ...]) -> Header | None:
    """The header that these lines are, if they are one."""
    values = [line.partition(" ")[2] for line in said]
    try:
        name, size, digest, _ = values
        header = Header(name, parse_decimal(size, "the size"), bytes.fromhex(digest))
    except (ValueError, MalformedError):
        return None
    good = PLAIN_NAME.fullmatch(name) and _HASH.fullmatch(digest)
    return header if good and header.lines() == said else None


def _check_header(said: Iterable[str]) -> str:
    return sha256("\n".join(("chopmark/armour/v1", *said)).encode()).hexdigest()[:8]


def _check_block(header: Header, number: int, data: bytes) -> str:
    before = b"chopmark/armour-block/v1\n" + header.digest + number.to_bytes(4, "big")
    return sha256(before + data).hexdigest()[:8]


def _check_number(number: int, header: Header) -> None:
    if not 1 <= number <= header.blocks:
        message = f"{header.name} has {header.blocks} blocks, and no block {number}"
        raise RefusedError("no-such-block", message, hint="such as 17,20-22")


def parse_numbers(text: str) -> list[int]:
    """Numbers of blocks, from such as `17,20-22`; ascending, each once.

    Raises:
        MalformedError: `bad-blocks`.
    """
    numbers: set[int] = set()
    for piece in text.split(","):
        found = re.fullmatch(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?", piece, re.ASCII)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise MalformedError(
                "bad-blocks", f"not numbers of blocks: {text[:40]!r}", hint="such as 17,20-22"
            )
        numbers |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return sorted(numbers)


def encode_numbers(numbers: Iterable[int]) -> str:
    """Ascending numbers, such as `17,20-22`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)

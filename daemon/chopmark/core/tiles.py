"""Tiles and entry bundles (C2SP tlog-tiles): how a tree is cut into immutable files.

A tile is a row of 256 hashes: item i of tile (l, n) is the perfect subtree over the leaves
[(n·256+i)·256^l, (n·256+i+1)·256^l). An entry bundle holds the entries of one level-0 tile, each
with a two-byte length before it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from chopmark.core.errors import MalformedError
from chopmark.core.merkle import HASH, CompactRange, fold_row

WIDTH: Final = 256
MAX_LEVEL: Final = 7
"""256^8 leaves are beyond what a size can be."""
_INDEX: Final = re.compile(r"(x[0-9]{3}/){0,6}[0-9]{3}", re.ASCII)
"""Up to 21 digits: more than any size has."""


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile: its level (None for an entry bundle), index and width (256 when full)."""

    level: int | None
    index: int
    width: int = WIDTH

    def encode(self) -> str:
        """The path below the log's prefix, such as `tile/0/x001/x234/067.p/5`."""
        level = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{encode_tile_index(self.index)}{partial}"


def encode_tile_index(index: int) -> str:
    """Index in groups of three digits, all but the last marked by an `x`."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_tile_name(path: str) -> TileName:
    """Read a tile's path.

    Raises:
        MalformedError: `malformed-tile`.
    """
    prefix, _, rest = path.removeprefix("tile/").partition("/")
    number, dot, width = rest.partition(".p/")
    index = int("".join(re.findall("[0-9]", number))) if _INDEX.fullmatch(number) else -1
    level = None if prefix == "entries" else ord(prefix) - ord("0") if len(prefix) == 1 else -1
    known = level is None or 0 <= level <= MAX_LEVEL
    size = int(width) if width.isascii() and width.isdigit() and len(width) < 4 else WIDTH
    name = TileName(level, index, size if dot else WIDTH)
    if not known or index < 0 or not 1 <= size <= WIDTH or name.encode() != path:
        raise MalformedError("malformed-tile", f"not a tile path: {path[:80]!r}")
    return name


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes tile (level, index) has in a tree of `size`: 0 to 256."""
    return max(0, min(WIDTH, (size >> (8 * level)) - index * WIDTH))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries with their two-byte lengths; each must be shorter than 65,536 bytes."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def parse_bundle(data: bytes) -> list[bytes]:
    """Split an entry bundle.

    Raises:
        MalformedError: `malformed-bundle`.
    """
    entries = []
    position, end = 0, len(data)
    while position + 2 <= end:
        start = position + 2
        position = start + (data[position] << 8 | data[position + 1])
        entries.append(data[start:position])
    if position != end:
        raise MalformedError("malformed-bundle", "an entry bundle is cut short")
    return entries


def read_tile_node(row: bytes, level: int, index: int) -> bytes:
    """Hash of the node (level, index) from the bytes of the tile that holds its leaves.

    Args:
        row: hashes of tile (level // 8, index >> (8 - level % 8)).
        level: level in the tree.
        index: index in that level.

    Raises:
        ValueError: if the tile does not hold the whole subtree.
    """
    depth = level % 8
    count = 1 << depth
    first = (index << depth) % WIDTH
    part = row[first * HASH : (first + count) * HASH]
    if len(part) != count * HASH:
        raise ValueError(f"tile is too short for node ({level}, {index})")
    return fold_row(part)


@dataclass(slots=True)
class Frontier:
    """The growing right edge of a tree: the unfinished tile of each level.

    Attributes:
        size: number of leaves.
        rows: for each tile level the hashes of its unfinished tile (fewer than 256).
    """

    size: int = 0
    rows: list[list[bytes]] = field(default_factory=list)

    def copy(self) -> "Frontier":
        """A frontier that grows by itself; rows are replaced, never changed, so they are shared."""
        return Frontier(self.size, list(self.rows))

    def append(self, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Add leaf hashes; gives every tile that changed as (level, index, hashes)."""
        changed: list[tuple[int, int, bytes]] = []
        before, self.size = self.size, self.size + len(leaves)
        level, added = 0, list(leaves)
        while added:
            if level == len(self.rows):
                self.rows.append([])
            added = self._append_row(level, before >> 8, added, changed)
            level, before = level + 1, before >> 8
        return changed

    def _append_row(
        self, level: int, index: int, added: list[bytes], changed: list[tuple[int, int, bytes]]
    ) -> list[bytes]:
        row = self.rows[level] + added
        full = len(row) // WIDTH * WIDTH
        tiles = [b"".join(row[i : i + WIDTH]) for i in range(0, len(row), WIDTH)]
        changed.extend((level, index + i, tile) for i, tile in enumerate(tiles))
        self.rows[level] = row[full:]
        return [fold_row(tile) for tile in tiles[: full // WIDTH]]

    def compact(self) -> CompactRange:
        """The compact range of all leaves."""
        made = CompactRange()
        for level in range(len(self.rows) - 1, -1, -1):
            made.append(self.rows[level], 8 * level)
        return made

    def root(self) -> bytes:
        """Root of the tree."""
        return self.compact().root()

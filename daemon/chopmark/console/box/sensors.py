"""Temperatures, disks and their wear, as the kernel tells them below /sys."""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SYS: Final = Path("/sys")
_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Sensor:
    """One temperature, in degrees Celsius; `limit` is where the maker says that it is too hot."""

    name: str
    celsius: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class Space:
    """A file system: bytes in all, free for us, and the part that is used (0 to 1)."""

    path: Path
    total: int
    free: int
    used: float


@dataclass(frozen=True, slots=True)
class Wear:
    """A flash device: tenths of its life that are used (eMMC, JESD84-B51 §7.4.101: 11 is over)."""

    device: str
    tenths: tuple[int, ...]
    spare: str


def read_temperatures(root: Path = _SYS) -> list[Sensor]:
    """All there are; empty where the machine has none, as most virtual ones."""
    return [*_zones(root / "class/thermal"), *_chips(root / "class/hwmon")][:_MAX]


def read_space(path: Path) -> Space:
    """The file system on which a path lies, or is to lie.

    Raises:
        OSError: it cannot be looked at; or this process may not: what systemd puts in place of a
            folder that is closed to a unit is another file system.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    if path.is_dir() and not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    told = os.statvfs(path)
    return make_space(path, told.f_frsize, told.f_blocks, told.f_bfree, told.f_bavail)


def make_space(path: Path, size: int, blocks: int, free: int, ours: int) -> Space:
    """Of a block's size in bytes, and blocks: all, those that are free, and free for us."""
    total, left = blocks * size, ours * size
    reach = total - (free - ours) * size  # less what root keeps
    return Space(path, total, left, 1 - left / reach if reach else 0.0)


def read_wear(root: Path = _SYS) -> list[Wear]:
    """The flash devices that tell it; empty where none does."""
    return list(_wear(root / "class/block"))


def _zones(folder: Path) -> Iterator[Sensor]:
    for zone in _list(folder, "thermal_zone*"):
        celsius = _millis(zone / "temp")
        if celsius is not None:
            yield Sensor(_text(zone / "type") or zone.name, celsius, None)


def _chips(folder: Path) -> Iterator[Sensor]:
    for chip in _list(folder, "hwmon*"):
        for file in _list(chip, "temp*_input"):
            stem, celsius = file.name.removesuffix("_input"), _millis(file)
            label = _text(chip / f"{stem}_label") or stem
            if celsius is not None:
                limit = _millis(chip / f"{stem}_crit")
                yield Sensor(f"{_text(chip / 'name') or chip.name} {label}", celsius, limit)


def _wear(folder: Path) -> Iterator[Wear]:
    for disk in _list(folder, "*"):
        tenths = [
            int(word, 16) for word in _text(disk / "device/life_time").split() if _is_hex(word)
        ]
        if tenths:
            yield Wear(disk.name, tuple(tenths), _text(disk / "device/pre_eol_info"))


def _list(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))[:_MAX]
    except OSError:
        return []


def _millis(path: Path) -> float | None:
    text = _text(path)
    return int(text) / 1000 if text.removeprefix("-").isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200].strip()
    except OSError:
        return ""


def _is_hex(word: str) -> bool:
    return re.fullmatch(r"0x[0-9a-fA-F]{1,2}", word) is not None

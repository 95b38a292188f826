"""The state folder's disk and files: root's service has the daemon's user look, for we may not.

Where that service is away this process looks itself, and sees no more than it may.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chopmark.console.box.sensors import Space, make_space, read_space
from chopmark.console.command import Admin
from chopmark.core.errors import ChopmarkError

_FILES: Final = 500
"""Files whose sizes are told."""


async def look_at_space(admin: Admin, state: Path) -> Space | None:
    """The file system of the state folder; None if nobody here may look at it."""
    try:
        return _made(await admin.do("state-look"))
    except (ChopmarkError, LookupError, TypeError, ValueError):
        pass
    try:
        return await asyncio.to_thread(read_space, state)
    except OSError:
        return None


async def look_at_files(admin: Admin, state: Path) -> Mapping[str, Any]:
    """Sizes of the files below the state folder; what is in them stays there."""
    try:
        return dict((await admin.do("state-look"))["files"])
    except (ChopmarkError, LookupError, TypeError, ValueError):
        return await asyncio.to_thread(_read_files, state)


def _made(told: Mapping[str, Any]) -> Space:
    disk = told["disk"]
    sizes = [int(disk[name]) for name in ("f_frsize", "f_blocks", "f_bfree", "f_bavail")]
    return make_space(Path(str(told["path"])), *sizes)


def _read_files(state: Path) -> Mapping[str, Any]:
    found: dict[str, int] = {}
    for folder, _, names in os.walk(state):
        for name in sorted(names)[: _FILES - len(found)]:
            path = Path(folder) / name
            found[str(path.relative_to(state))] = path.lstat().st_size
    return found

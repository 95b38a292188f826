"""The console's folder of files: what was received, and what may be sent."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.client.files import PRIVATE_MODE, make_folder, read_bounded, write_new
from chopmark.core.errors import ExistsError, MissingError, RefusedError
from chopmark.core.filename import PLAIN_NAME

MAX_FILES: Final = 64
MAX_FILE: Final = 16 * 2**20
"""Bytes of one file: at 115,200 baud it takes half an hour."""
MAX_TOTAL: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Folder:
    """Files with plain names in one folder; links and anything else there are not seen.

    Attributes:
        path: the folder; it is made with the first file.
    """

    path: Path

    def sizes(self) -> dict[str, int]:
        """Bytes of each file, by name."""
        if not self.path.is_dir():
            return {}
        found = (one for one in os.scandir(self.path) if PLAIN_NAME.fullmatch(one.name))
        plain = (one for one in found if one.is_file(follow_symlinks=False))
        return {one.name: one.stat(follow_symlinks=False).st_size for one in sorted(plain, key=str)}

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            MissingError: `no-such-file`.
            RefusedError: `file-too-large`.
            ChopmarkError: as `read_bounded`.
        """
        self._check_known(name)
        data = read_bounded(self.path / name, MAX_FILE)
        if len(data) > MAX_FILE:
            raise RefusedError("file-too-large", f"{name} has more than {MAX_FILE} bytes")
        return data

    def check_room(self, name: str, size: int) -> None:
        """See whether a file may be added.

        Raises:
            ExistsError: `file-exists`.
            RefusedError: `file-too-large`, `folder-full`.
        """
        sizes = self.sizes()
        if name in sizes:
            hint = f"remove the old one first: transfer remove {name}"
            raise ExistsError("file-exists", f"there is a file {name} already", hint=hint)
        if size > MAX_FILE:
            message = f"{name} has {size} bytes, more than {MAX_FILE}"
            raise RefusedError("file-too-large", message, hint="send it in smaller files")
        if len(sizes) >= MAX_FILES or sum(sizes.values()) + size > MAX_TOTAL:
            message = f"the console keeps {MAX_FILES} files of {MAX_TOTAL} bytes together at most"
            hint = "remove some: transfer list, transfer remove FILE"
            raise RefusedError("folder-full", message, hint=hint)

    def add(self, name: str, data: bytes) -> None:
        """Keep a file, durable once this returns; nothing is overwritten.

        Raises as `check_room` and `write_new`.
        """
        self.check_room(name, len(data))
        make_folder(self.path, 0o700)
        write_new(self.path / name, data, PRIVATE_MODE)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            MissingError: `no-such-file`.
        """
        self._check_known(name)
        (self.path / name).unlink(missing_ok=True)

    def _check_known(self, name: str) -> None:
        if name not in self.sizes():
            hint = "transfer list shows which there are"
            raise MissingError("no-such-file", f"no such file: {name[:64]!r}", hint=hint)

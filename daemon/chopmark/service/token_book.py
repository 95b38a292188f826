"""What must be known of the token at the next start: small files in `hsm/` of the state folder.

pin-refused   why the PIN must not be tried; there until an operator says that it may
login         a login was begun, and its end was not noted
maintenance   an operator has taken the HSM out of use
usage.json    signatures that each key may have made, where there is a limit
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from chopmark.client.files import replace_file, sync_folder
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.service.locking import refusal_named
from chopmark.service.places import token_folder

LOG: Final = logging.getLogger("chopmark.hsm")
MODE: Final = 0o600
MAX_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class FileBook:
    """Implements `hsm.book.TokenBook`.

    What guards the PIN is written as well as the disk lets: a full one must not keep us from
    signing, and what could not be written holds until the process ends all the same.
    """

    folder: Path

    @property
    def refused(self) -> str | None:
        """Why the PIN must not be tried."""
        try:
            text = (self.folder / "pin-refused").read_bytes()[:MAX_REASON]
        except FileNotFoundError:
            return None
        except OSError:  # there is one, of whichever user
            text = b""
        return text.decode("utf-8", "replace").strip() or "the PIN was refused"

    @property
    def login_begun(self) -> bool:
        """Whether a login was begun and its end was not noted."""
        return (self.folder / "login").exists()

    @property
    def maintenance(self) -> bool:
        """Whether the HSM is out of use."""
        return (self.folder / "maintenance").exists()

    def begin_login(self) -> None:
        """See `TokenBook`, as for all below."""
        self._try(lambda: self._write("login", b""))

    def end_login(self) -> None:
        """Forget that one was begun."""
        self._try(lambda: self._remove("login"))

    def refuse(self, reason: str) -> None:
        """Keep a reason not to try the PIN."""
        self._try(lambda: self._write("pin-refused", f"{reason}\n".encode()))
        self.end_login()

    def allow(self) -> None:
        """Let the PIN be tried."""
        self._remove("pin-refused")
        self._remove("login")

    def maintain(self, *, on: bool) -> None:
        """Keep that the HSM is out of use, or not."""
        if on:
            self._write("maintenance", b"")
        else:
            self._remove("maintenance")

    def reserved(self, key: str) -> int:
        """Signatures that a key may have made."""
        return self._usage().get(key, 0)

    def reserve(self, key: str, count: int) -> None:
        """Keep another number of them."""
        data = msgspec.json.encode({**self._usage(), key: count})
        try:
            self._write("usage.json", data)
        except ChopmarkError as error:
            raise TryAgainError(
                "not-counted", f"a key's signatures cannot be counted: {error.message}"
            ) from error

    def _usage(self) -> dict[str, int]:
        path = self.folder / "usage.json"
        if not path.exists():
            return {}
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.DecodeError) as error:
            message = f"{path} cannot be read: how often the keys were used is not known"
            hint = "replace the keys, or remove the file to count from 0 again"
            raise TryAgainError("not-counted", message, hint=hint) from error

    def _write(self, name: str, data: bytes) -> None:
        with refusal_named(self.folder):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._give(self.folder)
            replace_file(self.folder / name, data, MODE)
            self._give(self.folder / name)

    def _give(self, path: Path) -> None:
        """What root's commands write here must be the daemon's to read."""
        owner = self.folder.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)

    def _remove(self, name: str) -> None:
        path = self.folder / name
        with refusal_named(path):
            if path.exists():
                path.unlink()
                sync_folder(self.folder)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ChopmarkError as error:
            LOG.warning("what guards the PIN could not be written down: %s", error.message)


def open_book(state: Path) -> FileBook:
    """The book of the gateway whose state folder this is."""
    return FileBook(token_folder(state))

"""What must be known of the token at the next start: small files in `hsm/` of the state folder.

pin           whether the PIN must not be tried and why, how many logins were begun whose end was
              not noted, and whether the daemon was given another PIN than the one in place; of one
              fixed size and written in place, so that a full disk takes it
maintenance   an operator has taken the HSM out of use
usage.json    signatures that each key may have made, where there is a limit
"""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from chopmark.client.files import replace_file, sync_folder
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.service.locking import refusal_named
from chopmark.service.places import token_folder

LOG: Final = logging.getLogger("chopmark.hsm")
MODE: Final = 0o600
SIZE: Final = 512
"""Bytes of `pin`: a disk writes so many whole or not at all."""
MAX_REASON: Final = 300
"""Bytes."""
_UNREADABLE: Final = "what is known of the PIN cannot be read"


class _Pin(msgspec.Struct, frozen=True):
    refused: str | None = None
    unfinished: int = 0
    given: bool = False


_DECODER: Final = msgspec.json.Decoder(_Pin)
"""Made here, as msgspec learns a type without a lock, and one HSM's thread may still hang in a read
when the next one's begins."""


@dataclass(slots=True)
class FileBook:
    """Implements `hsm.book.TokenBook`; one for a process.

    What cannot be written holds until the process ends all the same: a disk that takes nothing must
    not keep us from signing.
    """

    folder: Path
    _kept: _Pin = field(default_factory=_Pin)

    @property
    def refused(self) -> str | None:
        """Why the PIN must not be tried."""
        return self._kept.refused or self._read().refused

    @property
    def unfinished(self) -> int:
        """Logins that were begun, and whose end was not noted, one after the other."""
        return max(self._kept.unfinished, self._read().unfinished)

    @property
    def given(self) -> bool:
        """Whether the daemon has another PIN than the one in place, which was refused."""
        return self._read().given

    @property
    def maintenance(self) -> bool:
        """Whether the HSM is out of use."""
        return (self.folder / "maintenance").exists()

    def begin_login(self) -> None:
        """See `TokenBook`, as for all below."""
        known = self._read()
        self._put(_Pin(unfinished=known.unfinished + 1, given=known.given))

    def end_login(self) -> None:
        """It came to its end."""
        known = self._read()
        self._put(_Pin(refused=known.refused, given=known.given))

    def refuse(self, reason: str) -> None:
        """Keep a reason not to try the PIN."""
        self._put(_Pin(refused=reason.encode()[:MAX_REASON].decode(errors="ignore")))

    def allow(self, *, given: bool = False) -> None:
        """Let the PIN be tried; raises if that cannot be written."""
        self._write(_Pin(given=given))
        self._kept = _Pin()

    def forget_given(self) -> None:
        """The daemon has no PIN but the one in place."""
        known = self._read()
        if known.given:
            self._put(_Pin(known.refused, known.unfinished))

    def maintain(self, *, on: bool) -> None:
        """Keep that the HSM is out of use, or not."""
        path = self.folder / "maintenance"
        with refusal_named(path):
            if on:
                self._make_folder()
                replace_file(path, b"", MODE)
                self._give(path)
            elif path.exists():
                path.unlink()
                sync_folder(self.folder)

    def reserved(self, key: str) -> int:
        """Signatures that a key may have made."""
        return self._usage().get(key, 0)

    def reserve(self, key: str, count: int) -> None:
        """Keep another number of them."""
        data = msgspec.json.encode({**self._usage(), key: count})
        try:
            with refusal_named(self.folder):
                self._make_folder()
                replace_file(self.folder / "usage.json", data, MODE)
        except ChopmarkError as error:
            message = f"a key's signatures cannot be counted: {error.message}"
            raise TryAgainError("not-counted", message, hint=error.hint) from error

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

    def _read(self) -> _Pin:
        try:
            data = (self.folder / "pin").read_bytes()
            return _DECODER.decode(data.rstrip(b" ")) if data else _Pin()
        except FileNotFoundError:
            return _Pin()
        except (OSError, msgspec.DecodeError):
            return _Pin(refused=_UNREADABLE)

    def _put(self, pin: _Pin) -> None:
        self._kept = pin
        try:
            self._write(pin)
        except ChopmarkError as error:
            LOG.warning("what is known of the PIN could not be written down: %s", error.message)

    def _write(self, pin: _Pin) -> None:
        path = self.folder / "pin"
        with refusal_named(path):
            self._make_folder()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, MODE)
            try:
                os.pwrite(descriptor, msgspec.json.encode(pin)[:SIZE].ljust(SIZE), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._give(path)

    def _make_folder(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            sync_folder(self.folder.parent)
            self._give(self.folder)

    def _give(self, path: Path) -> None:
        """What root's commands write here must be the daemon's to read."""
        owner = self.folder.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def open_book(state: Path) -> FileBook:
    """The book of the gateway whose state folder this is."""
    return FileBook(token_folder(state))

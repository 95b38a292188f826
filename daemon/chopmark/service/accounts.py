"""The file of accounts, below the state folder."""

import logging
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.api.signin.accounts import MAX_FILE
from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import MissingError

MODE: Final = 0o600
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountFile:
    """Implements `api.signin.accounts.AccountStore`."""

    path: Path

    def read(self) -> bytes | None:
        """What is in it; None before there is one. From now on it is for nobody else to read."""
        try:
            data = read_bounded(self.path, MAX_FILE)
        except MissingError:
            return None
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & ~MODE:  # somebody has put a copy back
            message = "others could open %s (mode %04o): now it is for us alone"
            _log.warning(message, self.path, mode)
            self.path.chmod(MODE)
        return data

    def write(self, data: bytes) -> None:
        """Put this in its place, durably."""
        replace_file(self.path, data, MODE)

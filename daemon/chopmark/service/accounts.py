"""The file of accounts, below the state folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.api.signin.accounts import MAX_FILE
from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import MissingError

MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class AccountFile:
    """Implements `api.signin.accounts.AccountStore`."""

    path: Path

    def read(self) -> bytes | None:
        """What is in it; None before there is one."""
        try:
            return read_bounded(self.path, MAX_FILE)
        except MissingError:
            return None

    def write(self, data: bytes) -> None:
        """Put this in its place, durably."""
        replace_file(self.path, data, MODE)

"""What of a commissioning cannot be found by looking at the box: a small file of the console.

Names and token as they were typed, until the gateway is made of them; and what somebody has seen
and agreed to, each with what it was agreed for, so that it counts for nothing else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from chopmark.client.files import PRIVATE_MODE, make_folder, read_bounded, replace_file
from chopmark.console.access.store import FOLDER_MODE
from chopmark.console.place import find_folder
from chopmark.core.errors import MissingError

_NAME: Final = "commissioning.json"
_MOST: Final = 16_384
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the gateway is to be, and its first broker."""

    member: str
    origin: str
    institution: str
    jurisdiction: str
    host: str
    port: int


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where its keys will be."""

    module: str
    label: str


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file.

    Attributes:
        who, token: as they were typed.
        agreed: by name of a step, what somebody has agreed to.
    """

    who: Who | None = None
    token: Token | None = None
    agreed: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Notes:
    """The file in its folder. A damaged one is as good as none: all is asked again."""

    folder: Path

    def read(self) -> Noted:
        """What is noted."""
        try:
            return msgspec.json.decode(read_bounded(self._path, _MOST), type=Noted)
        except (MissingError, msgspec.DecodeError, UnicodeDecodeError):
            return Noted()

    def write(self, noted: Noted) -> None:
        """Note it, durable; raises as `replace_file`."""
        make_folder(self.folder, FOLDER_MODE)
        replace_file(self._path, msgspec.json.encode(noted), PRIVATE_MODE)

    def agree(self, step: str, what: str) -> None:
        """Note that somebody agreed to something."""
        noted = self.read()
        agreed = {**noted.agreed, step: what}
        self.write(msgspec.structs.replace(noted, agreed=agreed))

    def forget_names(self) -> None:
        """The gateway is made: what was typed is in its configuration."""
        noted = self.read()
        if noted.who is not None or noted.token is not None:
            self.write(Noted(agreed=noted.agreed))

    def remove(self) -> None:
        """Nothing is to be noted any more."""
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.folder / _NAME


def open_notes() -> Notes:
    """Those of this console."""
    return Notes(find_folder())


def this_start() -> str:
    """Names the time since the box was started: what was seen before may have changed."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""

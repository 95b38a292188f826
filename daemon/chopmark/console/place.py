"""Where the console keeps what is its own."""

import os
from pathlib import Path
from typing import Final

_USUAL: Final = "/var/lib/chopmark-console"


def find_folder() -> Path:
    """The folder that systemd gives to the unit (`StateDirectory=`), or the usual one."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or _USUAL)


def find_files() -> Path:
    """The folder of files that transfers take from and put into."""
    return find_folder() / "files"

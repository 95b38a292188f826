"""`chopmark-console init-access`: make a box's key and its commissioning code, once.

Whoever stages the box runs it, as the console's user; a factory reset does it again.
"""

import argparse
import base64
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chopmark.console.access.store import Store
from chopmark.console.place import find_folder
from chopmark.core.boxkey import BoxKey
from chopmark.core.errors import ChopmarkError

_BYTES: Final = 10
_GROUP: Final = 4


def init_access(folder: Path, name: str) -> tuple[BoxKey, str]:
    """Make them; gives the public key of the box, and the code, which is kept nowhere.

    Raises:
        MalformedError: `malformed-box-key`; ExistsError: `file-exists`.
    """
    text = base64.b32encode(secrets.token_bytes(_BYTES)).decode()
    code = "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))
    return Store(folder).make(name, code), code


def run(arguments: Sequence[str]) -> int:
    """The command; gives its exit code."""
    about = "Make this box's key, and the code that lets the first enrolment in."
    parser = argparse.ArgumentParser(prog="chopmark-console init-access", description=about)
    parser.add_argument("name", help="name of the box, such as its serial number")
    parser.add_argument("--folder", type=Path, default=find_folder(), help="of the console's state")
    given = parser.parse_args(arguments)
    try:
        box, code = init_access(given.folder, given.name)
    except ChopmarkError as error:
        sys.stderr.write(f"chopmark-console: {error}\n")
        return error.exit_code
    sys.stdout.write(f"box key             {box.encode()}\ncommissioning code  {code}\n")
    sys.stdout.write("head office keeps both; the code is shown once, and opens the box once\n")
    return 0

"""A new password or PIN of somebody: typed twice without an echo, or one line of standard input."""

import sys
from getpass import getpass
from typing import Final, Literal

from chopmark.core.errors import UsageError
from chopmark.service.runtime import forbid_core_files

_MOST: Final = 1024
_WORDS: Final = {"password": "password", "pin": "PIN"}


def ask_new(what: Literal["password", "pin"], name: str) -> str:
    """Ask for it; no memory of ours is written to a file from now on.

    Raises:
        UsageError: `password-missing`, `pin-missing`, `password-differs`, `pin-differs`.
    """
    forbid_core_files()
    word = _WORDS[what]
    if not sys.stdin.isatty():
        line = sys.stdin.readline(_MOST).removesuffix("\n")
        if not line:
            hint = f"use a terminal, or hand the {word} over as standard input"
            raise UsageError(f"{what}-missing", f"no {word} was given", hint=hint)
        return line
    first = getpass(f"new {word} of {name}: ")
    if first != getpass("again: "):
        raise UsageError(f"{what}-differs", "the two are not the same", hint="try again")
    return first

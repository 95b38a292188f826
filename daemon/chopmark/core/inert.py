"""Text from elsewhere, made harmless for one line of a terminal.

Names of institutions, reasons and lines of logs come from others: escape sequences, bidirectional
overrides and other invisible characters in them are shown as what they are.
"""

import re
from typing import Final

_UNSEEN: Final = re.compile(r"[^\x20-\x7e]")


def clean(value: object) -> str:
    """Text for one line of a terminal: what does not print is shown as its escape sequence."""
    return _UNSEEN.sub(_show, str(value))


def _show(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else ascii(character)[1:-1]

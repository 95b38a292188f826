"""Names of files that came from elsewhere, made harmless.

What a terminal, a form or a transfer calls a file may hold folders, escape sequences or anything
else. Here a file has a plain name: it means nothing to a shell, a terminal or a file system.
"""

import re
from typing import Final

MAX_NAME: Final = 64
"""Characters of a plain name."""
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_OTHER: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_SUFFIX: Final = 16
"""Characters of an ending that is kept when the rest is cut."""


def plain_name(given: str) -> str:
    """The plain name for what somebody calls a file; `file` if nothing of it is left.

    Folders are left out, and each run of other characters than letters, digits, `.`, `_` and `-`
    of ASCII becomes one `_`. Two names may become one.
    """
    last = re.split(r"[/\\]", given)[-1]
    name = _OTHER.sub("_", last).lstrip("._-").rstrip("_")
    return _shorten(name) or "file"


def _shorten(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _SUFFIX:
        return name[:MAX_NAME]
    return stem[: MAX_NAME - len(suffix) - 1] + dot + suffix

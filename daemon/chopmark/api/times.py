"""Times as the API reads them, and deadlines."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from chopmark.core.errors import MalformedError

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?Z"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HINT: Final = 'write it in UTC, like "2027-01-31T16:00:00Z" or with milliseconds'


@lru_cache(maxsize=64)
def parse_time(text: str, field: str) -> int:
    """Read a time: RFC 3339 in UTC with `Z`, at most milliseconds, 1970 to 9999.

    Returns:
        ms since the Unix epoch.

    Raises:
        MalformedError: `malformed-time`, naming the field.
    """
    try:
        return _read_time(text)
    except ValueError:
        message = f"`{field}` is not a time: {text[:40]!r}"
        raise MalformedError("malformed-time", message, hint=_HINT) from None


def _read_time(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise ValueError
    ms = (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    if ms < 0:
        raise ValueError
    return ms


class Deadline:
    """A moment on the event loop's clock, which no clock change moves."""

    def __init__(self, seconds: float) -> None:
        self._end = asyncio.get_running_loop().time() + seconds

    def left(self) -> float:
        """Seconds until then; 0 once it has passed."""
        return max(0.0, self._end - asyncio.get_running_loop().time())

"""Who sent what was of no use: counted by member and cause, and logged without floods."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chopmark.core.errors import ChopmarkError

LOG: Final = logging.getLogger("chopmark.ledger")
PAUSE: Final = 60.0
"""Seconds between two lines about one member."""


@dataclass(slots=True)
class _Told:
    """When a line about a member was last written, and how many were not since."""

    at: float
    left_out: int = 0


class Blame:
    """Counts bad messages.

    Attributes:
        counts: by member id and the error's code, which is one of ours: neither grows for ever.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._monotonic = monotonic
        self._told: dict[str, _Told] = {}

    def note(self, member: str, about: str, error: ChopmarkError) -> None:
        """Count one, and say so unless a line about this member was written just now.

        Args:
            member: who sent it, as the access rules of a broker should have it.
            about: origin of the log that it is about.
            error: what is wrong with it.
        """
        self.counts[member, error.code] += 1
        now = self._monotonic()
        told = self._told.get(member)
        if told is not None and now - told.at < PAUSE:
            told.left_out += 1
            return
        self._told[member] = _Told(now)
        more = f" ({told.left_out} more since the last line)" if told and told.left_out else ""
        text = "dropped a message about %s from %s: %s%s"
        extra = {"peer": member, "code": error.code}
        LOG.warning(text, about, member, error.message, more, extra=extra)

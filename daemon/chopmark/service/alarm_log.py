"""One line in the journal for each alarm that begins or ends, under its fixed MESSAGE_ID."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

LOGGER: Final = "chopmark.alarms"
LOG: Final = logging.getLogger(LOGGER)
_HELD: Final = 64
"""Alarms of a moment that are told one by one; there are hardly ever more than a few."""


class AlarmLog:
    """Compares what stands with what was told.

    Args:
        alarms: those that stand, as `GET /v1/status` has them.
    """

    def __init__(self, alarms: Callable[[], Sequence[Mapping[str, str]]]) -> None:
        self._alarms = alarms
        self._told: dict[str, int] = {}

    def look(self) -> None:
        """Tell what is new, and what is over; of a code that stands several times, each."""
        counts: dict[str, int] = {}
        for alarm in self._alarms()[:_HELD]:
            code = alarm["code"]
            counts[code] = counts.get(code, 0) + 1
            if counts[code] > self._told.get(code, 0):
                text = "ALARM %s: %s: %s"
                LOG.error(text, code, alarm["message"], alarm["hint"], extra={"alarm": code})
        for code in self._told.keys() - counts.keys():
            LOG.warning("the alarm %s is over", code, extra={"over": code})
        self._told = counts

"""Reading what people type: durations, times, references and reasons."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from chopmark.core.checkpoint import check_origin
from chopmark.core.entry import KIND, REASONS
from chopmark.core.errors import MalformedError, UsageError
from chopmark.core.text import parse_decimal

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
REASON_WORDS: Final = ("unspecified", "error", "replaced", "customer", "fraud", "key-compromise")
"""Words for the reasons of a revocation, by number; `core.entry.REASONS` has them in full."""


def parse_duration(text: str) -> int:
    """Seconds, from `90`, `90s`, `15m`, `24h` or `7d`.

    Raises:
        UsageError: `bad-duration`.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        hint = "seconds, or a number and s, m, h or d, such as 24h"
        raise UsageError("bad-duration", f"not a duration: {text!r}", hint=hint)
    return int(found[1]) * _SECONDS[found[2]]


def parse_time(text: str) -> int:
    """Milliseconds since the Unix epoch, from RFC 3339 or a date, of which it is the end (UTC).

    Raises:
        UsageError: `bad-time`.
    """
    try:
        if len(text) == len("2026-12-31"):
            day = date.fromisoformat(text)
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            return int(moment.timestamp() * 1000) - 1
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and moment.timestamp() >= 0:
            return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    hint = "such as 2027-12-31 (the end of that day in UTC) or 2027-12-31T12:00:00Z"
    raise UsageError("bad-time", f"not a time with its zone: {text!r}", hint=hint)


def parse_reference(text: str) -> tuple[str, int]:
    """Origin and index, from `origin#index`.

    Raises:
        UsageError: `bad-reference`.
    """
    origin, _, index = text.rpartition("#")
    try:
        check_origin(origin)
        return origin, parse_decimal(index, "the index")
    except MalformedError as error:
        hint = "a reference is origin#index, such as bank-hk.example/hk-1#17"
        raise UsageError("bad-reference", f"not a reference: {text!r}", hint=hint) from error


def parse_reason(text: str) -> int:
    """Number of a revocation's reason, from the number or a word.

    Raises:
        UsageError: `bad-reason`.
    """
    if text in REASON_WORDS:
        return REASON_WORDS.index(text)
    numbers = [str(number) for number in range(len(REASONS))]
    if text in numbers:
        return int(text)
    hint = f"one of {', '.join(REASON_WORDS)}, or 0 to {len(REASONS) - 1}"
    raise UsageError("bad-reason", f"not a reason: {text!r}", hint=hint)


def name_reason(number: object) -> str:
    """A revocation's reason in words; one that is not known here is shown as it is."""
    known = dict(enumerate(REASONS))
    return known.get(number, str(number)) if isinstance(number, int) else str(number)


def check_kind_argument(kind: str | None) -> None:
    """Refuse what cannot be a kind of document.

    Raises:
        UsageError: `bad-kind`.
    """
    if kind is not None and not KIND.fullmatch(kind):
        hint = "1 to 32 of a-z, 0-9, . and -, such as bank-statement"
        raise UsageError("bad-kind", f"not a kind of document: {kind!r}", hint=hint)


def split_pair(text: str) -> tuple[str, str]:
    """The two parts of NAME=VALUE.

    Raises:
        UsageError: `usage`.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise UsageError("usage", f"not NAME=VALUE: {text[:80]!r}")
    return name, value


def read_pairs(given: Iterable[str] | None) -> dict[str, str]:
    """Values by name, of an option that may be given for several names.

    Raises:
        UsageError: `usage`; a name that is given twice, too.
    """
    pairs: dict[str, str] = {}
    for name, value in map(split_pair, given or ()):
        if name in pairs:
            raise UsageError("usage", f"given twice: {name}", hint="leave one of the two out")
        pairs[name] = value
    return pairs

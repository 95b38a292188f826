"""Self-tests: what a log key signs to show that its token works (docs/formats/self-test.md).

The fixed first line, and a second one that is never a decimal number, tell it apart from every
other text that the key signs. The signature goes nowhere: it is checked, and forgotten.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.text import parse_utf8
from chopmark.core.wording import format_time

HEADER: Final = "chopmark/self-test/v1"
MAX_SELF_TEST: Final = 128
"""Bytes: the header, an origin of 64 characters, and a time."""
LAST_TIME: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, beyond which RFC 3339 has no spelling."""
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One self-test.

    Attributes:
        origin: of the log whose key is tried.
        time_ms: when, in milliseconds since the Unix epoch, 0 to `LAST_TIME`.
    """

    origin: str
    time_ms: int

    def encode(self) -> bytes:
        """The text that is signed: three lines.

        Raises:
            ValueError: the time has no spelling.
        """
        if not 0 <= self.time_ms <= LAST_TIME:
            raise ValueError(f"not a time of a self-test: {self.time_ms}")
        return f"{HEADER}\n{self.origin}\n{format_time(self.time_ms)}\n".encode()


def parse_self_test(data: bytes) -> SelfTest:
    """Read the text of a self-test.

    Raises:
        MalformedError: `malformed-self-test` and the codes of its parts.
    """
    if len(data) > MAX_SELF_TEST:
        raise _malformed("it is too large")
    lines = parse_utf8(data, "a self-test").split("\n")
    if len(lines) != 4 or lines[0] != HEADER or lines[3]:
        raise _malformed(f"three lines are due, the first one {HEADER}")
    check_origin(lines[1])
    parsed = SelfTest(lines[1], _parse_time(lines[2]))
    if parsed.encode() != data:
        raise _malformed("its time is not in the canonical form")
    return parsed


def _parse_time(text: str) -> int:
    try:
        moment = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise _malformed("its time is none") from error
    passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = passed.days * 86_400_000 + passed.seconds * 1000 + passed.microseconds // 1000
    if milliseconds < 0:
        raise _malformed("its time is before 1970")
    return milliseconds


def _malformed(why: str) -> MalformedError:
    return MalformedError("malformed-self-test", f"not a self-test: {why}")

"""One session for the whole box, whichever port it comes by: a lock that dies with its process."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from chopmark.core.errors import ExistsError, InternalError

DEFAULT: Final = Path("/run/chopmark-console/lock")
_LIMIT: Final = 512
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Seat:
    """The session's place, as long as it is held."""

    file: TextIO

    def note(self, who: str, port: str) -> None:
        """Write down who holds it from now on, for whoever comes by another port."""
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC}"
        with suppress(OSError):  # a full disk: the lock holds, only its name is missing
            self.file.seek(0)
            self.file.truncate()
            json.dump({"who": who, "port": port, "since": since}, self.file)
            self.file.flush()


@contextmanager
def take_seat(path: Path) -> Iterator[Seat]:
    """Hold the one seat.

    Raises:
        ExistsError: `console-in-use`, with who holds it, where and since when.
        InternalError: `console-no-seat` if the file cannot be opened.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE), "r+")
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror}"
        hint = "restart the box; if that is no help it goes back to head office"
        raise InternalError("console-no-seat", message, hint=hint) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _taken(file) from error
        yield Seat(file)


def _taken(file: TextIO) -> ExistsError:
    try:
        found = json.loads(file.read(_LIMIT))
        message = f"{found['who']} is signed in on {found['port']} since {found['since']}"
    except (ValueError, TypeError, KeyError):
        message = "somebody is at another port"
    hint = "one session at a time: finish that one, or wait until it has been idle for too long"
    return ExistsError("console-in-use", message, hint=hint)

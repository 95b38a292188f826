"""One session for the whole box, whichever port it comes by: a lock that dies with its process.

Who holds it and has not signed in gives it up to somebody at another port who asks for it, once he
has had it for a while: typing alone keeps nobody away.
"""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from chopmark.core.errors import ExistsError, InternalError

DEFAULT: Final = Path("/run/chopmark-console/lock")
PATIENCE: Final = 4.0
"""Seconds for one who has not signed in to give it up: he looks once a second."""
_FRESH: Final = 10.0
"""Seconds for which somebody else's wish counts."""
_LOOK: Final = 0.1
_LIMIT: Final = 512
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Seat:
    """The session's place, as long as it is held.

    Attributes:
        since: seconds of uptime.
    """

    path: Path
    file: TextIO
    since: float = field(default_factory=time.monotonic)

    def note(self, who: str, port: str, *, signed_in: bool = True) -> None:
        """Write down who holds it from now on, for whoever comes by another port."""
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC}"
        told = {"who": who, "port": port, "since": since, "signed_in": signed_in}
        with suppress(OSError):  # a full disk: the lock holds, only its name is missing
            self.file.seek(0)
            self.file.truncate()
            json.dump(told, self.file)
            self.file.flush()

    def wanted(self, after: float) -> str:
        """The port of somebody who waits for it, once it was held for so long; else nothing."""
        if time.monotonic() - self.since < after:
            return ""
        try:
            age = time.time() - _wish(self.path).stat().st_mtime
            text = _wish(self.path).read_text(encoding="utf-8", errors="replace")[:_LIMIT]
        except OSError:
            return ""
        return text if abs(age) < _FRESH else ""


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
        yield Seat(path, file)


async def take_over(path: Path, port: str, stack: ExitStack) -> Seat:
    """The seat, from somebody who has not signed in; others keep it.

    Args:
        path: as for `take_seat`.
        port: where somebody waits for it.
        stack: holds it.

    Raises:
        ExistsError: `console-in-use`; InternalError: as `take_seat`.
    """
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                return stack.enter_context(take_seat(path))
            except ExistsError:
                if time.monotonic() > deadline or _read(path).get("signed_in", True):
                    raise
            with suppress(OSError):
                _wish(path).write_text(port, encoding="utf-8")
            await asyncio.sleep(_LOOK)
    finally:
        with suppress(OSError):
            _wish(path).unlink()


def _wish(path: Path) -> Path:
    return path.with_name(f"{path.name}.wanted")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes()[:_LIMIT])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _taken(file: TextIO) -> ExistsError:
    hint = "one session at a time: finish that one, or wait until it has been idle for too long"
    try:
        found = json.loads(file.read(_LIMIT))
        message = f"{found['who']} is signed in on {found['port']} since {found['since']}"
        if not found.get("signed_in", True):
            message = f"{found['who']} is at {found['port']} since {found['since']}"
            hint = "it must be given up within a minute: press Enter again then"
    except (ValueError, TypeError, KeyError, AttributeError):
        message = "somebody is at another port"
    return ExistsError("console-in-use", message, hint=hint)

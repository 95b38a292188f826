"""The lock on a state folder: one gateway, or one recovery, at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from chopmark.core.errors import ExistsError, InternalError


def lock_state(state: Path) -> TextIO:
    """Hold the state folder; the kernel lets go of it when this process ends, however it ends.

    Raises:
        ExistsError: `already-running`.
        InternalError: `state-refused`.
    """
    with refusal_named(state):
        file = (state / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        message = f"another gateway is running on {state}"
        raise ExistsError("already-running", message, hint="stop it first") from error
    return file


def is_locked(state: Path) -> bool:
    """Whether a process holds the state folder, or may: who may not look must take it for so."""
    try:
        with (state / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


@contextmanager
def refusal_named(path: Path) -> Iterator[None]:
    """Turn what the system says of our state folder into our own error.

    Raises:
        InternalError: `state-refused`.
    """
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be used: {error}"
        hint = "is the disk in order, and is this the user of the daemon?"
        raise InternalError("state-refused", message, hint=hint) from error

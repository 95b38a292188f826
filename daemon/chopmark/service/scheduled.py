"""Work that timers start, as root or the daemon's user, beside the daemon: how it has ended last.

It is noted in `scheduled/` of the state folder, where the daemon looks, for its alarms.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from chopmark.client.files import make_folder, replace_file
from chopmark.core.wording import format_time
from chopmark.service.config_model import Config
from chopmark.service.places import scheduled_path

LOOK: Final = 30.0
"""Seconds between two looks."""
STALE: Final = 3 * 86_400_000
"""ms after which the last good copy is too old; they are made each day."""
MODE: Final = 0o600


class Ended(msgspec.Struct, frozen=True):
    """How it has ended.

    Attributes:
        at: when, ms since the Unix epoch.
        good: whether well.
        message: what was wrong, in words; or what was done.
        last_good: when it last ended well; 0: never.
        hsm: whether the HSM worked when the health was last found good.
    """

    at: int
    good: bool
    message: str
    last_good: int = 0
    hsm: bool = False


_DECODER: Final = msgspec.json.Decoder(Ended)
"""Made here, as msgspec learns a type without a lock, and a look may hang on its thread when the
gateway's parts are made anew."""


def read_ended(state: Path, name: str) -> Ended | None:
    """How it has ended last; None if it never has, or that cannot be read."""
    try:
        return _DECODER.decode(scheduled_path(state, name).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def note_ended(
    state: Path, name: str, now: int, message: str, *, good: bool, hsm: bool = False
) -> None:
    """Note it, for the daemon.

    Raises:
        ChopmarkError: the disk says no.
    """
    with _as_owner(state):
        before, path = read_ended(state, name), scheduled_path(state, name)
        last = now if good else (before.last_good if before else 0)
        make_folder(path.parent, 0o700)
        replace_file(path, msgspec.json.encode(Ended(now, good, message, last, hsm)), MODE)


class Scheduled:
    """What the daemon knows of it."""

    def __init__(self, config: Config, now_ms: Callable[[], int]) -> None:
        self._config, self._now = config, now_ms
        self._fsck: Ended | None = None
        self._backup: Ended | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK)

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must know, as JSON."""
        found = []
        if self._fsck is not None and not self._fsck.good:
            hint = "`chopmark fsck` lists what is wrong; never put an old copy of log.db back"
            found.append(("ledger-damaged", self._fsck.message, hint))
        message = self._judge_backup(self._backup)
        if message:
            hint = "`journalctl -u chopmark-backup`; is there room in [backup] folder?"
            found.append(("backup-failed", message, hint))
        return [{"code": code, "message": text, "hint": hint} for code, text, hint in found]

    def _judge_backup(self, ended: Ended | None) -> str:
        if self._config.backup is None or ended is None:
            return ""
        if not ended.good:
            return f"the ledger was not copied: {ended.message}"
        if self._now() - ended.last_good > STALE:
            return f"the last copy of the ledger is of {format_time(ended.last_good)}"
        return ""

    def _look(self) -> None:
        state = self._config.gateway.state
        self._fsck, self._backup = read_ended(state, "fsck"), read_ended(state, "backup")


@contextmanager
def _as_owner(state: Path) -> Iterator[None]:
    """Write as the daemon's user where root does it: a link in there leads to nothing of root's."""
    owner, groups = state.stat(), os.getgroups()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group = os.getegid()
    try:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)

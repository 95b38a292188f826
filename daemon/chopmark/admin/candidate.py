"""The gateway's configuration as a candidate, applied for a time, and kept only if it is confirmed.

Rules:
1. A candidate is the text of the file with typed changes, and the digest of the file that it was
   made from. If the file is another one when it is applied, it is refused.
2. Before the file is touched, `commit.json` has its text, durable. As long as that is there, the
   change is not confirmed.
3. To confirm is to remove `commit.json`. To take back is: the text before goes back into the file,
   the gateway is started again with it, `commit.json` is removed. Doing that twice is harmless.
4. A service that starts and finds `commit.json` takes back at once, whatever became of the one
   before: killed at any moment, or the box was started again. No clock is asked.
5. Who has edited the file by hand meanwhile has confirmed or repaired it: it is left as it is.
6. A disk that takes nothing leaves `commit.json`, and who takes back tries again until it is gone
   (`box`). One that is damaged is set aside: the file in force stays, and somebody must look at it.
"""

import difflib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from chopmark.client.files import make_folder, read_bounded, replace_file, sync_folder
from chopmark.core.errors import ChopmarkError, ExistsError, MissingError, RefusedError
from chopmark.service.config import MAX_CONFIG, parse_config

LOG: Final = logging.getLogger("chopmark.admin")
CONFIG_MODE: Final = 0o644
_OURS: Final = 0o600
_MAX_KEPT: Final = 4 * MAX_CONFIG
T = TypeVar("T", bound=msgspec.Struct)


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text, and the digest of the one that it was made from."""

    base: str
    text: str


class Applied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that is not confirmed: the text before it, and the digest of the one after it."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidate and the unconfirmed change of one configuration file, on disk.

    Attributes:
        config: the gateway's configuration.
        folder: of the service; nobody else may write there.
        restart: has the gateway take the file, if it runs.
    """

    config: Path
    folder: Path
    restart: Callable[[], Awaitable[None]]

    def differences(self) -> str:
        """What the candidate changes, line by line; empty without one."""
        candidate = self.candidate
        if candidate is None:
            return ""
        now = self._read()
        lines = difflib.unified_diff(
            now.splitlines(), candidate.text.splitlines(), "now", "candidate", n=1, lineterm=""
        )
        return "\n".join(lines)

    @property
    def candidate(self) -> Candidate | None:
        """The candidate, if there is one."""
        return _load(self._candidate, Candidate)

    @property
    def applied(self) -> Applied | None:
        """The change that is not confirmed, if there is one."""
        return _load(self._applied, Applied)

    def change(self, edit: Callable[[str], str]) -> None:
        """Change the candidate, or make one; what it comes to must hold as a configuration.

        Raises:
            ExistsError: `commit-pending`.
            ConfigurationError: it would not hold.
            MissingError: `no-such-file`: there is no configuration yet.
        """
        self.refuse_pending()
        before = self.candidate or Candidate(_digest(text := self._read()), text)
        text = edit(before.text)
        parse_config(text.encode())
        make_folder(self.folder, 0o711)
        kept = msgspec.json.encode(Candidate(before.base, text))
        replace_file(self._candidate, kept, _OURS)

    def discard(self) -> None:
        """Forget the candidate."""
        _remove(self._candidate)

    async def apply(self) -> None:
        """Put the candidate in force, to be confirmed.

        Raises:
            MissingError: `no-candidate`.
            ExistsError: `commit-pending`.
            RefusedError: `candidate-stale`.
            ConfigurationError: it does not hold.
            InternalError: `unit-failed`: the gateway does not start with it. It was taken back.
        """
        self.refuse_pending()
        candidate, now = self.candidate, self._read()
        if candidate is None or candidate.text == now:
            hint = "`configure broker` and others make one"
            raise MissingError("no-candidate", "there is nothing to apply", hint=hint)
        if candidate.base != _digest(now):
            message = "the configuration was changed since the candidate was made"
            hint = "`configure discard`, and make the changes again"
            raise RefusedError("candidate-stale", message, hint=hint)
        parse_config(candidate.text.encode())
        kept = msgspec.json.encode(Applied(now, _digest(candidate.text)))
        replace_file(self._applied, kept, _OURS)
        try:
            replace_file(self.config, candidate.text.encode(), CONFIG_MODE)
        except ChopmarkError:
            if self._find() == now:  # nothing was changed: no restart
                _remove(self._applied)
            else:
                await self.take_back()
            raise
        try:
            await self.restart()
        except ChopmarkError:
            await self.take_back()
            raise

    def confirm(self) -> None:
        """Keep what was applied.

        Raises:
            MissingError: `nothing-to-confirm`.
        """
        if self.applied is None and self.damaged:  # somebody has looked at the file in force
            _remove(_aside(self._applied))
            return
        self._require_pending()
        # The candidate first: one that has become the file is nothing, and goes with the next look.
        _remove(self._candidate)
        _remove(self._applied)

    async def take_back(self) -> None:
        """Put back what was in force before (rule 3). The candidate stays, to be mended.

        Raises:
            MissingError: `nothing-to-confirm`.
        """
        applied = self._require_pending()
        found = self._find()
        if found is not None and _digest(found) == applied.after:
            replace_file(self.config, applied.before.encode(), CONFIG_MODE)
        if self._find() == applied.before:
            try:
                await self.restart()
            except ChopmarkError as error:  # the file is right, and that is what we can do
                LOG.error("the gateway did not start again: %s", error, extra={"code": error.code})  # noqa: TRY400 - the reason says it all
        else:
            LOG.error("%s was edited meanwhile: it stays as it is", self.config)
        _remove(self._applied)

    def refuse_pending(self) -> None:
        """Change nothing beside a change that may be taken back: with another it would stay.

        Raises:
            ExistsError: `commit-pending`.
        """
        if self.applied is not None:
            hint = "`configure confirm` keeps it, `configure rollback` takes it back"
            raise ExistsError("commit-pending", "a change is not confirmed yet", hint=hint)

    @property
    def damaged(self) -> bool:
        """Whether it is not known any more what was in force before a change."""
        return _aside(self._applied).exists()

    def _require_pending(self) -> Applied:
        applied = self.applied
        if applied is None:
            message = "there is no change that waits for a confirmation"
            hint = "it was confirmed, or taken back: `show differences` tells"
            raise MissingError("nothing-to-confirm", message, hint=hint)
        return applied

    def _read(self) -> str:
        return read_bounded(self.config, MAX_CONFIG).decode("utf-8", "replace")

    def _find(self) -> str | None:
        """The configuration; None if somebody has removed it."""
        try:
            return self._read()
        except MissingError:
            return None

    @property
    def _candidate(self) -> Path:
        return self.folder / "candidate.json"

    @property
    def _applied(self) -> Path:
        return self.folder / "commit.json"


def _load(path: Path, kind: type[T]) -> T | None:
    """What was kept; what is damaged is set aside, for whoever finds out how that came."""
    try:
        return msgspec.json.decode(read_bounded(path, _MAX_KEPT), type=kind)
    except MissingError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        LOG.error("%s is damaged; it is kept as %s", path, _aside(path).name)  # noqa: TRY400 - the file is what tells
        path.replace(_aside(path))
        sync_folder(path.parent)
        return None


def _aside(path: Path) -> Path:
    return path.with_suffix(".damaged")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()

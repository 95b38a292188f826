"""What a check finds, and what it looks at."""

import pwd
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from chopmark.core.errors import ChopmarkError
from chopmark.service.config_model import Config

Mark = Literal["fault", "warning", "not-looked-at"]
UNSEEN: Final = "not-looked-at"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: stable, for programs and for the list in docs/operations/doctor.md.
        finding: what was found, in words.
        remedy: what to do.
        mark: `fault`, what keeps the gateway from its work or puts it at risk; `warning`, what may;
            `not-looked-at`, what could not be looked at, and so may be well or not.
    """

    code: str
    finding: str
    remedy: str
    mark: Mark = "fault"

    @classmethod
    def of(cls, error: ChopmarkError, remedy: str) -> "Finding":
        """An error that a check was told; `remedy` stands where it has no hint of its own."""
        return cls(error.code, error.message, error.hint or remedy)

    @classmethod
    def unseen(cls, reason: str, remedy: str) -> "Finding":
        """Say what was not looked at, and why: a check that saw nothing must not look like `ok`."""
        return cls(UNSEEN, reason, remedy, UNSEEN)


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to look at.

    Attributes:
        path: of the configuration.
        config: what it says.
        now: the system's clock, ms since the Unix epoch.
        status: of the gateway that runs (`GET /v1/status`), or None if none answers.
        locked: whether some process holds the state folder.
        uid: user id of this process.
    """

    path: Path
    config: Config
    now: int
    status: Mapping[str, Any] | None
    locked: bool
    uid: int

    @property
    def runs(self) -> bool:
        """Whether a gateway runs, or may."""
        return self.locked or self.status is not None

    @property
    def owner(self) -> int | None:
        """User id of the daemon, which owns the state folder; None if that cannot be known."""
        try:
            return self.config.gateway.state.stat().st_uid
        except OSError:
            return None

    @property
    def sees_all(self) -> bool:
        """Whether this process may look at what the daemon may look at."""
        return self.uid in (0, self.owner)

    def judge(self, error: ChopmarkError, remedy: str) -> Finding:
        """An error that a check was told: of the gateway, or only of whoever runs the check."""
        if isinstance(error.__cause__, PermissionError) and not self.sees_all:
            return self.barred(error.message)
        return Finding.of(error, remedy)

    def barred(self, reason: str) -> Finding:
        """What this user may not look at."""
        whose = f"root or {name_user(self.owner)}" if self.owner else "root"
        return Finding.unseen(reason, f"run this as {whose}; this is user {name_user(self.uid)}")


Check = Callable[[Scene], Iterable[Finding]]


def name_user(uid: int) -> str:
    """The name of a user; one without a name is shown by its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

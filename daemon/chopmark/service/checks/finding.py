"""What a check finds, and what it looks at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chopmark.core.errors import ChopmarkError
from chopmark.service.config_model import Config

Mark = Literal["fault", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: stable, for programs and for the list in docs/operations/doctor.md.
        finding: what was found, in words.
        remedy: what to do.
        mark: `fault`, what keeps the gateway from its work or puts it at risk; `warning`, what may.
    """

    code: str
    finding: str
    remedy: str
    mark: Mark = "fault"

    @classmethod
    def of(cls, error: ChopmarkError, remedy: str) -> "Finding":
        """An error that a check was told; `remedy` stands where it has no hint of its own."""
        return cls(error.code, error.message, error.hint or remedy)


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


Check = Callable[[Scene], Iterable[Finding]]

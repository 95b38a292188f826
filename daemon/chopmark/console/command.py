"""What a command is: words, who may, and what it does. The table of all is in `commands`."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from chopmark.console.desk import Desk


class Role(IntEnum):
    """Who may: each may what those before it may."""

    OBSERVE = 1
    SERVICE = 2
    DUAL = 3
    """Two technicians, signed in one after the other."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One word after those of the command.

    Attributes:
        name: as help shows it, such as `FILE`.
        help: key of its explanation in `words`.
        choices: what it may be, if that is known; these are completed and may be abbreviated.
        optional: may be left out. Only the last ones are.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        path: its words, such as `("show", "hsm")`; each may be abbreviated.
        help: key of its line of help in `words`.
        role: the least role that may.
        run: what it does, given the surroundings and its arguments by name.
        changes: it changes something, so that it is recorded in the audit log.
        serial: the box's serial number is typed before.
    """

    path: tuple[str, ...]
    help: str
    role: Role
    run: Callable[["Surroundings", Mapping[str, str]], Awaitable[None]]
    arguments: tuple[Argument, ...] = ()
    changes: bool = False
    serial: bool = False


class GatewayApi(Protocol):
    """The daemon's API on its unix socket (docs/api.md), by paths and JSON."""

    async def get(self, path: str, *, seconds: float = 3.0) -> Any:
        """JSON of a GET.

        Raises:
            UnreachableError: `gateway-unreachable`, also when the answer takes too long.
            ChopmarkError: what the API said, with its `code`.
        """
        ...

    async def post(self, path: str, body: object, *, seconds: float = 30.0) -> Any:
        """JSON of a POST; raises as `get`."""
        ...


class Admin(Protocol):
    """The verbs of `chopmark-admin`, on its unix socket."""

    async def do(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        """Have root do something of its table.

        Raises:
            UnreachableError: `admin-unreachable`.
            ChopmarkError: what it said; `not-on-this-platform` where the image is needed.
        """
        ...

    def look(self, verb: str, **arguments: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        """Have it look at something that takes long: what it tells, as it tells it.

        Whoever closes this ends the looking. Raises as `do`.
        """
        ...


class Recorder(Protocol):
    """The journal, and the audit log as soon as the daemon takes it."""

    async def record(self, who: str, action: str, outcome: str, **about: str) -> None:
        """Write one record; nothing secret may be in it. It never fails: it waits on the disk."""
        ...


@dataclass(slots=True)
class Surroundings:
    """What a command finds around it.

    Attributes:
        desk: the person.
        who: id of the technician, or of both, joined by `+`.
        role: what they may.
        gateway: the daemon.
        admin: what root does for us.
        recorder: what is kept of what was done.
        config: the gateway's configuration file; it need not be there yet.
    """

    desk: Desk
    who: str
    role: Role
    gateway: GatewayApi
    admin: Admin
    recorder: Recorder
    config: Path

"""The parts that a console is made of, brought together once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chopmark.console.command import Admin, GatewayApi, Recorder, Role
from chopmark.console.desk import Desk
from chopmark.console.login import Login
from chopmark.core.errors import ForbiddenError, UnreachableError


@dataclass(frozen=True, slots=True)
class Parts:
    """What sessions use; see `session.House`."""

    login: Login
    gateway: GatewayApi
    admin: Admin
    recorder: Recorder
    config: Path


class _Nobody:
    """Lets nobody in, and reaches nothing: until the real parts are put in their places here."""

    async def log_in(self, desk: Desk) -> tuple[str, Role]:
        del desk
        raise ForbiddenError("console-no-login", "nobody can sign in at this console yet")

    async def join(self, desk: Desk, who: str) -> tuple[str, Role]:
        del who
        return await self.log_in(desk)

    async def get(self, path: str, *, seconds: float = 3.0) -> Any:
        raise UnreachableError("gateway-unreachable", f"no {path} within {seconds:g} s")

    async def post(self, path: str, body: object, *, seconds: float = 30.0) -> Any:
        del body
        return await self.get(path, seconds=seconds)

    async def do(self, verb: str, **arguments: Any) -> dict[str, Any]:
        del arguments
        raise UnreachableError("admin-unreachable", f"nobody can do {verb} yet")

    async def record(self, who: str, action: str, outcome: str, **about: str) -> None:
        del who, action, outcome, about


def open_parts(config: Path) -> Parts:
    """The parts of this box's console."""
    nobody = _Nobody()
    return Parts(nobody, nobody, nobody, nobody, config)

"""Who is at the terminal: what the session asks of `access`."""

from typing import Protocol

from chopmark.console.command import Role
from chopmark.console.desk import Desk


class Login(Protocol):
    """Lets technicians in, and records who came and who was refused."""

    async def log_in(self, desk: Desk) -> tuple[str, Role]:
        """One try: id of the technician, and what that one may, `OBSERVE` or `SERVICE`.

        Raises:
            ForbiddenError: refused, after its delay; the message says what is left to do.
            ChopmarkError: nobody can be let in now.
            InterruptedByUserError: they gave up.
            HungUpError: see `Wire`.
        """
        ...

    async def check(self, who: str, role: Role) -> None:
        """See that somebody who has signed in still is who he was then: before each command.

        Raises:
            ForbiddenError: `technician-removed`, `technician-changed`.
        """
        ...

    async def join(self, desk: Desk, who: str) -> tuple[str, Role]:
        """Let a second technician sign in beside `who`: both ids, joined by `+`, and `DUAL`.

        Raises:
            ForbiddenError: also where it is the same one, or one who may only look.
            ChopmarkError: as `log_in`.
        """
        ...

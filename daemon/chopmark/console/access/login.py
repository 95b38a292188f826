"""Signing in at the terminal: what is asked, and what is told.

Whoever is asked for a PIN was asked for an id; whether anybody has that id nobody learns. `enrol`
in place of an id takes a file from head office, which its signature makes good: a new technician,
or a file that has expired, needs nobody who can still sign in.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from chopmark.console.access.codes import Kind
from chopmark.console.access.enrolling import Enrolling
from chopmark.console.access.judging import PAUSE, Access
from chopmark.console.access.waits import FREE, wait_error
from chopmark.console.command import Recorder, Role
from chopmark.console.desk import Desk
from chopmark.console.words import t
from chopmark.core.enrolment import Person
from chopmark.core.errors import ChopmarkError, ForbiddenError

ENROL: Final = "enrol"
DUAL: Final = "console.dual"
"""In the audit log."""
_ROLES: Final = {"observe": Role.OBSERVE, "service": Role.SERVICE}
T = TypeVar("T")


@dataclass(slots=True)
class TechnicianLogin:
    """Lets technicians in by PIN and one-time code.

    Attributes:
        access: judges.
        recorder: keeps who came, and who was refused.
    """

    access: Access
    recorder: Recorder
    _said_wait: bool = False

    async def log_in(self, desk: Desk) -> tuple[str, Role]:
        """One try: who it is, and what that one may. Whoever is refused has waited.

        Raises:
            TryAgainError: `console-wait`.
            ForbiddenError: `login-refused`.
            ChopmarkError: what `Access.judge`, `Enrolling.enrol` and the desk raise.
        """
        enrolling = Enrolling(self.access, self.recorder)
        await enrolling.greet(desk)
        name = await self._ask_id(desk)
        if name.lower() == ENROL:
            await enrolling.enrol(desk, "unknown")
            name = await self._ask_id(desk)
        person = await slowly(self.access, self._judge(desk, name, "console.login"))
        return person.id, _ROLES[person.duty]

    async def check(self, who: str, role: Role) -> None:
        """See that the enrolment in force still has them, with that role.

        One that cannot be read now ends no session: whoever is signed in may have come for that.

        Raises:
            ForbiddenError: `technician-removed`, `technician-changed`.
        """
        try:
            made = await self.access.enrolment()
        except ChopmarkError:
            return
        person = None if made is None else made.find(who)
        hint = "sign in again, or ask head office: a newer enrolment is in force"
        if person is None:
            raise ForbiddenError("technician-removed", f"{who} is not enrolled any more", hint=hint)
        if _ROLES[person.duty] != role:
            message = f"{who} has another role now: {person.duty}"
            raise ForbiddenError("technician-changed", message, hint=hint)

    async def join(self, desk: Desk, who: str) -> tuple[str, Role]:
        """Let a second technician sign in beside the first one, for what takes two.

        Raises:
            ForbiddenError: `same-technician`, `second-not-service`; else as `log_in`.
        """
        name = await self._ask_id(desk)
        if name == who:
            await self.recorder.record(who, DUAL, "same-technician", first=who)
            message = "the second technician is another one than the first"
            raise ForbiddenError("same-technician", message, hint="let the other one sign in")
        person = await slowly(self.access, self._judge(desk, name, DUAL, first=who))
        if person.duty != "service":
            await self.recorder.record(person.id, DUAL, "second-not-service", first=who)
            message = f"{person.id} has the role observe, and the second one needs service"
            raise ForbiddenError("second-not-service", message, hint="ask another technician")
        return f"{who}+{person.id}", Role.DUAL

    async def _ask_id(self, desk: Desk) -> str:
        """Until one is typed: Enter pressed once more, to wake the line, has tried nothing."""
        while not (name := (await desk.ask(t(desk.language, "access.id"))).strip()):
            pass
        return name

    async def _judge(self, desk: Desk, name: str, action: str, **about: str) -> Person:
        """Ask for PIN and code, and record what came of it; also if it is broken off."""
        kind = await self._tell(desk, name)
        pin = await desk.ask(t(desk.language, "access.pin"), secret=True)
        code = await desk.ask(t(desk.language, f"access.{kind}"), secret=True)
        whose, outcome, told = await self._whose(name), "broken-off", about
        try:
            person = await self.access.judge(name, pin, code)
            outcome, told = "done", {"role": person.duty, "by": kind, **about}
        except ChopmarkError as error:
            outcome = error.code
            raise
        finally:
            await self.recorder.record(whose, action, outcome, **told)
        self._said_wait = False
        return person

    async def _tell(self, desk: Desk, name: str) -> Kind:
        """Say what awaits this try; gives which code is asked for."""
        found = await self.access.outlook(name)
        if found.wait:
            await self._refuse(name, found.wait)
        if found.left < FREE:
            await desk.say(t(desk.language, "access.left", left=found.left))
        return found.kind

    async def _refuse(self, name: str, wait: int) -> None:
        """Record it once, and answer after a pause: trying on and on costs the disk nothing."""
        if not self._said_wait:
            self._said_wait = True
            whose = await self._whose(name)
            await self.recorder.record(whose, "console.login", "console-wait", seconds=str(wait))
        await self.access.sleep(PAUSE)
        raise wait_error(wait)

    async def _whose(self, name: str) -> str:
        """Who is recorded: what is no id may be a PIN in the wrong field."""
        made = await self.access.enrolment()
        return name if made is not None and made.find(name) is not None else "unknown"


async def slowly(access: Access, work: Awaitable[T]) -> T:
    """Do it; who is refused hears so after a pause."""
    try:
        return await work
    except ForbiddenError:
        await access.sleep(PAUSE)
        raise

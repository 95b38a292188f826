"""Taking a file from head office that says who may sign in: pasted, or brought by a transfer.

The first one of a box needs the commissioning code, and that somebody has compared the key that
signed it, over the telephone. Later ones need nothing but their signature: it is by the key that
the file before names, the file is for this box, and its number is higher.
"""

from dataclasses import dataclass
from typing import Final

from chopmark.console.access.judging import COMMISSIONING, PAUSE, Access
from chopmark.console.access.pasting import paste
from chopmark.console.access.waits import wait_error
from chopmark.console.command import Recorder
from chopmark.console.desk import Desk
from chopmark.console.words import t
from chopmark.core.enrolment import Enrolment
from chopmark.core.errors import ChopmarkError, ForbiddenError, TryAgainError
from chopmark.core.fingerprint import Fingerprint, encode_public

_YES: Final = "yes"
_FEW: Final = 2
"""Technicians of the role service, below which there is no dual control."""


@dataclass(frozen=True, slots=True)
class Enrolling:
    """Takes files.

    Attributes:
        access: judges them.
        recorder: keeps what was taken, and what was refused.
    """

    access: Access
    recorder: Recorder

    async def greet(self, desk: Desk) -> None:
        """Say to whoever comes to a new box how it goes on."""
        if await self.access.enrolment() is None:
            await desk.say(t(desk.language, "access.bare", box=await self.access.box()))

    async def enrol(self, desk: Desk, who: str) -> Enrolment:
        """Take a file that is pasted.

        Raises:
            ChopmarkError: what `Access.judge_code`, `Access.check` and the desk raise;
                `enrolment-not-confirmed`.
        """
        first = await self.access.enrolment() is None
        who = COMMISSIONING if first else who
        try:
            if first:
                await self._ask_code(desk)
            await desk.say(t(desk.language, "access.paste"))
            data = await paste(desk)
            if first:
                await _confirm(desk, await self.access.check(data))
        except ChopmarkError as error:
            await self.recorder.record(who, "console.enrolment", error.code)
            if isinstance(error, ForbiddenError | TryAgainError):  # a pause can be broken off
                await self.access.sleep(PAUSE)
            raise
        return await self._take(desk, who, data, first=first)

    async def take(self, desk: Desk, who: str, data: bytes) -> Enrolment:
        """Take a file that has come, on a box that has one already; raises as `Access.take`."""
        return await self._take(desk, who, data, first=False)

    async def _take(self, desk: Desk, who: str, data: bytes, *, first: bool) -> Enrolment:
        try:
            made = await self.access.take(data, first=first)
        except ChopmarkError as error:
            await self.recorder.record(who, "console.enrolment", error.code)
            raise
        heading = made.heading
        about = {"number": str(heading.version), "authority": heading.authority.name}
        await self.recorder.record(who, "console.enrolment", "done", **about)
        await desk.say(t(desk.language, "access.taken", number=heading.version))
        if sum(one.duty == "service" for one in heading.people) < _FEW:
            await desk.say(t(desk.language, "access.alone"))
        return made

    async def _ask_code(self, desk: Desk) -> None:
        found = await self.access.outlook(COMMISSIONING)
        if found.wait:
            raise wait_error(found.wait)
        await self.access.judge_code(
            await desk.ask(t(desk.language, "access.commissioning"), secret=True)
        )


async def _confirm(desk: Desk, made: Enrolment) -> None:
    """Have the person compare the key that signed the first file."""
    authority = made.heading.authority
    words = Fingerprint(encode_public(authority)).words
    await desk.say(t(desk.language, "access.compare", name=authority.name, words=words))
    if (await desk.ask(t(desk.language, "access.same"))).strip().lower() != _YES:
        message = "nobody has said that these are the words that head office has"
        hint = "nothing was taken; ask head office which key it signs with"
        raise ForbiddenError("enrolment-not-confirmed", message, hint=hint)

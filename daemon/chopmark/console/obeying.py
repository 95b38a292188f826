"""One line from the prompt is obeyed: by whom it may be, confirmed, done and recorded."""

from dataclasses import replace

from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.grammar import Match
from chopmark.console.login import Login
from chopmark.console.terminal import Terminal
from chopmark.console.words import t
from chopmark.core.errors import ChopmarkError, ForbiddenError, RefusedError

ACTION = "console.command"
"""In the audit log."""


class Obeying:
    """Does what a signed-in technician types.

    Args:
        desk: theirs, also in `around`.
        around: what commands find, with the one technician.
        login: for a second one beside them.
        serial: number on the box's label.
        port: for records.
    """

    def __init__(
        self, desk: Terminal, around: Surroundings, login: Login, serial: str, port: str
    ) -> None:
        self._desk = desk
        self._around = around
        self._login = login
        self._serial = serial
        self._port = port

    async def obey(self, match: Match) -> None:
        """Run a command.

        Raises:
            ForbiddenError: `console-role`, or what the second sign-in says.
            RefusedError: `console-serial`.
            ChopmarkError: what the command says.
        """
        command = match.command
        around = await self._allow(command)
        if command.serial:
            await self._confirm(command, around)
        self._desk.include, self._desk.pager.off = match.include, not match.paged
        try:
            await self._run(match, around)
        finally:
            self._desk.include, self._desk.pager.off = "", False

    async def _allow(self, command: Command) -> Surroundings:
        around = self._around
        if command.role <= around.role:
            return around
        if command.role is Role.DUAL and around.role is Role.SERVICE:
            return await self._call_second(command)
        await self._record(around, command, "console-role")
        name = " ".join(command.path)
        message = f"`{name}` needs the role {command.role.name.lower()}"
        hint = "have somebody with that role sign in; `show` and `test` are for everybody"
        raise ForbiddenError("console-role", message, hint=hint)

    async def _call_second(self, command: Command) -> Surroundings:
        around, language = self._around, self._desk.language
        name = " ".join(command.path)
        await self._desk.say(t(language, "dual.needed", command=name, who=around.who))
        who, role = await self._login.join(self._desk, around.who)
        return replace(around, who=who, role=role)

    async def _confirm(self, command: Command, around: Surroundings) -> None:
        language = self._desk.language
        await self._desk.say(t(language, "serial.why", command=" ".join(command.path)))
        typed = await self._desk.ask(t(language, "serial.ask"))
        if typed.casefold() != self._serial.casefold():
            await self._record(around, command, "console-serial")
            message = "that is not the serial number of this box; nothing was done"
            hint = "read it from the label on the box, and type it as it stands there"
            raise RefusedError("console-serial", message, hint=hint)

    async def _run(self, match: Match, around: Surroundings) -> None:
        command, outcome = match.command, "broken-off"
        if command.changes:
            await self._record(around, command, "begun", match)
        try:
            await command.run(around, match.arguments)
            outcome = "done"
        except ChopmarkError as error:
            outcome = error.code
            raise
        finally:
            if command.changes:
                await self._record(around, command, outcome, match)

    async def _record(
        self, around: Surroundings, command: Command, outcome: str, match: Match | None = None
    ) -> None:
        given = match.arguments.items() if match else ()
        said = " ".join((*command.path, *(f"{name}={value}" for name, value in given)))
        await around.recorder.record(around.who, ACTION, outcome, command=said, port=self._port)

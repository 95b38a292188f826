"""What each step works with: the person, the box as it is found, and what was noted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chopmark.console.command import Surroundings
from chopmark.console.commissioning.noted import Notes, open_notes
from chopmark.console.snapshot import read_config
from chopmark.console.words import t
from chopmark.core.errors import ChopmarkError, ConfigurationError, RefusedError
from chopmark.service.config_model import Config

YES: Final = "yes"
LOOK: Final = 0.5
"""Seconds between two looks at what is waited for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What looking at the box shows of a step: done or not, and in a few words what is there."""

    done: bool
    told: str = ""


OPEN: Final = Seen(done=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: names its texts, `commission.NAME.…`.
        look: whether it is done.
        do: does it, with the person.
    """

    name: str
    look: Callable[["Scene"], Awaitable[Seen]]
    do: Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """See the module."""

    around: Surroundings
    notes: Notes = field(default_factory=open_notes)

    def t(self, key: str, **values: object) -> str:
        """A text of the wizard, in the person's language."""
        return t(self.around.desk.language, f"commission.{key}", **values)

    async def say(self, key: str, **values: object) -> None:
        """Show one."""
        await self.around.desk.say(self.t(key, **values))

    async def ask(self, key: str, *, default: str = "", secret: bool = False) -> str:
        """Ask one; an answer that is not secret is without blanks around it."""
        answer = await self.around.desk.ask(self.t(key), default=default, secret=secret)
        return answer if secret else answer.strip()

    async def agree(self, key: str, **values: object) -> None:
        """Have `yes` typed.

        Raises:
            RefusedError: `step-declined`.
        """
        answer = await self.around.desk.ask(self.t(key, word=YES, **values))
        if answer.strip().lower() != YES:
            message, hint = "`yes` was not typed; nothing was done", "`commission` asks again"
            raise RefusedError("step-declined", message, hint=hint)

    async def admin(self, verb: str, **values: Any) -> Mapping[str, Any]:
        """Have root do something."""
        return await self.around.admin.do(verb, who=self.around.who, **values)

    async def config(self) -> Config | None:
        """The configuration, or None before there is one.

        Raises:
            ConfigurationError: there is one, and it does not hold.
        """
        found = await asyncio.to_thread(read_config, self.around.config)
        if isinstance(found, ConfigurationError):
            if self.around.config.exists():
                raise found
            return None
        return found

    async def need_config(self) -> Config:
        """The same, for steps behind the one that makes it.

        Raises:
            ConfigurationError: `config-missing`.
        """
        found = await self.config()
        if found is None:
            hint = "`commission` makes it"
            raise ConfigurationError("config-missing", "there is no gateway yet", hint=hint)
        return found

    async def get(self, path: str) -> Any:
        """JSON of the daemon's API, or None while it does not answer."""
        try:
            return await self.around.gateway.get(path)
        except ChopmarkError:
            return None

    async def wait_for(self, condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Whether it has come true in time; Ctrl-C ends the wait."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not await condition():
            if loop.time() > end:
                return False
            await asyncio.sleep(LOOK)
        return True

"""A desk for tests of the console's commands: a STAND-IN in memory, without terminal or port.

It enforces the contract of `chopmark.console.desk`: a question for which the test has no answer
fails it, and so does touching the desk while its line is lent out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chopmark.console.command import Role, Surroundings
from chopmark.console.desk import HungUpError, InterruptedByUserError, Language
from chopmark.core.errors import ChopmarkError, UnreachableError
from rig.patience import PATIENCE

CTRL_C = "\x03"
"""As an answer: the person presses Ctrl-C instead."""


@dataclass
class QueueWire:
    """One end of a line in memory; `None` in its queue is a hang-up."""

    incoming: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    outgoing: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    async def read(self) -> bytes:
        data = await self.incoming.get()
        if data is None:
            self.incoming.put_nowait(None)
            raise HungUpError("hung-up", "the other end is gone")
        return data

    async def write(self, data: bytes) -> None:
        assert data, "nothing to write"
        await self.outgoing.put(data)

    def hang_up(self) -> None:
        self.outgoing.put_nowait(None)


def wire_pair() -> tuple[QueueWire, QueueWire]:
    """Both ends of a line."""
    one, other = asyncio.Queue[bytes | None](), asyncio.Queue[bytes | None]()
    return QueueWire(one, other), QueueWire(other, one)


@dataclass
class MemoryDesk:
    """A person who has made up her answers before.

    Attributes:
        answers: to what is asked, in order; `CTRL_C` interrupts.
        said: all that was shown.
        asked: the prompts, with whether the answer was secret.
        wire: what `raw` lends.
    """

    answers: deque[str] = field(default_factory=deque)
    language: Language = "en"
    plain: bool = False
    width: int = 80
    speed: int | None = 115_200
    said: list[str] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    wire: QueueWire = field(default_factory=QueueWire)
    lent: bool = False

    async def say(self, text: str = "") -> None:
        assert not self.lent, "spoke while the line was lent out"
        self.said += text.split("\n")

    async def ask(self, prompt: str, *, secret: bool = False, default: str = "") -> str:
        assert not self.lent, "asked while the line was lent out"
        self.asked.append((prompt, secret))
        assert self.answers, f"no answer to: {prompt}"
        answer = self.answers.popleft()
        if answer == CTRL_C:
            raise InterruptedByUserError("interrupted", "interrupted")
        return answer or default

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[QueueWire]:
        assert not self.lent
        self.lent = True
        try:
            yield self.wire
        finally:
            self.lent = False

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@dataclass
class MemoryGateway:
    """Answers of the API by path; an error there is raised, a path without one is unreachable."""

    gets: dict[str, Any] = field(default_factory=dict)
    posts: dict[str, Callable[[object], Any]] = field(default_factory=dict)

    async def get(self, path: str, *, seconds: float = 3.0) -> Any:
        assert seconds > 0
        return _give(self.gets.get(path, _away()))

    async def post(self, path: str, body: object, *, seconds: float = PATIENCE) -> Any:
        assert seconds > 0
        return _give(self.posts[path](body) if path in self.posts else _away())


@dataclass
class MemoryAdmin:
    """Verbs of root by name; one that is not there answers as without the image."""

    verbs: dict[str, Callable[..., Mapping[str, Any]]] = field(default_factory=dict)
    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def do(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        self.done.append((verb, arguments))
        if verb not in self.verbs:
            raise ChopmarkError("not-on-this-platform", f"{verb} needs the appliance")
        return self.verbs[verb](**arguments)

    async def look(self, verb: str, **arguments: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        """Without such a verb it is away: the console looks for itself."""
        self.done.append((verb, arguments))
        if verb not in self.verbs:
            raise UnreachableError("admin-unreachable", "there is no chopmark-admin here")
        for one in self.verbs[verb](**arguments)["told"]:
            yield one


@dataclass
class MemoryRecorder:
    """Keeps what was recorded."""

    records: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)

    async def record(self, who: str, action: str, outcome: str, **about: str) -> None:
        self.records.append((who, action, outcome, about))


def surroundings(desk: MemoryDesk, **given: Any) -> Surroundings:
    """What a command is given, with stand-ins for what is not given."""
    usual: dict[str, Any] = {
        "who": "tech-7",
        "role": Role.SERVICE,
        "gateway": MemoryGateway(),
        "admin": MemoryAdmin(),
        "recorder": MemoryRecorder(),
        "config": Path("/nonexistent/gateway.toml"),
    }
    return Surroundings(desk=desk, **(usual | given))


def _away() -> UnreachableError:
    return UnreachableError("gateway-unreachable", "the gateway does not answer")


def _give(found: Any) -> Any:
    if isinstance(found, Exception):
        raise found
    return found

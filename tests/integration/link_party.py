"""A link to a real broker, with what it has received."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, Limits, Message, Will
from chopmark.mesh.link import Link
from rig.patience import PATIENCE

QUICK = replace(DEFAULT_LIMITS, backoff_first=0.05, backoff_top=0.5)


class Reachable(Protocol):
    """A broker that runs."""

    def broker_for(self, member: str) -> Broker:
        """How this member reaches it."""
        ...


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # conditions of real programs raise no event
            await asyncio.sleep(0.01)


class Party:
    """A link with what it has received; acknowledges unless told otherwise."""

    def __init__(
        self,
        rig: Reachable,
        name: str,
        *filters: str,
        will: Will | None = None,
        limits: Limits = QUICK,
        acknowledge: bool = True,
        delay: float | None = None,
    ) -> None:
        self.got: list[Message] = []
        self.sessions: list[bool] = []
        self.peak = 0  # most messages that waited at once
        self.acknowledge = acknowledge
        self.delay = delay
        self.link = Link(
            rig.broker_for(name),
            name,
            filters or (f"nothing/for/{name}",),
            will=will,
            on_message=self._on_message,
            on_connect=self._on_connect,
            limits=limits,
        )

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.got]

    async def _on_message(self, message: Message) -> None:
        counters = self.link.counters
        self.peak = max(self.peak, counters.received - counters.acknowledged)
        if self.delay is not None:
            await asyncio.sleep(self.delay)
        self.got.append(message)
        if self.acknowledge:
            message.acknowledge()

    async def _on_connect(self, session_present: bool) -> None:  # noqa: FBT001  # Link's contract
        self.sessions.append(session_present)

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Link]:
        before = len(self.sessions)
        task = asyncio.create_task(self.link.run())
        try:
            await until(lambda: task.done() or len(self.sessions) > before)
            yield self.link
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled(), task.exception()

"""Takes our own log back from the peers that hold a replica of it, while no gateway runs here.

Nothing is published: questions go out, and answers come in. Messages for the gateway that wait at
the brokers are dropped meanwhile; its catch-up brings again what was in them.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chopmark.core.errors import ChopmarkError
from chopmark.mesh import topics
from chopmark.mesh.asking import Asker, Routes
from chopmark.mesh.broker import Broker, Message, Will
from chopmark.mesh.catchup import CatchUp
from chopmark.mesh.intake import Intake
from chopmark.mesh.lanes import Holder
from chopmark.mesh.links import Links
from chopmark.mesh.messages import HeadRequest, HeadsSeen, Status, parse_heads
from chopmark.mesh.ports import FollowedLog
from chopmark.mesh.topics import parse_topic

ANSWER: Final = 3.0
"""Seconds to wait for heads before they are asked for again."""
PAUSE: Final = 0.5
MAX_NOTES: Final = 8
"""Notes of one peer's log that are kept; the newest ones."""


class Fetch:
    """Questions about one log, to all peers.

    Args:
        me: our member id.
        brokers: where to; each once.
        peers: whom to ask.
        log: what grows by their answers.

    Attributes:
        notes: by peer, notes of its own log that may carry our cosignature, as brokers retain
            them and as it answers; not verified.
    """

    def __init__(
        self, me: str, brokers: Sequence[Broker], peers: Sequence[str], log: FollowedLog
    ) -> None:
        self._log = log
        self._peers = tuple(peers)
        self.notes: dict[str, deque[bytes]] = {peer: deque(maxlen=MAX_NOTES) for peer in peers}
        self._sizes: dict[str, int] = {}
        self._links = Links(
            brokers,
            me,
            [topics.reply(me, "+"), *_retained(me, peers)],
            on_message=self._take,
            on_connect=self._connected,
            will=Will(topics.status(me), Status(online=False, sizes={}).encode()),
        )
        self._asker = Asker(me, self._links, Routes())
        self._intake = Intake(log)
        self._catch_up = CatchUp(log, self._asker, self._intake, self._holders)
        self._intake.changed = self._catch_up.went_on

    async def run(self) -> None:
        """Keep the links up, and take in what is asked for; cancel to end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._links.run(), name="links")
            tasks.create_task(self._intake.run(), name="intake")
            tasks.create_task(self._catch_up.run(), name="catch-up")

    async def ask_all(
        self, patience: float, answered: Callable[[int], None]
    ) -> Mapping[str, HeadsSeen]:
        """Ask every peer for the newest heads that it has seen, until each has answered.

        Args:
            patience: seconds after which those that have not answered are left out.
            answered: told how many have.
        """
        found: dict[str, HeadsSeen] = {}

        async def ask(peer: str) -> None:
            while peer not in found:
                try:
                    request = HeadRequest(self._log.origin)
                    found[peer] = parse_heads(await self._asker.ask(peer, request, ANSWER))
                except ChopmarkError:
                    await asyncio.sleep(PAUSE)
            answered(len(found))

        asking = [asyncio.create_task(ask(peer)) for peer in self._peers]
        try:
            await asyncio.wait(asking, timeout=patience)
        finally:
            for task in asking:
                task.cancel()
        return found

    async def ask_own(self, origins: Mapping[str, str]) -> None:
        """Ask peers for the heads of their own logs, once: they may carry our cosignature.

        Args:
            origins: of each peer that answers, its log's name.
        """

        async def ask(peer: str, origin: str) -> None:
            with contextlib.suppress(ChopmarkError):
                answer = parse_heads(await self._asker.ask(peer, HeadRequest(origin), ANSWER))
                for note in answer.notes:
                    self._take_note(peer, note)

        await asyncio.gather(*(ask(peer, origin) for peer, origin in origins.items()))

    def holds(self, peer: str, size: int) -> None:
        """A peer has shown a head of ours, of this size, whose entries it says it holds."""
        self._sizes[peer] = size

    def wake(self) -> None:
        """There is something to ask for."""
        self._catch_up.wake()

    def _holders(self) -> list[Holder]:
        return [Holder(peer, size) for peer, size in self._sizes.items()]

    async def _connected(self, _number: int) -> None:
        self._catch_up.wake()

    async def _take(self, _number: int, message: Message) -> None:
        topic = parse_topic(message.topic)
        if topic is not None and topic.kind == "reply" and topic.other in self._peers:
            self._asker.take_reply(message)
        elif topic is not None and topic.kind in ("cosignature", "checkpoint"):
            self._take_note(topic.owner, message.payload)
        message.acknowledge()

    def _take_note(self, peer: str, note: bytes) -> None:
        if peer in self.notes:
            self.notes[peer].append(note)


def _retained(me: str, peers: Sequence[str]) -> list[str]:
    """Where notes of peers' logs stand that we have cosigned."""
    return [
        topic for peer in peers for topic in (topics.cosignature(peer, me), topics.checkpoint(peer))
    ]

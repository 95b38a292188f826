"""The mesh as one part: one link, what we publish, what we take in, and catch-up.

Messages about one peer's log are taken by one task each, so that a slow disk or a noisy peer holds
up nobody else. They are acknowledged once what they brought is durable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.mesh import topics
from chopmark.mesh.broker import DEFAULT_LIMITS
from chopmark.mesh.catchup import Asker, CatchUp, Server
from chopmark.mesh.link import Broker, Link, Message, Will
from chopmark.mesh.live import Publisher
from chopmark.mesh.messages import Status, parse_status
from chopmark.mesh.ports import FollowedLog, HeldLog
from chopmark.mesh.topics import Topic, parse_topic

RETRY: Final = 1.0
"""Seconds between attempts to store while the disk refuses."""
MAX_GROUP: Final = 64
"""Packages stored in one transaction."""
MAX_QUEUE: Final = 2 * DEFAULT_LIMITS.unacknowledged
"""Messages about one peer that wait: more than a link hands over at once, so that it is full only
of what an earlier connection brought and this one brings again."""
MAX_SIZES: Final = 100
"""Logs in a status: more would not fit a small message. They are hints."""


@dataclass(slots=True)
class Peer:
    """What the mesh knows of one peer."""

    log: FollowedLog
    catch_up: CatchUp
    online: bool | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    overflows: int = 0
    queue: asyncio.Queue[tuple[Topic, Message]] = field(
        default_factory=lambda: asyncio.Queue(MAX_QUEUE)
    )


class Mesh:
    """Our part in the mesh, over one broker."""

    def __init__(
        self,
        me: str,
        broker: Broker,
        own: HeldLog,
        followed: Sequence[FollowedLog],
        heartbeat: Callable[[], Awaitable[bytes]],
        make_link: Callable[..., Link] = Link,
    ) -> None:
        self.link = make_link(
            broker,
            me,
            topics.subscriptions(me, [log.peer for log in followed]),
            on_message=self._take,
            on_connect=self._connected,
            will=Will(topics.status(me), Status(online=False, sizes={}).encode()),
        )
        logs = {log.origin: log for log in (own, *followed)}
        self._asker = Asker(me, self.link)
        self._server = Server(me, self.link, logs)
        self._publisher = Publisher(me, self.link, own, heartbeat, lambda: _sizes(logs))
        self.peers = {log.peer: self._make_peer(log) for log in followed}
        self.strangers = 0

    async def run(self) -> None:
        """Take part for ever; cancel to leave."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run(), name="link")
            tasks.create_task(self._publisher.run(), name="publisher")
            tasks.create_task(self._server.run(), name="server")
            for name, peer in self.peers.items():
                tasks.create_task(peer.catch_up.run(), name=f"catch-up-{name}")
                tasks.create_task(self._serve_peer(peer), name=f"intake-{name}")

    def head_moved(self) -> None:
        """Tell that our own log has a new signed head."""
        self._publisher.head_moved()

    def _make_peer(self, log: FollowedLog) -> Peer:
        return Peer(log, CatchUp(log, self._asker, lambda: self._helpers(log.peer)))

    def _helpers(self, peer: str) -> list[str]:
        """Whom to ask about a peer's log: itself first, those known to be offline last."""
        others = [name for name in self.peers if name != peer]
        return sorted([peer, *others], key=lambda name: self.peers[name].online is False)

    async def _connected(self, _session_present: bool) -> None:  # noqa: FBT001 - the link's callback
        self._publisher.connected()
        for peer in self.peers.values():
            peer.catch_up.wake()

    async def _take(self, message: Message) -> None:
        """Hand a message on; nothing here waits, or may raise."""
        topic = parse_topic(message.topic)
        if topic is not None and topic.kind in ("request", "reply"):
            if topic.kind == "reply":
                self._asker.take_reply(message)
            elif topic.other in self.peers:
                self._server.take_request(topic.other, message)
            message.acknowledge()
        elif topic is not None and topic.owner in self.peers:
            self._queue(self.peers[topic.owner], topic, message)
        else:
            self.strangers += 1
            message.acknowledge()

    def _queue(self, peer: Peer, topic: Topic, message: Message) -> None:
        try:
            peer.queue.put_nowait((topic, message))
        except asyncio.QueueFull:  # it was there before, or catch-up will bring it
            peer.overflows += 1
            message.acknowledge()

    async def _serve_peer(self, peer: Peer) -> None:
        while True:
            group = [await peer.queue.get()]
            while len(group) < MAX_GROUP and not peer.queue.empty():
                group.append(peer.queue.get_nowait())
            packages = [m.payload for topic, m in group if topic.kind == "entries"]
            if packages:
                await _insist(lambda packages=packages: peer.log.ingest(packages))  # type: ignore[misc]
            for topic, message in group:
                if topic.kind != "entries":
                    await self._take_note(peer, topic, message.payload)
                message.acknowledge()
            if peer.log.missing:
                peer.catch_up.wake()

    async def _take_note(self, peer: Peer, topic: Topic, payload: bytes) -> None:
        """Take a checkpoint, heartbeat or status; what is bad is counted and dropped."""
        try:
            if topic.kind == "checkpoint":
                await _insist(lambda: peer.log.observe_head(payload))
            elif topic.kind == "cosignature":
                await _insist(lambda: peer.log.observe_cosignature(payload))
            elif topic.kind == "status":
                self._take_status(peer, parse_status(payload))
        except InternalError:
            raise  # our own fault, not the peer's
        except ChopmarkError as error:
            peer.log.drop(error)

    def _take_status(self, peer: Peer, status: Status) -> None:
        back = status.online and not peer.online
        peer.online, peer.sizes = status.online, status.sizes
        if back:
            peer.catch_up.wake()


async def _insist(call: Callable[[], Awaitable[object]]) -> None:
    """Try until the disk takes it: what is not durable is not acknowledged."""
    while True:
        try:
            await call()
        except TryAgainError:
            await asyncio.sleep(RETRY)
        else:
            return


def _sizes(logs: Mapping[str, HeldLog]) -> dict[str, int]:
    return {origin: log.signed_size for origin, log in islice(logs.items(), MAX_SIZES)}

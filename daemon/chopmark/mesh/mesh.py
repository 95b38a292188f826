"""The mesh as one part: links to all brokers, what we publish, what we take in, and catch-up.

Each peer's log has its own intake and its own catch-up (`peer`); what peers say of themselves
tells whom to ask, and how fast we may go (`pace`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from chopmark.core.errors import (
    ChopmarkError,
    MalformedError,
    MissingError,
    UnreachableError,
)
from chopmark.mesh import topics
from chopmark.mesh.asking import Asker, Routes
from chopmark.mesh.broker import Broker, Message, Will
from chopmark.mesh.bulletins import Bulletins, Handler
from chopmark.mesh.intake import MAX_UNVERIFIED
from chopmark.mesh.lanes import Holder
from chopmark.mesh.link import Link
from chopmark.mesh.links import Links
from chopmark.mesh.live import Printer, Publisher
from chopmark.mesh.messages import (
    HeadRequest,
    HeadsSeen,
    Request,
    Status,
    parse_heads,
    parse_status,
)
from chopmark.mesh.news import News
from chopmark.mesh.pace import Pace
from chopmark.mesh.peer import Peer
from chopmark.mesh.ports import FollowedLog, HeldLog
from chopmark.mesh.serving import Server
from chopmark.mesh.topics import Topic, parse_topic

MAX_SIZES: Final = 100
"""Logs in a status: more would not fit a small message. They are hints."""
MAX_ALL_UNVERIFIED: Final = 32 * 1024 * 1024
"""Bytes of unverified packages of all peers together; each has an equal share of it."""
HEADS_WAIT: Final = 2.0
"""Seconds to wait for heads: a small answer, asked for again while nobody gives it."""
LOOK: Final = 1.0
"""Seconds between two looks at the pace while no peer says anything."""


class Mesh:
    """Our part in the mesh.

    Attributes:
        strangers: messages on topics that are no business of ours.
        on_connect: called when a link is up again: what was published meanwhile may be lost.
        on_returned: told the owner and the note of each cosignature of ours that a broker had kept.
            Over one link they come before any answer to a question: it subscribes first.
    """

    def __init__(
        self,
        me: str,
        brokers: Sequence[Broker],
        own: HeldLog,
        followed: Sequence[FollowedLog],
        heartbeat: Callable[[], Awaitable[bytes]],
        make_link: Callable[..., Link] | None = None,
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        self.bulletins = Bulletins(handlers or {}, self._refuse)
        self.links = Links(
            brokers,
            me,
            topics.subscriptions(me, [log.peer for log in followed], self.bulletins.handlers),
            on_message=self._take,
            on_connect=self._connected,
            will=Will(topics.status(me), Status(online=False, sizes={}).encode()),
            make_link=make_link,
        )
        self._me = me
        for link in self.links.each:
            link.on_oversized = self._count_oversized
        self._own = own
        self._logs: Mapping[str, HeldLog] = {log.origin: log for log in (own, *followed)}
        self._routes = Routes()
        self._asker = Asker(me, self.links, self._routes)
        self._pace = Pace()
        self._paced = asyncio.Event()
        self._slowed = False
        self.server = Server(me, self.links, self._logs)
        self.server.refused = self._refuse
        self.server.understands = lambda name: self.peers[name].is_understood
        printer = Printer(own, keep=len(brokers) > 1)
        self.publishers = [Publisher(me, link, printer, self._is_heard) for link in self.links.each]
        self._news = News(me, self.links.each, own, heartbeat, self._sizes)
        share = min(MAX_UNVERIFIED, MAX_ALL_UNVERIFIED // max(1, len(followed)))
        self.peers = {log.peer: self._make_peer(log, share) for log in followed}
        self.strangers = 0
        self.on_connect: Callable[[], None] = lambda: None
        self.on_returned: Callable[[str, bytes], None] = lambda _owner, _note: None

    async def run(self) -> None:
        """Take part for ever; cancel to leave."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.links.run(), name="links")
            tasks.create_task(self._news.run(), name="news")
            tasks.create_task(self.server.run(), name="server")
            tasks.create_task(self.bulletins.run(), name="bulletins")
            for number, publisher in enumerate(self.publishers):
                tasks.create_task(publisher.run(), name=f"publisher-{number + 1}")
            for name, peer in self.peers.items():
                tasks.create_task(peer.catch_up.run(), name=f"catch-up-{name}")
                tasks.create_task(peer.intake.run(), name=f"intake-{name}")

    def head_moved(self) -> None:
        """Tell that our own log has a new signed head."""
        for publisher in self.publishers:
            publisher.head_moved()
        self._news.head_moved()
        self.lags()

    def settle_heads(self, settled: Callable[[bytes], Awaitable[None]]) -> None:
        """Tell no further head of our log until this has returned for the one told last."""
        self._news.settled = settled

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish a note, retained, to every broker; of each topic only the newest waits.

        It is published again now and then, and whenever a broker is connected again.
        """
        self._news.tell(topic, payload)

    async def ask_heads(self, peer: str) -> HeadsSeen:
        """The newest heads of our own log that a peer has seen; they are not verified.

        Raises:
            ChopmarkError: it does not answer, or not with heads.
        """
        return parse_heads(await self._asker.ask(peer, HeadRequest(self._own.origin), HEADS_WAIT))

    async def fetch(self, member: str, start: int) -> bytes:
        """The package of a peer's log that begins at `start`, from whoever has it.

        Raises:
            UnreachableError: `no-reply`: nobody has sent it.
            MissingError: `not-there`: those who answer do not have it.
        """
        log = self.peers[member].log
        failure: ChopmarkError = UnreachableError("no-reply", "no broker is connected")
        for holder in self._holders(log):
            try:
                return await self._asker.ask(holder.name, Request(log.origin, start, start + 1))
            except (MissingError, UnreachableError) as error:
                failure = error
        raise failure

    def lags(self) -> Mapping[str, int]:
        """Entries of our log that each peer that counts for our pace lacks."""
        return self._pace.lags(self._own.signed_size, _now())

    @property
    def slowed(self) -> bool:
        """Whether our log is being held back for a peer."""
        return self._slowed

    async def room(self) -> None:
        """Wait until the peers that count are near enough for our log to grow."""
        while self._pace.is_slowed(self._own.signed_size, _now()):
            self._slowed = True
            self._paced.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._paced.wait()
        self._slowed = False

    def online(self, peer: Peer) -> bool | None:
        """Whether a peer is online, as far as the brokers say to which we are connected."""
        said = [peer.seen[number] for number in self.links.connected if number in peer.seen]
        return any(said) if said else None

    def _is_heard(self) -> bool:
        """Whether a peer is there to hear what we publish, as far as we know."""
        return any(self.online(peer) for peer in self.peers.values())

    def _make_peer(self, log: FollowedLog, share: int) -> Peer:
        return Peer.make(
            log, self._asker, lambda: self._holders(log), share, self._news.sizes_changed
        )

    def _holders(self, log: FollowedLog) -> list[Holder]:
        """Whom to ask for a log: its own gateway first, and those known to be offline last.

        Those who would not understand the question are not asked.
        """
        others = [self._holder(name, log) for name in self.peers if name != log.peer]
        own = Holder(log.peer, sure=self.online(self.peers[log.peer]) is not False)
        offline = {name for name, peer in self.peers.items() if self.online(peer) is False}
        found = [one for one in (own, *others) if self.peers[one.name].is_understood]
        return sorted(found, key=lambda one: (not one.sure, one.name in offline))

    def _holder(self, name: str, log: FollowedLog) -> Holder:
        peer = self.peers[name]
        size = peer.sizes.get(log.origin)
        sure = size is not None and size > log.size and self.online(peer) is not False
        return Holder(name, size, sure=sure)

    async def _connected(self, number: int) -> None:
        self.publishers[number].connected()
        self._news.connected()
        for peer in self.peers.values():
            peer.seen.pop(number, None)
            peer.catch_up.wake()
        self.on_connect()

    async def _take(self, number: int, message: Message) -> None:
        """Hand a message on; nothing here waits, or may raise."""
        topic = parse_topic(message.topic)
        if topic is not None and topic.kind == "cosignature" and topic.other == self._me:
            if message.retain:
                self.on_returned(topic.owner, message.payload)
            message.acknowledge()  # ours, which comes back
            return
        peer = None if topic is None else self._sender(topic)
        if topic is None or peer is None:
            self.strangers += 1
            message.acknowledge()
            return
        if topic.kind != "status":  # a status may be a will, or retained
            self._routes.heard(peer.log.peer, number)
        if topic.kind == "cosignature" and topic.owner in self.peers:
            self.peers[topic.owner].intake.take_live(topic, message)
            return
        if self._is_bulletin(topic):
            self.bulletins.take(peer.log.peer, topic, message)
            return
        if topic.kind in ("entries", "checkpoint"):
            peer.intake.take_live(topic, message)
            return
        if topic.kind == "reply":
            self._asker.take_reply(message)
        elif topic.kind == "request":
            self.server.take_request(topic.other, number, message)
        else:
            self._take_status(peer, number, message.payload)
        message.acknowledge()

    def _sender(self, topic: Topic) -> Peer | None:
        """Which peer writes to this topic, as the access rules of a broker should have it."""
        if topic.kind == "cosignature" and topic.other != topic.owner:
            known = topic.owner in self.peers or topic.kind in self.bulletins.handlers
            return self.peers.get(topic.other) if known else None
        if topic.kind in ("request", "reply"):
            return self.peers.get(topic.other)
        kinds = ("entries", "checkpoint", "cosignature", "status", *self.bulletins.handlers)
        return self.peers.get(topic.owner) if topic.kind in kinds else None

    def _is_bulletin(self, topic: Topic) -> bool:
        """Whether a handler takes it; a heartbeat, which the log's owner writes, is none."""
        heartbeat = topic.kind == "cosignature" and topic.owner == topic.other
        return topic.kind in self.bulletins.handlers and not heartbeat

    def _count_oversized(self, name: str) -> None:
        """A message was thrown away unread; whose topic it came on is known."""
        topic = parse_topic(name)
        peer = None if topic is None else self._sender(topic)
        if peer is not None:
            peer.log.drop(MalformedError("too-large", "a message of more than 64 KiB"))

    def _refuse(self, sender: str, error: ChopmarkError) -> None:
        self.peers[sender].log.drop(error)

    def _take_status(self, peer: Peer, number: int, payload: bytes) -> None:
        try:
            status = parse_status(payload)
        except ChopmarkError as error:
            peer.log.drop(error)
            return
        before, understood = self.online(peer), peer.is_understood
        peer.seen[number], peer.speaks = status.online, status.speaks
        if status.online:
            peer.sizes = status.sizes
            self._measure(peer)
        elif not self.online(peer):
            self._pace.gone(peer.log.peer)
        if self.online(peer) and not (before and understood):
            peer.catch_up.wake()
        self._paced.set()

    def _measure(self, peer: Peer) -> None:
        size = peer.sizes.get(self._own.origin)
        if peer.log.conflict is not None or not peer.is_understood:
            self._pace.gone(peer.log.peer)
        elif size is not None:
            self._pace.heard(peer.log.peer, size, self._own.signed_size, _now())

    def _sizes(self) -> dict[str, int]:
        logs = islice(self._logs.items(), MAX_SIZES)
        return {origin: log.signed_size for origin, log in logs}


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Stand-ins for the link and for logs, which hold the mesh to the contracts of the real ones."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chopmark.core.errors import ChopmarkError, MissingError
from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, BrokerAwayError, Message, Will
from chopmark.mesh.messages import Request, parse_request
from chopmark.mesh.topics import Topic, parse_topic

BROKER = Broker("broker.example", 1883)


@dataclass(frozen=True)
class Sent:
    """What was published."""

    topic: str
    payload: bytes
    retain: bool
    correlation: bytes | None
    expiry: int | None

    @property
    def parts(self) -> Topic:
        topic = parse_topic(self.topic)
        assert topic is not None
        return topic


class FakeLink:
    """Stand-in for `mesh.link.Link`: no broker, the same promises.

    It refuses what the link refuses, hands messages over one at a time, fails the test when more
    than the limit are held, and loses what is unacknowledged when the connection ends.
    """

    def __init__(
        self,
        broker: Broker = BROKER,
        client_id: str = "",
        filters: Sequence[str] = (),
        *,
        on_message: Callable[[Message], Awaitable[None]] | None = None,
        on_connect: Callable[[bool], Awaitable[None]] | None = None,
        will: Will | None = None,
    ) -> None:
        self.broker, self.client_id, self.filters, self.will = broker, client_id, filters, will
        self._on_message, self._on_connect = on_message, on_connect
        self._held: list[Message] = []
        self._handing = False
        self.connected = True
        self.sent: asyncio.Queue[Sent] = asyncio.Queue()
        self.publishing = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def reason(self) -> str:
        return "" if self.connected else "cut by the test"

    @property
    def held(self) -> int:
        """Messages that were handed over and not acknowledged."""
        return len(self._held)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        correlation: bytes | None = None,
        expiry: int | None = None,
    ) -> None:
        assert len(topic) <= DEFAULT_LIMITS.topic
        assert len(payload) <= DEFAULT_LIMITS.payload
        assert not set(topic) & set("+#")
        self.publishing.set()
        if self.connected:
            await self.gate.wait()
        if not self.connected:
            raise BrokerAwayError(self.broker, self.reason)
        self.sent.put_nowait(Sent(topic, payload, retain, correlation, expiry))

    async def deliver(
        self, topic: str, payload: bytes, correlation: bytes | None = None, *, retain: bool = False
    ) -> Message:
        """Hand a message over, as the link does."""
        assert not self._handing, "messages are handed over one at a time"
        assert self.held < DEFAULT_LIMITS.unacknowledged, "the link hands over no more"
        message = Message(
            topic,
            payload,
            correlation,
            retain=retain,
            mid=1,
            release=lambda: self._held.remove(message),
        )
        self._held.append(message)
        self._handing = True
        assert self._on_message is not None
        await self._on_message(message)
        self._handing = False
        return message

    def cut(self) -> None:
        """End the connection: what is not acknowledged will come again, in other messages."""
        self.connected = False
        for message in list(self._held):
            message._release = lambda: None
        self._held.clear()

    async def reconnect(self) -> None:
        self.connected = True
        assert self._on_connect is not None
        await self._on_connect(True)  # noqa: FBT003 - the link's callback

    async def next(self, kind: str = "", seconds: float = 30.0) -> Sent:
        """The next message that was published, of a kind if one is given."""
        async with asyncio.timeout(seconds):
            while True:
                sent = await self.sent.get()
                if kind in ("", sent.parts.kind):
                    return sent


@dataclass
class FakeLog:
    """Stand-in for a log, ours or a replica: its packages are `<origin> <start>`, ten entries each.

    As a replica it takes packages in order only, and answers as `FollowedLog` demands.
    """

    origin: str
    peer: str = ""
    size: int = 0
    target: int = 0
    per_package: int = 10
    conflict: str | None = None
    observed: list[tuple[str, bytes]] = field(default_factory=list)
    dropped: list[ChopmarkError] = field(default_factory=list)
    ingested: list[list[bytes]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def signed_size(self) -> int:
        return self.size

    @property
    def head_note(self) -> bytes | None:
        return b"head %d" % self.size if self.size else None

    @property
    def missing(self) -> int:
        return 0 if self.conflict else max(0, self.target - self.size)

    async def package(self, start: int) -> tuple[bytes, int]:
        await asyncio.sleep(0)
        self._fail()
        if not 0 <= start < self.size:
            raise MissingError("not-signed", "no signed head covers it")
        end = min((start // self.per_package + 1) * self.per_package, self.size)
        return b"%s %d %d" % (self.origin.encode(), start, end), end

    async def ingest(self, payloads: Sequence[bytes]) -> int:
        await self.gate.wait()
        self._fail()
        before = self.size
        for payload in payloads:
            origin, start, end = payload.split()
            if origin == self.origin.encode() and int(start) <= self.size:
                self.size = max(self.size, int(end))
        self.target = max(self.target, self.size)
        self.ingested.append(list(payloads))
        self._note_change()
        return self.size - before

    async def observe_head(self, note: bytes) -> None:
        await self._observe("head", note)

    async def observe_cosignature(self, note: bytes) -> None:
        await self._observe("cosignature", note)

    def drop(self, error: ChopmarkError) -> None:
        self.dropped.append(error)
        self._note_change()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something that happens to this log makes it hold."""
        async with asyncio.timeout(30):
            while not condition():
                await self.changed.wait()
                self.changed.clear()

    async def _observe(self, kind: str, note: bytes) -> None:
        await asyncio.sleep(0)
        self._fail()
        self.observed.append((kind, note))
        if note.startswith(b"head "):
            self.target = max(self.target, int(note.split()[1]))
        self._note_change()

    def _fail(self) -> None:
        if self.failures:
            self._note_change()
            raise self.failures.pop(0)

    def _note_change(self) -> None:
        self.changed.set()


def request_of(sent: Sent) -> Request:
    """The request in what was published."""
    return parse_request(sent.payload)

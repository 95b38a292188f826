"""Stand-ins for the link and for logs, which hold the mesh to the contracts of the real ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from chopmark.core.errors import ChopmarkError, MissingError
from chopmark.core.package import Package, parse_package
from chopmark.core.tiles import encode_bundle, parse_bundle
from chopmark.mesh import topics
from chopmark.mesh.asking import Asker
from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, BrokerAwayError, Message, Will
from chopmark.mesh.links import Links
from chopmark.mesh.messages import Request, encode_error, parse_request
from chopmark.mesh.topics import Topic, parse_topic
from rig.patience import PATIENCE

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
        self.refusal = ""
        self.fault = None
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

    async def next(self, kind: str = "", seconds: float = PATIENCE) -> Sent:
        """The next message that was published, of a kind if one is given."""
        async with asyncio.timeout(seconds):
            while True:
                sent = await self.sent.get()
                if kind in ("", sent.parts.kind):
                    return sent


def fake_links(monkeypatch: pytest.MonkeyPatch, count: int = 1, me: str = "me") -> Links:
    """Links over stand-ins, which hand over nothing by themselves."""
    monkeypatch.setattr("chopmark.mesh.links.Link", FakeLink)
    brokers = [Broker(f"broker-{number}.example", 1883) for number in range(count)]

    async def ignore(_number: int, _message: Message | None = None) -> None:
        return None

    will = Will("", b"")
    return Links(brokers, me, (), on_message=ignore, on_connect=ignore, will=will)


def fake(links: Links, number: int = 0) -> FakeLink:
    """The stand-in behind one of the links."""
    link = links.each[number]
    assert isinstance(link, FakeLink)
    return link


@dataclass
class FakeLog:
    """Stand-in for a log, ours or a replica: its packages have no proof, and ten entries each.

    As a replica it takes packages in order only, and answers as `FollowedLog` demands.
    """

    origin: str
    peer: str = ""
    size: int = 0
    target: int = 0
    per_package: int = 10
    conflict: str | None = None
    paused: bool = False
    observed: list[tuple[str, bytes]] = field(default_factory=list)
    dropped: list[ChopmarkError] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    ingested: list[list[bytes]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    seen_notes: list[bytes] = field(default_factory=list)
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
        return live(self.origin, start, end, self.size), end

    async def ingest(self, payloads: Sequence[bytes], senders: Sequence[str]) -> int:
        assert len(senders) == len(payloads)
        await self.gate.wait()
        self._fail()
        if self.paused:
            self._note_change()
            return 0
        before = self.size
        for payload in payloads:
            origin, start, end = range_of(payload)
            if origin != self.origin:
                continue
            self.target = max(self.target, head_of(payload))
            if start <= self.size:
                self.size = max(self.size, end)
        self.ingested.append(list(payloads))
        self._note_change()
        return self.size - before

    async def observe_head(self, note: bytes) -> None:
        await self._observe("head", note)

    async def observe_announced(self, note: bytes) -> None:
        await self._observe("announced", note)

    async def observe_cosignature(self, note: bytes) -> None:
        await self._observe("cosignature", note)

    def drop(self, error: ChopmarkError, sender: str = "") -> None:
        self.dropped.append(error)
        self.senders.append(sender)
        self._note_change()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something that happens to this log makes it hold."""
        async with asyncio.timeout(PATIENCE):
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


def live(origin: str, start: int, end: int, head: int = 0) -> bytes:
    """A package of one-byte entries, as far as nobody looks for its proof."""
    bundle = encode_bundle([b"e"] * (end - start))
    return Package(origin, start, bundle, b"", b"", b"head %d" % (head or end)).encode()


def range_of(payload: bytes) -> tuple[str, int, int]:
    """Origin, start and end of a package."""
    package = parse_package(payload)
    return package.origin, package.start, package.start + len(parse_bundle(package.bundle))


def head_of(payload: bytes) -> int:
    """Size of the head in a package."""
    return int(parse_package(payload).note.split()[1])


def request_of(sent: Sent) -> Request:
    """The request in what was published."""
    return parse_request(sent.payload)


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Jobs that run as long as the block."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def serving(job: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """A job that runs as long as the block, and may fail: the test looks at its task."""
    task = asyncio.create_task(job)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await task


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what has no event."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)


class Peers:
    """Other gateways, which answer the requests that the link carries."""

    def __init__(self, link: FakeLink, asker: Asker, **logs: FakeLog | None) -> None:
        self._link = link
        self._asker = asker
        self._logs = {name.replace("_", "-"): log for name, log in logs.items()}
        self.asked: list[tuple[str, int]] = []

    async def run(self) -> None:
        while True:
            sent = await self._link.sent.get()
            peer, wanted = sent.parts.owner, request_of(sent)
            self.asked.append((peer, wanted.start))
            log = self._logs.get(peer)
            if log is not None:
                self._asker.take_reply(await self._reply(peer, sent, log, wanted))

    async def _reply(self, peer: str, sent: Sent, log: FakeLog, wanted: Request) -> Any:
        try:
            payload, _ = await log.package(wanted.start)
        except MissingError as error:
            payload = encode_error(error.code)
        return answer_of(payload, sent.correlation, peer)


def answer_of(payload: bytes, correlation: bytes | None, peer: str = "sz-1") -> Any:
    """A peer's answer, as a link hands it over."""
    topic = topics.reply("me", peer)
    return Message(topic, payload, correlation, retain=False, mid=1, release=lambda: None)

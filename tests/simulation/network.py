"""The broker and the way to it, simulated to the promises of `mesh.link.Link` and no better.

The broker loses, doubles and delays (hence reorders) messages, forgets sessions and retained
messages when it is restarted, and can be cut off from a gateway in either direction, or be made
not to pass on what one gateway writes to another.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from chopmark.core.errors import ChopmarkError, InternalError, RefusedError
from chopmark.mesh.backoff import Backoff
from chopmark.mesh.broker import DEFAULT_LIMITS, BrokerAwayError, Counters, Message, Will
from simulation.loop import OWNER, SimLoop

MAX_PENDING = 1000
"""Messages that the broker keeps for one session; it drops more, as Mosquitto does."""


@dataclass(frozen=True)
class Sent:
    """A message as the broker has it."""

    topic: str
    payload: bytes
    correlation: bytes | None = None
    retain: bool = False
    by: str = ""


class Watched(Message):
    """A message, who wrote it, and how many entries of its log were held when it came."""

    held = -1
    by = ""


@dataclass
class Session:
    """What the broker knows of one client."""

    filters: frozenset[str] = frozenset()
    pending: deque[Sent] = field(default_factory=deque)
    in_flight: OrderedDict[int, Sent] = field(default_factory=OrderedDict)
    line: "Line | None" = None
    sent: int = 0

    def matches(self, topic: str) -> bool:
        """Whether it has subscribed to a topic; a filter is one, or ends in `+`."""
        return topic in self.filters or topic[: topic.rindex("/") + 1] + "+" in self.filters


class SimBroker:
    """One broker for all."""

    def __init__(self, loop: SimLoop, random: Random, trace: Callable[..., None]) -> None:
        self.loop, self.random, self.trace = loop, random, trace
        self.loss = self.double = 0.0
        self.delay = 0.01
        self.window = DEFAULT_LIMITS.unacknowledged
        self.up = True
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Sent] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.routes: set[tuple[str, str]] = set()
        self.messages = 0
        self.ears: list[Callable[[str, Sent], None]] = []
        self.watch: Callable[[str, Message], None] = lambda _client, _message: None

    def later(self, call: Callable[..., None], *args: Any) -> None:
        """After some delay; now and then a long one."""
        slow = 30 if self.random.random() < 0.05 else 1
        delay = slow * self.random.expovariate(1 / self.delay)
        self.loop.call_at(self.loop.now + delay, call, *args)

    def attach(self, line: "Line", filters: Sequence[str]) -> bool:
        """A client has connected and subscribed; whether its session was still there."""
        present = line.client in self.sessions
        session = self.sessions.setdefault(line.client, Session())
        if session.line is not None:
            session.line.end("taken over")
        session.filters, session.line = frozenset(filters), line
        again = [*session.in_flight.values()]
        session.in_flight.clear()
        session.pending.extendleft(reversed(again))
        session.pending.extend(sent for t, sent in self.retained.items() if session.matches(t))
        self._push(session)
        return present

    def detach(self, line: "Line") -> None:
        """A client is gone; its will is published."""
        session = self.sessions.get(line.client)
        if session is not None and session.line is line:
            session.line = None
        if line.will is not None and self.up:
            self.take(line.client, Sent(line.will.topic, line.will.payload, retain=True))

    def take(self, sender: str, sent: Sent) -> None:
        """A message has arrived."""
        self.messages += 1
        self.trace(b"take", sent.topic.encode(), sent.payload)
        if sent.retain:
            self.retained[sent.topic] = sent
        for ear in self.ears:
            ear(sender, sent)
        for client, session in self.sessions.items():
            if not session.matches(sent.topic) or (sender, client) in self.routes:
                continue
            copies = 0 if self.random.random() < self.loss else 1
            copies += self.random.random() < self.double
            for _ in range(copies):
                self.later(
                    self._queue,
                    session,
                    Sent(sent.topic, sent.payload, sent.correlation, by=sender),
                )

    def acknowledge(self, client: str, number: int) -> None:
        """A client has acknowledged a message."""
        session = self.sessions.get(client)
        if session is not None:
            session.in_flight.pop(number, None)
            self._push(session)

    def restart(self, *, sessions: bool, retained: bool) -> None:
        """Come back after a fall, with or without the memory."""
        if self.up:
            return
        self.up = True
        if not sessions:
            self.sessions.clear()
        if not retained:
            self.retained.clear()

    def fall(self) -> None:
        """Go away."""
        self.up = False
        for session in list(self.sessions.values()):
            if session.line is not None:
                session.line.end("the broker fell")

    def _queue(self, session: Session, sent: Sent) -> None:
        if len(session.pending) < MAX_PENDING:
            session.pending.append(sent)
            self._push(session)

    def _push(self, session: Session) -> None:
        line = session.line
        if line is None or (line.client, "down") in self.cuts:
            return
        while session.pending and len(session.in_flight) < self.window:
            sent = session.pending.popleft()
            session.sent += 1
            session.in_flight[session.sent] = sent
            line.last = max(line.last + 1e-6, self.loop.now + self.random.random() * self.delay)
            self.loop.call_at(line.last, line.arrive, session.sent, sent)


class Line:
    """One connection, from one client."""

    def __init__(self, broker: SimBroker, client: str, will: Will | None) -> None:
        self.broker, self.client, self.will = broker, client, will
        self.ended: asyncio.Future[str] = broker.loop.create_future()
        self.inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self.held: deque[Message] = deque()
        self.answers: dict[asyncio.Future[None], None] = {}
        self.last = broker.loop.now

    def arrive(self, number: int, sent: Sent) -> None:
        """A message has come over the line."""
        if self.ended.done() or (self.client, "down") in self.broker.cuts:
            return  # not acknowledged: it comes again on the next line
        message = Watched(
            sent.topic,
            sent.payload,
            sent.correlation,
            retain=sent.retain,
            mid=number,
            release=lambda: self._release(message),
        )
        message.by = sent.by
        self.held.append(message)
        self.inbox.put_nowait(message)
        self.broker.watch(self.client, message)

    def _release(self, message: Message) -> None:
        self.broker.watch(self.client, message)
        while self.held and self.held[0].acknowledged:
            message = self.held.popleft()
            if not self.ended.done() and (self.client, "up") not in self.broker.cuts:
                self.broker.later(self._told, message.mid)

    def _told(self, number: int) -> None:
        if not self.ended.done():
            self.broker.acknowledge(self.client, number)

    def end(self, reason: str) -> None:
        """Lose the connection."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self.held.clear()
        while not self.inbox.empty():
            self.inbox.get_nowait()
        self.inbox.put_nowait(None)
        for answer in self.answers:
            if not answer.done():
                answer.set_exception(ConnectionError(reason))
                answer.exception()
        self.broker.detach(self)


class SimLink:
    """Stands in for `mesh.link.Link`."""

    def __init__(
        self,
        sim: SimBroker,
        broker: Any,
        client_id: str,
        filters: Sequence[str],
        *,
        on_message: Callable[[Message], Awaitable[None]],
        on_connect: Callable[[bool], Awaitable[None]],
        will: Will | None = None,
    ) -> None:
        self._sim, self._broker, self._client, self._filters = sim, broker, client_id, filters
        self._on_message, self._on_connect, self._will = on_message, on_connect, will
        self._owner = OWNER.get()
        self.line: Line | None = None
        self.reason = "not connected yet"
        self.refusal = ""
        self.counters = Counters()

    @property
    def connected(self) -> bool:
        return self.line is not None and not self.line.ended.done()

    async def run(self) -> None:
        """Keep a line up, as the real one does."""
        backoff = Backoff(0.5, 8.0, self._sim.random)
        while True:
            await asyncio.sleep(self._sim.random.random() * self._sim.delay)
            if self._sim.up and not self._is_cut():
                backoff.reset()
                await self._serve(Line(self._sim, self._client, self._will))
            await asyncio.sleep(backoff.next())

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        correlation: bytes | None = None,
        expiry: int | None = None,  # noqa: ARG002 - nothing here lives long enough
    ) -> None:
        if len(payload) > DEFAULT_LIMITS.payload or len(topic) > DEFAULT_LIMITS.topic:
            raise RefusedError("message-too-large", f"{topic}: {len(payload)} bytes")
        line = self.line
        if line is None or line.ended.done() or self._owner.dead:
            raise BrokerAwayError(self._broker, self.reason)
        answer: asyncio.Future[None] = self._sim.loop.create_future()
        line.answers[answer] = None
        sent = Sent(topic, payload, correlation, retain)
        self._sim.later(self._arrive, line, sent, answer)
        self._sim.loop.call_later(DEFAULT_LIMITS.publish_timeout, _give_up, line, answer)
        try:
            await answer
        except ConnectionError as error:
            raise BrokerAwayError(self._broker, str(error)) from None
        finally:
            line.answers.pop(answer, None)

    def _arrive(self, line: Line, sent: Sent, answer: asyncio.Future[None]) -> None:
        """At the broker. What was sent before the line was lost may arrive all the same."""
        lost = line.ended.done() and self._sim.random.random() < 0.5
        if lost or not self._sim.up or (self._client, "up") in self._sim.cuts:
            return
        self._sim.take(self._client, sent)
        self._sim.later(self._told, answer)

    def _told(self, answer: asyncio.Future[None]) -> None:
        if not answer.done() and (self._client, "down") not in self._sim.cuts:
            answer.set_result(None)

    def _is_cut(self) -> bool:
        return not self._sim.cuts.isdisjoint({(self._client, "up"), (self._client, "down")})

    async def _serve(self, line: Line) -> None:
        consumer = asyncio.create_task(self._consume(line), name="consumer")
        try:
            present = self._sim.attach(line, self._filters)
            self.line = line
            with suppress(BrokerAwayError):
                await self._on_connect(present)
            await asyncio.wait({consumer, line.ended}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            consumer.cancel()
            raise
        finally:
            self.line = None
            line.end("stopped")
            await asyncio.wait({consumer})  # the message in hand is finished first
        self._end(consumer)

    def _end(self, consumer: asyncio.Task[None]) -> None:
        try:
            consumer.result()
        except InternalError:
            raise
        except ChopmarkError as error:
            self.reason = error.message

    async def _consume(self, line: Line) -> None:
        while (message := await line.inbox.get()) is not None:
            if _is_oversized(message):
                self.counters.dropped += 1
                message.acknowledge()
            else:
                await self._on_message(message)


def _is_oversized(message: Message) -> bool:
    """What the real link throws away."""
    too_long = len(message.correlation or b"") > DEFAULT_LIMITS.correlation
    return too_long or len(message.payload) > DEFAULT_LIMITS.payload


def _give_up(line: Line, answer: asyncio.Future[None]) -> None:
    if not answer.done():
        line.end("no answer from the broker")


def link_to(sim: SimBroker) -> Callable[..., SimLink]:
    """What a mesh makes its link with."""
    return partial(SimLink, sim)

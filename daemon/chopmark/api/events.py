"""`GET /v1/events`: what happens, as it happens, as server-sent events (WHATWG HTML, 9.2).

Rules:
1. A stream begins with a `state` event, and what follows are changes of that. One that is resumed
   by `Last-Event-ID` goes on after that event instead, if the events since are still kept.
2. Each event is made once, whoever listens; what a stream has not sent yet is bounded.
3. A client that reads too slowly is told so by an `end` event, and its stream ends. It loses
   nothing that it could not ask for: it comes again, and hears the state anew.
4. When the gateway stops, each stream ends with an `end` event.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.limits import ApiLimits
from chopmark.api.models import EventsQuery, read_query
from chopmark.api.pipeline import ClientGoneError
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.slots import Slots
from chopmark.api.stream import Output
from chopmark.api.times import Deadline

MEDIA_TYPE: Final = "text/event-stream"
KEPT: Final = 1024
"""Events that are kept for those who come again."""
_PIECES: Final = 64
"""Events that go out in one write."""
_RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes again."""
_BEAT: Final = b":\n\n"
"""A comment: it tells client and proxies that the stream lives."""
_encoder: Final = msgspec.json.Encoder()


class Stream:
    """What one client has not been sent yet."""

    def __init__(self, waiting: list[bytes], bound: int) -> None:
        self._waiting = deque(waiting)
        self._bound = max(bound, len(waiting))
        self._changed = asyncio.Event()
        self.end: bytes | None = None

    def offer(self, event: bytes) -> None:
        """Add an event; if there is no room, the stream ends."""
        if self.end is not None:
            return
        if len(self._waiting) >= self._bound:
            self._waiting.clear()
            message = "this stream was not read as fast as things happened"
            self.close("slow-reader", message, "read faster; come again, and hear the state anew")
        else:
            self._waiting.append(event)
            self._changed.set()

    def close(self, code: str, message: str, hint: str) -> None:
        """Let it end, once what waits is sent."""
        if self.end is None:
            self.end = render("end", {"code": code, "message": message, "hint": hint})
            self._changed.set()

    async def take(self, seconds: float) -> bytes | None:
        """The next events, or a sign of life after so many seconds; None after the last one."""
        if not self._waiting and self.end is None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        if self._waiting:
            some = min(_PIECES, len(self._waiting))
            return b"".join([self._waiting.popleft() for _ in range(some)])
        return None if self.end is not None else _BEAT


class Events:
    """Tells everybody who listens.

    Args:
        run: a word that tells this run's events from any other's.
        state: gives the state that changes are changes of, as JSON.
        bound: events that a stream may not have sent yet.
    """

    def __init__(self, run: str, state: Callable[[], dict[str, Any]], bound: int = 256) -> None:
        self._run = run
        self._state = state
        self._bound = bound
        self._number = 0
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._streams: set[Stream] = set()
        self._stopped = False

    def publish(self, name: str, data: object) -> None:
        """Tell of something."""
        self._number += 1
        event = render(name, data, self._id(self._number))
        self._kept.append((self._number, event))
        for stream in self._streams:
            stream.offer(event)

    def stop(self) -> None:
        """Let all streams end, now and from now on."""
        self._stopped = True
        for stream in self._streams:
            _stop(stream)

    @contextmanager
    def listening(self, last: str | None) -> Iterator[Stream]:
        """A stream of what happens while the block runs.

        Args:
            last: id of the last event that the client has; None if it is new.
        """
        stream = Stream(self._begin(last), self._bound)
        if self._stopped:
            _stop(stream)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def _begin(self, last: str | None) -> list[bytes]:
        """What a stream begins with: what was missed, or the state."""
        run, _, text = (last or "").rpartition("-")
        if run == self._run and text.isdecimal() and text.isascii() and len(text) < 20:
            number = int(text)
            first = self._kept[0][0] if self._kept else self._number + 1
            if first - 1 <= number <= self._number:
                return [event for one, event in self._kept if one > number]
        return [render("state", self._state(), self._id(self._number))]

    def _id(self, number: int) -> str:
        return f"{self._run}-{number}"


def render(name: str, data: object, number: str | None = None) -> bytes:
    """An event as it is sent; JSON has no line feeds, so that one line of data holds it."""
    begin = b"" if number is None else b"id: %s\n" % number.encode()
    return b"%sevent: %s\ndata: %s\n\n" % (begin, name.encode(), _encoder.encode(data))


def make_events_route(events: Events, limits: ApiLimits | None = None) -> ASGIRouteHandler:
    """The route in front of them."""
    bounds = limits or ApiLimits()
    slots = Slots(bounds.event_streams, "streams of events", retry_after=5)

    @asgi("/v1/events", copy_scope=False, opt=TAKES_QUERY)
    async def follow_events(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "GET":
            raise MethodNotAllowedException(headers={"allow": "GET"})
        query = read_query(scope["query_string"], EventsQuery)
        last = [value for name, value in scope["headers"] if name == b"last-event-id"]
        seconds = query.seconds if isinstance(query.seconds, float) else None
        with slots.taken(), events.listening(last[-1].decode("latin-1") if last else None) as one:
            await _serve(one, seconds, bounds.beat, receive, Output(send, MEDIA_TYPE))

    return follow_events


async def _serve(
    stream: Stream, seconds: float | None, beat: float, receive: Receive, output: Output
) -> None:
    """Send until the stream ends, its time is up, or the client hangs up."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(receive), name="events watcher")
            await output.write(_RETRY)
            await _send_all(stream, seconds, beat, output)
            if stream.end is not None:
                await output.write(stream.end)
            await output.finish()
            watching.cancel()
    except* ClientGoneError:
        pass


async def _send_all(stream: Stream, seconds: float | None, beat: float, output: Output) -> None:
    deadline = Deadline(float("inf") if seconds is None else seconds)
    while (more := await stream.take(min(beat, deadline.left()))) is not None:
        if more is not _BEAT or deadline.left():
            await output.write(more)
        if not deadline.left():
            return


async def _watch(receive: Receive) -> None:
    """Wait for the client to hang up; what it sends is of no interest."""
    while (await receive())["type"] == "http.request":
        pass
    raise ClientGoneError


def _stop(stream: Stream) -> None:
    stream.close("stopping", "the gateway stops", "come again in a moment")

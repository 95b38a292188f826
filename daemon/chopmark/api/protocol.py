"""uvicorn's HTTP parser with bounds on the request's head, and a short way for plain requests.

httptools collects request line and headers without limit; bodies have flow control already. And
uvicorn waits for a head for ever, so that silent connections would use up all that are allowed.

A request takes the short way (`short.py`) if it is plain: HTTP/1.1 with keep-alive, one of the
short routes, a small body announced by its length that comes without delay, on a connection that
is idle and whose client reads its answers. Everything else is uvicorn's.
"""

from asyncio import Event, Task, TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chopmark.api.guard import is_local
from chopmark.api.posts import Handler
from chopmark.api.short import Reply, ShortRoutes, status_line

_UNUSUAL: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"connection"})
"""Headers whose meaning is left to uvicorn, unless they say `keep-alive`."""
_SMALL: Final = 64 * 1024
"""Bytes of a body on the short way: as many as uvicorn keeps before it stops reading."""
_DELAY: Final = 0.05
"""Seconds for a body to arrive. Many clients send it in a packet of its own, right behind the
head; for one that is slow, uvicorn's way has the time limits."""


class HeadTooLargeError(Exception):
    """Raised out of the parser, which then refuses the request with status 400."""


class _Exchange(RequestResponseCycle):
    """A request on the short way; to uvicorn's protocol it looks like one of its own."""

    def __init__(self, event: Event) -> None:  # none of uvicorn's machinery is needed
        self.message_event = event
        self.disconnected = False
        self.response_complete = False
        self.keep_alive = True
        self.more_body = False


class _BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of each head: those that are read, and those of a header not ended yet.

    Attributes:
        _handler: of the request being read, while it may yet take the short way.
        _delayed: runs while the rest of its body is due.
    """

    max_head: int
    head_seconds: float
    short: ShortRoutes
    _in_head = False
    _head = 0
    _heads = 0
    _unfinished = 0
    _late: TimerHandle | None = None
    _handler: Handler | None = None
    _plain = True
    _read = b""
    _delayed: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_delay()
        self._handler = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; cut off a head that goes on and on."""
        was_in_head, idle, heads = self._in_head, self._is_idle(), self._heads
        super().data_received(data)
        if self._handler is not None and self._delayed is None:
            self._delayed = self.loop.call_later(_DELAY, self._go_long)
        if idle and self._late is None and heads == self._heads:
            self._wait_for_head()
        if was_in_head and self._in_head:
            # The parser keeps an unfinished header to itself: count what came in instead.
            self._unfinished += len(data)
            if self._unfinished > self.max_head and not self.transport.is_closing():
                self.send_400_response("The request head is too large.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head, self._head, self._unfinished, self._plain = True, 0, 0, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)
        name = name.lower()
        if name == b"content-length":
            self._plain &= value.isdigit() and len(value) < 6 and int(value) <= _SMALL
        elif name in _UNUSUAL and value.lower() != b"keep-alive":
            self._plain = False

    def on_headers_complete(self) -> None:
        """End counting, and waiting; choose the way."""
        self._in_head = False
        self._heads += 1
        self._stop_waiting()
        self._handler = self._find_handler()
        if self._handler is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what has come of a body."""
        if self._handler is None:
            super().on_body(body)
        else:
            self._read += body

    def on_message_complete(self) -> None:
        """All of the request is here."""
        if self._handler is None:
            super().on_message_complete()
            return
        self._stop_delay()
        handle, body = self._handler, self._read
        self._handler, self._read = None, b""
        self._go_short(handle, body)

    def _find_handler(self) -> Handler | None:
        handle = self.short.find(self.parser.get_method(), self.url)
        plain = (
            handle is not None
            and self._plain
            and self._is_idle()
            and self.parser.get_http_version() == "1.1"
            and not self.flow.write_paused
            and not self._is_crowded()
            and is_local(self.server, self.headers)
        )
        return handle if plain else None

    def _is_idle(self) -> bool:
        done = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        return done and self._handler is None

    def _is_crowded(self) -> bool:
        """Whether uvicorn would refuse the request, which then is its business."""
        limit = self.limit_concurrency
        return limit is not None and max(len(self.connections), len(self.tasks)) >= limit

    def _go_long(self) -> None:
        """Let uvicorn have a request after all."""
        self._delayed = None
        read, self._handler, self._read = self._read, None, b""
        super().on_headers_complete()
        if read:
            super().on_body(read)

    def _go_short(self, handle: Handler, body: bytes) -> None:
        exchange = _Exchange(_NOBODY_WAITS)
        self.cycle = exchange
        task: Task[None] = self.loop.create_task(self._exchange(exchange, handle, body))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _exchange(self, exchange: _Exchange, handle: Handler, body: bytes) -> None:
        self._answer(exchange, await self.short.answer(handle, body))

    def _answer(self, exchange: _Exchange, reply: Reply) -> None:
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        lines = [status_line(reply.status)]
        for name, value in self.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        if not exchange.keep_alive:  # the server is stopping
            lines.append(b"connection: close\r\n")
        lines.append(reply.rest)
        self.transport.write(b"".join(lines))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_delay(self) -> None:
        if self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.max_head:
            raise HeadTooLargeError


_NOBODY_WAITS: Final = Event()
"""Of requests whose body is here already."""


def bounded_protocol(
    max_head: int, head_seconds: float, short: ShortRoutes
) -> type[HttpToolsProtocol]:
    """The protocol class with these bounds, in bytes and seconds, and short routes."""
    settings = {"max_head": max_head, "head_seconds": head_seconds, "short": short}
    return type("BoundedProtocol", (_BoundedProtocol,), settings)

"""uvicorn's HTTP parser, bounds on what a client may make it wait for or keep, and a short way.

1. A request's head: its size, and how long it may take. httptools collects request line and
   headers without limit, and uvicorn waits for a head for ever; bodies have flow control already.
2. An answer that the client does not read, while it sends nothing either.
3. Connections: idle ones give way to new ones (`crowd.py`). Beyond `ApiLimits.connections` busy
   ones requests are answered by 503, so that clients learn why; beyond `ApiLimits.refused` more the
   connections are closed at once. One client has no more than `ApiLimits.per_client`.
4. A client certificate: one that is good no more is told so.

A request takes the short way (`short.py`) if it is plain: HTTP/1.1 with keep-alive, one of the
short routes, a small body announced by its length that comes without delay, on a connection that
is idle and whose client reads its answers. Everything else is uvicorn's.
"""

from asyncio import Event, Task, TimerHandle, Transport
from contextvars import copy_context
from typing import Final

from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chopmark.api.certificates import Certificate, Material
from chopmark.api.crowd import Crowd
from chopmark.api.guard import is_local
from chopmark.api.idempotency import HEADER, KEY
from chopmark.api.identity import CALLER, NOBODY, Callers
from chopmark.api.limits import ApiLimits
from chopmark.api.posts import Handler
from chopmark.api.problems import Problem, send_problem
from chopmark.api.refusals import Refusals
from chopmark.api.short import Reply, ShortRoutes, status_line
from chopmark.api.trust import Trust

_UNUSUAL: Final = frozenset(
    {b"expect", b"transfer-encoding", b"upgrade", b"connection", b"content-encoding"}
)
"""Headers whose meaning is left to uvicorn, unless they say `keep-alive`."""
_SMALL: Final = 64 * 1024
"""Bytes of a body on the short way: as many as uvicorn keeps before it stops reading."""
_DELAY: Final = 0.05
"""Seconds for a body to arrive. Many clients send it in a packet of its own, right behind the
head; for one that is slow, uvicorn's way has the time limits."""
_FIRST: Final = 0.5
"""Seconds that a connection has for its first bytes when the server stops."""
_TOO_MANY: Final = Problem(
    429,
    "too-many-connections",
    "you have too many connections open, and all are busy",
    "use fewer connections, or many lines in a batch",
    (("retry-after", "1"), ("connection", "close")),
)
_OVERLOADED: Final = Problem(
    503,
    "overloaded",
    "too many connections are open",
    "use fewer connections, or many lines in a batch",
    (("retry-after", "1"), ("connection", "close")),
)


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

    limits: ApiLimits
    refusals: Refusals
    short: ShortRoutes | None
    crowd: Crowd
    callers: Callers
    trust: Trust | None
    whose = ""
    _caller = NOBODY
    _certificate: Certificate | None = None
    _met: Material | None = None
    _in_head = False
    _head = 0
    _heads = 0
    _unfinished = 0
    _late: TimerHandle | None = None
    _handler: Handler | None = None
    _plain = True
    _read = b""
    _key: bytes | None = None
    _delayed: TimerHandle | None = None
    _stalled: TimerHandle | None = None
    _untouched = True
    _stopping = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._caller, self._certificate = self.callers.meet(transport)
        self._met = None if self.trust is None else self.trust.material
        # Nobody knows whose programs come by the loopback port.
        self.whose = "" if self._caller.door == "loopback" else self._caller.client
        self.crowd.enter(self)
        if self.trust is not None and self._certificate is not None:
            self.trust.shown.add(self)
        if len(self.crowd) > self.limits.connections + self.limits.refused:
            self.refusals.count("too-many-connections")
            self.transport.abort()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_delay()
        self._handler = None
        self._stop_stall()
        self.crowd.leave(self)
        if self.trust is not None:
            self.trust.shown.discard(self)
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close a connection that is idle."""
        self.refusals.count("gave-way")
        self.transport.abort()

    def lapsed(self) -> Problem | None:
        """Why the client's certificate is good no more, if so."""
        if self._certificate is None or self.trust is None or self._met is None:
            return None
        return self.trust.lapsed(self._certificate, self._met)

    def cut_off(self) -> bool:
        """Close a connection that has a request; whether it has one."""
        busy = not self._is_idle()
        if busy:
            self.transport.abort()
        return busy

    def pause_writing(self) -> None:
        """The client does not read: wait for that, too."""
        super().pause_writing()
        self._start_stall()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stop_stall()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; cut off a head that goes on and on."""
        CALLER.set(self._caller)  # for the tasks that are begun from here
        self._untouched = False
        was_in_head, idle, heads = self._in_head, self._is_idle(), self._heads
        if self._stalled is not None:
            self._start_stall()  # it sends, and may read later
        super().data_received(data)
        if self._handler is not None and self._delayed is None:
            self._delayed = self.loop.call_later(_DELAY, self._go_long)
        if idle and self._late is None and heads == self._heads:
            self._wait_for_head()
        if was_in_head and self._in_head:
            # The parser keeps an unfinished header to itself: count what came in instead.
            self._unfinished += len(data)
            if self._unfinished > self.limits.head and not self.transport.is_closing():
                self.send_400_response("The request head is too large.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head, self._head, self._unfinished, self._plain = True, 0, 0, True
        self._key = None
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
        elif name == HEADER:
            self._plain &= self._key is None  # two of them are left to the long way
            self._key = value
        elif name in _UNUSUAL and value.lower() != b"keep-alive":
            self._plain = False

    def on_headers_complete(self) -> None:
        """End counting, and waiting; choose the way."""
        self._in_head = False
        self._heads += 1
        self._stop_waiting()
        self.crowd.work(self)
        problem = self._find_problem()
        self.app = self.config.loaded_app if problem is None else _refusing(problem)
        self._handler = None if problem is not None else self._find_handler()
        if self._handler is None:
            super().on_headers_complete()
            self._close_after_answer()

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
        self._go_short(handle, body, self._key)

    def on_response_complete(self) -> None:
        """Be idle again, unless the next request is here already."""
        super().on_response_complete()
        if self._is_idle():
            self.crowd.rest(self)

    def _find_problem(self) -> Problem | None:
        """What speaks against any request at all."""
        if len(self.crowd) > self.limits.connections:
            self.refusals.count("overloaded")
            return _OVERLOADED
        if self.crowd.is_full_of(self.whose):
            return _TOO_MANY
        return self.lapsed()

    def _find_handler(self) -> Handler | None:
        if self.short is None:
            return None
        handle = self.short.find(self.parser.get_method(), self.url)
        plain = (
            handle is not None
            and self._plain
            and self._is_idle()
            and self.parser.get_http_version() == "1.1"
            and not self.flow.write_paused
            and is_local(self.server, self.headers, self.scheme or "")
        )
        return handle if plain else None

    def _is_idle(self) -> bool:
        done = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        return done and self._handler is None

    def _go_long(self) -> None:
        """Let uvicorn have a request after all, as its caller's: whoever calls here."""
        self._delayed = None
        copy_context().run(self._begin_long)

    def _begin_long(self) -> None:
        CALLER.set(self._caller)  # for the task that is begun from here
        KEY.set(None)  # its handler reads it anew
        read, self._handler, self._read = self._read, None, b""
        super().on_headers_complete()
        self._close_after_answer()
        if read:
            super().on_body(read)

    def _go_short(self, handle: Handler, body: bytes, key: bytes | None) -> None:
        exchange = _Exchange(_NOBODY_WAITS)
        self.cycle = exchange
        self._close_after_answer()
        task: Task[None] = self.loop.create_task(self._exchange(exchange, handle, body, key))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _exchange(
        self, exchange: _Exchange, handle: Handler, body: bytes, key: bytes | None
    ) -> None:
        KEY.set(key)  # for this task; the context that it began with may hold an older one
        assert self.short is not None, "it found the handler"  # noqa: S101
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

    def shutdown(self) -> None:
        """Stop in order: a request whose head has come is still answered, when its body is here.

        Who has connected a moment ago has not been listened to yet: what was sent meanwhile would
        be thrown away, and the connection reset.
        """
        if self._handler is not None:
            self._stop_delay()
            self._go_long()
        if self._untouched and not self._stopping:
            self._stopping = True
            self.loop.call_later(_FIRST, self.shutdown)
        else:
            super().shutdown()

    def _close_after_answer(self) -> None:
        """Let the first request of a connection that came while we stop be its last."""
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_delay(self) -> None:
        if self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None

    def _start_stall(self) -> None:
        self._stop_stall()
        self._stalled = self.loop.call_later(self.limits.idle, self.transport.abort)

    def _stop_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.limits.head:
            raise HeadTooLargeError


def _refusing(problem: Problem) -> ASGIApp:
    """What answers every request with a problem."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_problem(send, problem)

    return refuse


_NOBODY_WAITS: Final = Event()
"""Of requests whose body is here already."""


def bounded_protocol(
    limits: ApiLimits,
    refusals: Refusals,
    short: ShortRoutes | None,
    callers: Callers,
    trust: Trust | None,
) -> type[HttpToolsProtocol]:
    """The protocol class of one server with these bounds and short routes, if there are any."""
    settings = {
        "limits": limits,
        "refusals": refusals,
        "short": short,
        "crowd": Crowd(limits),
        "callers": callers,
        "trust": trust,
    }
    return type("BoundedProtocol", (_BoundedProtocol,), settings)

"""uvicorn's HTTP parser with bounds on the request's head: its size, and how long it may take.

httptools collects request line and headers without limit; bodies have flow control already. And
uvicorn waits for a head for ever, so that silent connections would use up all that are allowed.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeadTooLargeError(Exception):
    """Raised out of the parser, which then refuses the request with status 400."""


class _BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of each head: those that are read, and those of a header not ended yet."""

    max_head: int
    head_seconds: float
    _in_head = False
    _head = 0
    _unfinished = 0
    _late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; cut off a head that goes on and on."""
        was_in_head = self._in_head
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if idle and self._late is None:
            self._wait_for_head()
        super().data_received(data)
        if was_in_head and self._in_head:
            # The parser keeps an unfinished header to itself: count what came in instead.
            self._unfinished += len(data)
            if self._unfinished > self.max_head and not self.transport.is_closing():
                self.send_400_response("The request head is too large.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head, self._head, self._unfinished = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End counting, and waiting."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.max_head:
            raise HeadTooLargeError


def bounded_protocol(max_head: int, head_seconds: float) -> type[HttpToolsProtocol]:
    """The protocol class with these bounds, in bytes and seconds."""
    bounds = {"max_head": max_head, "head_seconds": head_seconds}
    return type("BoundedProtocol", (_BoundedProtocol,), bounds)

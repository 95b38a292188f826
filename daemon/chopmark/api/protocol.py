"""uvicorn's HTTP parser with a bound on the request's head.

httptools collects request line and headers without limit; bodies have flow control already.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeadTooLargeError(Exception):
    """Raised out of the parser, which then refuses the request with status 400."""


class _BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of each head: those that are read, and those of a header not ended yet."""

    max_head: int
    _in_head = False
    _head = 0
    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        """Feed the parser; cut off a head that goes on and on."""
        was_in_head = self._in_head
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
        """End counting."""
        self._in_head = False
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.max_head:
            raise HeadTooLargeError


def bounded_protocol(max_head: int) -> type[HttpToolsProtocol]:
    """The protocol class with this bound in bytes."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"max_head": max_head})

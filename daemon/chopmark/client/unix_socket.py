"""httpx over a unix socket, without one left open where nobody listens.

httpcore 1.0 closes no unix socket that it cannot connect: each try at a gateway that is away costs
a descriptor until garbage is collected. Neither httpx nor httpcore has a public way to make the
connection oneself; a test notices when theirs changes.
"""

import socket
import ssl
from collections.abc import Iterable
from contextlib import ExitStack

import httpcore
import httpx
from httpcore._backends.sync import SyncStream


class UnixTransport(httpx.HTTPTransport):
    """Connections to one unix socket.

    Args:
        context: that httpx asks for, though no TLS is spoken.
        path: of the socket.
    """

    def __init__(self, context: ssl.SSLContext, path: str) -> None:
        super().__init__(context, uds=path)
        self._pool._network_backend = _Backend()  # noqa: SLF001 - there is no public way


class _Backend(httpcore.SyncBackend):
    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - none here
    ) -> httpcore.NetworkStream:
        """Connect, or close the socket."""
        with ExitStack() as opened:
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(timeout)
            try:
                connection.connect(path)
            except TimeoutError as error:
                raise httpcore.ConnectTimeout(error) from error
            except OSError as error:
                raise httpcore.ConnectError(error) from error
            opened.pop_all()
        return SyncStream(connection)

"""HTTP to the gateway, by httpx: one place for time-outs, limits and connection failures."""

import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx

from chopmark.client.address import Address
from chopmark.client.credentials import Credentials, explain, find_credentials, make_context
from chopmark.client.problem import bad_answer, error_from_problem
from chopmark.core.errors import ChopmarkError, ForbiddenError, UnreachableError

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
"""The gateway answers at once where it is not told to wait."""
MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_LINE: Final = 512 * 1024
"""A line of an NDJSON answer carries at most one proof, which has at most 128 KiB."""


class Transport:
    """One connection pool to one gateway; not for use by several threads at once."""

    def __init__(self, address: Address, credentials: Credentials | None = None) -> None:
        self._address = address
        self._probed = address.socket is None
        # Without TLS a context of its own spares every command 25 ms of reading authorities.
        verify = (
            make_context(find_credentials(credentials))
            if address.secure
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        # Proxies of the environment would see who asks whom, and the gateway their certificate.
        self._client = httpx.Client(
            base_url=address.url,
            transport=httpx.HTTPTransport(verify, uds=address.socket) if address.socket else None,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> bytes:
        """The body of a GET.

        Raises:
            UnreachableError: `gateway-unreachable`, `gateway-timeout` or `bad-answer`.
            ChopmarkError: what the gateway's problem details say.
        """
        with self._answer("GET", path, params=query) as response:
            return _read_all(response)

    def get_json(self, path: str, query: Mapping[str, str | int] | None = None) -> object:
        """The JSON of a GET; raises as `get`."""
        return _decode(self.get(path, query))

    def post_json(self, path: str, body: object, wait: float = 0.0) -> object:
        """The JSON of a POST.

        Args:
            path: where.
            body: what to send, as JSON.
            wait: seconds that the gateway was asked to wait at most. Raises as `get`.
        """
        timeout = httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS)
        with self._answer("POST", path, json=body, timeout=timeout) as response:
            return _decode(_read_all(response))

    def post_lines(
        self, path: str, lines: Iterable[bytes], query: Mapping[str, str | float], wait: float
    ) -> Iterator[object]:
        """The JSON lines that answer the JSON lines sent; arguments and errors as `post_json`."""
        headers = {"Content-Type": "application/x-ndjson"}
        content = b"".join(lines)
        timeout = httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS)
        with self._answer(
            "POST", path, params=query, content=content, headers=headers, timeout=timeout
        ) as response:
            yield from (_decode(line) for line in _split_lines(response.iter_bytes()))

    def post_stream(
        self,
        path: str,
        pieces: Iterable[bytes],
        size: int,
        media: str,
        query: Mapping[str, str | float],
        wait: float,
    ) -> Iterator[bytes]:
        """The bytes that answer a body of `size` bytes; other arguments and errors as `post_json`.

        The answer is read once all is sent: it must fit the connection's buffers till then. If the
        gateway answers and hangs up before, the rest is not sent.
        """
        headers = {"Content-Type": media, "Content-Length": str(size)}
        timeout = httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS)
        with self._answer(
            "POST", path, params=query, content=pieces, headers=headers, timeout=timeout
        ) as response:
            yield from response.iter_bytes()

    @contextmanager
    def _answer(self, method: str, path: str, **parts: Any) -> Iterator[httpx.Response]:
        try:
            self._probe()
            with self._client.stream(method, path, **parts) as response:
                if response.status_code >= 400:
                    retry_after = response.headers.get("Retry-After")
                    problem = _decode_problem(_read_all(response))
                    raise error_from_problem(response.status_code, problem, retry_after)
                yield response
        except httpx.TimeoutException as error:
            raise self._timeout() from error
        except (httpx.HTTPError, OSError) as error:
            self._probed = self._address.socket is None
            raise self._unreachable(error) from error

    def _probe(self) -> None:
        """Connect to the socket first: httpcore leaves its own open when that fails."""
        if not self._probed:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(self._address.socket or "")
            self._probed = True

    def _timeout(self) -> UnreachableError:
        message = f"the gateway at {self._address.text} does not answer in time"
        return UnreachableError("gateway-timeout", message, hint="`chopmark status` tells more")

    def _unreachable(self, error: Exception) -> ChopmarkError:
        where = self._address.text
        cause = _os_error(error)
        if isinstance(cause, ssl.SSLError) and (known := explain(cause, where)) is not None:
            return known
        if isinstance(cause, PermissionError):
            message = f"you may not use the gateway at {where}"
            return ForbiddenError("gateway-forbidden", message, hint="join the group chopmark")
        reason = (cause.strerror if cause else None) or "the connection broke off"
        message = f"cannot reach the gateway at {where}: {reason}"
        hint = "is chopmarkd running? --gateway or CHOPMARK_GATEWAY names another address"
        return UnreachableError("gateway-unreachable", message, hint=hint)


def _os_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _read_all(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise bad_answer()
    return bytes(body)


def _split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end in a line feed, and in nothing else that Unicode takes for a line's end."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE:
            raise bad_answer()
    if rest:
        yield rest


def _decode(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad_answer() from error


def _decode_problem(data: bytes) -> object:
    """Problem details; whatever else a foreign server says counts as none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None

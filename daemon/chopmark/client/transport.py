"""HTTP to the gateway, by httpx: one place for time-outs, limits and connection failures."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx

from chopmark.client.address import Address
from chopmark.client.credentials import Credentials, explain, find_credentials, make_context
from chopmark.client.plans import Call, decode
from chopmark.client.problem import bad_answer, error_from_problem
from chopmark.client.unix_socket import UnixTransport
from chopmark.core.errors import ChopmarkError, ForbiddenError, UnreachableError

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
"""The gateway answers at once where it is not told to wait."""
MAX_ANSWER: Final = 64 * 1024 * 1024


class Reached:
    """Where requests go, and the errors of not getting there."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def timed_out(self) -> UnreachableError:
        """The error for an answer that does not come."""
        message = f"the gateway at {self._address.text} does not answer in time"
        return UnreachableError("gateway-timeout", message, hint="`chopmark status` tells more")

    def unreachable(self, error: Exception) -> ChopmarkError:
        """The error for a connection that is not made, or breaks off."""
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


class Transport(Reached):
    """One connection pool to one gateway; not for use by several threads at once."""

    def __init__(self, address: Address, credentials: Credentials | None = None) -> None:
        super().__init__(address)
        how, path = options(address, credentials), address.socket
        transport = UnixTransport(how["verify"], path) if path else None
        self._client = httpx.Client(transport=transport, **how)

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
        return decode(self.get(path, query))

    def post_json(self, path: str, body: object, wait: float = 0.0) -> object:
        """The JSON of a POST.

        Args:
            path: where.
            body: what to send, as JSON.
            wait: seconds that the gateway was asked to wait at most. Raises as `get`.
        """
        timeout = httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS)
        with self._answer("POST", path, json=body, timeout=timeout) as response:
            return decode(_read_all(response))

    def perform(self, call: Call) -> bytes:
        """The answer to a call; nothing of it if the call takes the bytes as they come.

        It is read once all is sent: it must fit the connection's buffers till then. If the gateway
        answers and hangs up before, the rest is not sent. Raises as `get`.
        """
        with self._answer(call.method, call.path, **parts_of(call)) as response:
            if call.take is None:
                return _read_all(response)
            for data in response.iter_bytes():
                call.take(data)
        return b""

    @contextmanager
    def _answer(self, method: str, path: str, **parts: Any) -> Iterator[httpx.Response]:
        try:
            with self._client.stream(method, path, **parts) as response:
                if response.status_code >= 400:
                    raise error_of(response, _read_all(response))
                yield response
        except httpx.TimeoutException as error:
            raise self.timed_out() from error
        except (httpx.HTTPError, OSError) as error:
            raise self.unreachable(error) from error


def _os_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _read_all(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        keep(body, chunk)
    return bytes(body)


def keep(body: bytearray, chunk: bytes) -> None:
    """Add to an answer, up to a bound.

    Raises:
        UnreachableError: `bad-answer`.
    """
    body += chunk
    if len(body) > MAX_ANSWER:
        raise bad_answer()


def options(address: Address, credentials: Credentials | None) -> dict[str, Any]:
    """How httpx is to talk to a gateway."""
    # Where no TLS is spoken, a context of its own spares 25 ms of reading authorities.
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {
        "base_url": address.url,
        "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        # Proxies of the environment would see who asks whom, and the gateway their certificate.
        "trust_env": False,
        "verify": make_context(find_credentials(credentials)) if address.secure else plain,
    }


def parts_of(call: Call) -> dict[str, Any]:
    """A call as httpx has it."""
    parts: dict[str, Any] = {
        "params": call.query,
        "headers": dict(call.headers),
        "timeout": httpx.Timeout(ANSWER_SECONDS + call.wait, connect=CONNECT_SECONDS),
    }
    if call.content is not None:
        parts["headers"]["Content-Length"] = str(sum(map(len, call.content)))
        parts["content"] = iter(call.content)
    elif call.body is not None:
        parts["json"] = call.body
    return parts


def error_of(response: httpx.Response, body: bytes) -> ChopmarkError:
    """The error that an answer stands for."""
    retry_after = response.headers.get("Retry-After")
    return error_from_problem(response.status_code, _decode_problem(body), retry_after)


def _decode_problem(data: bytes) -> object:
    """Problem details; whatever else a foreign server says counts as none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None

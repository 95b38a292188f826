"""The daemon's API for commands of the console: each request has its deadline.

A daemon that is dead costs milliseconds, for nobody listens on its socket; one that hangs costs the
deadline, and no more.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from chopmark.client.address import parse_address
from chopmark.client.async_transport import AsyncTransport
from chopmark.client.plans import Call, decode
from chopmark.client.problem import bad_answer
from chopmark.core.errors import UnreachableError

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes: what 64 peers and all their counters say is a hundredth of it."""


class SocketApi:
    """A `GatewayApi` on a unix socket; for any number of tasks at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._http = AsyncTransport(parse_address(f"unix:{path}"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def get(self, path: str, *, seconds: float = 3.0) -> Any:
        """JSON of a GET; see `GatewayApi`."""
        return decode(await self._perform("GET", path, None, seconds))

    async def get_text(self, path: str, *, seconds: float = 3.0) -> str:
        """The text of a GET; raises as `get`."""
        return (await self._perform("GET", path, None, seconds)).decode("utf-8", "replace")

    async def post(self, path: str, body: object, *, seconds: float = 30.0) -> Any:
        """JSON of a POST; see `GatewayApi`."""
        return decode(await self._perform("POST", path, body, seconds))

    async def _perform(self, method: str, path: str, body: Any, seconds: float) -> bytes:
        answer = bytearray()

        def take(data: bytes) -> None:
            if len(answer) + len(data) > MAX_ANSWER:
                raise bad_answer()
            answer.extend(data)

        try:
            async with asyncio.timeout(seconds):
                await self._http.perform(Call(method, path, body=body, take=take, wait=seconds))
        except TimeoutError as error:
            raise self._late(seconds) from error
        except UnreachableError as error:
            if error.code == "gateway-timeout":
                raise self._late(seconds) from error
            if error.code == "gateway-unreachable":
                raise self._away(error) from error
            raise
        return bytes(answer)

    def _late(self, seconds: float) -> UnreachableError:
        message = f"the daemon does not answer within {seconds:g} s"
        hint = "is it starting? if it stays so, `restart gateway`; `show log` says more"
        return UnreachableError("gateway-unreachable", message, hint=hint)

    def _away(self, error: UnreachableError) -> UnreachableError:
        reason = error.message.rpartition(": ")[2]
        message = f"the daemon does not run: {self._path}: {reason}"
        hint = "`show services` and `show log` say more; `start gateway` starts it"
        return UnreachableError("gateway-unreachable", message, hint=hint)


class FoundApi:
    """A `GatewayApi` on the socket that the configuration names, once there is one.

    Args:
        find: the socket of the configuration; None before there is one.
        usual: where a gateway listens otherwise.
    """

    def __init__(self, find: Callable[[], Path | None], usual: Path) -> None:
        self._find = find
        self._usual = SocketApi(usual)
        self._found: SocketApi | None = None

    async def close(self) -> None:
        """Close the connections."""
        for one in (self._usual, self._found):
            if one is not None:
                await one.close()

    async def get(self, path: str, *, seconds: float = 3.0) -> Any:
        """JSON of a GET; see `GatewayApi`."""
        return await self._api.get(path, seconds=seconds)

    async def post(self, path: str, body: object, *, seconds: float = 30.0) -> Any:
        """JSON of a POST; see `GatewayApi`."""
        return await self._api.post(path, body, seconds=seconds)

    @property
    def _api(self) -> SocketApi:
        if self._found is None and (path := self._find()) is not None:
            self._found = SocketApi(path)
        return self._found or self._usual

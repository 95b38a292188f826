"""HTTP to the gateway in an event loop; all that is not waiting is `client.transport`'s."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from chopmark.client.address import Address
from chopmark.client.credentials import Credentials
from chopmark.client.plans import Call
from chopmark.client.transport import Reached, error_of, keep, options, parts_of


class AsyncTransport(Reached):
    """One connection pool to one gateway; any number of tasks may use it at once."""

    def __init__(self, address: Address, credentials: Credentials | None = None) -> None:
        super().__init__(address)
        how, uds = options(address, credentials), address.socket
        transport = httpx.AsyncHTTPTransport(how["verify"], uds=uds) if uds else None
        self._client = httpx.AsyncClient(transport=transport, **how)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def perform(self, call: Call) -> bytes:
        """As `Transport.perform`."""
        body = bytearray()
        async with self._answer(call) as response:
            async for data in response.aiter_bytes():
                if call.take is None:
                    keep(body, data)
                else:
                    call.take(data)
        return bytes(body)

    @asynccontextmanager
    async def _answer(self, call: Call) -> AsyncIterator[httpx.Response]:
        parts = parts_of(call)
        if call.content is not None:
            parts["content"] = _hand_over(call.content)
        try:
            async with self._client.stream(call.method, call.path, **parts) as response:
                if response.status_code >= 400:
                    body = bytearray()
                    async for data in response.aiter_bytes():
                        keep(body, data)
                    raise error_of(response, bytes(body))
                yield response
        except httpx.TimeoutException as error:
            raise self.timed_out() from error
        except (httpx.HTTPError, OSError) as error:
            raise self.unreachable(error) from error


async def _hand_over(content: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece

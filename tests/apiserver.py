"""A running API server for tests, in front of the fake gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from chopmark.api.app import create_app
from chopmark.api.identity import Callers
from chopmark.api.limits import ApiLimits
from chopmark.api.refusals import Refusals
from chopmark.api.server import serve
from chopmark.api.trust import Trust
from fakegateway import FakeGateway
from rig.gateway import NO_TLS
from rig.patience import PATIENCE

LIMITS = ApiLimits(grace=1)
HASTY = ApiLimits(grace=1, head_seconds=1, body_seconds=1, connections=4)
SHA = "0a" * 32
LINE = b'{"sha256":"%s"}\n' % SHA.encode()


@asynccontextmanager
async def running(
    gateway: FakeGateway,
    path: Path | None,
    listen: tuple[str, int] | None,
    limits: ApiLimits = LIMITS,
    refusals: Refusals | None = None,
    callers: Callers | None = None,
    trust: Trust | None = None,
) -> AsyncIterator[list[str]]:
    """The server, until the block ends."""
    ready: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    app = create_app(gateway, limits)
    serving = serve(
        *(app, path, listen),
        limits=limits,
        ready=ready.set_result,
        refusals=refusals,
        callers=callers,
        trust=trust,
    )
    task = asyncio.create_task(serving)
    await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield ready.result() if ready.done() else await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def over_unix(path: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(NO_TLS, uds=str(path))
    return httpx.AsyncClient(transport=transport, base_url="http://anything", timeout=PATIENCE)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- the condition is not ours to signal
            await asyncio.sleep(0.01)

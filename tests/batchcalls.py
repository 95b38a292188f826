"""Batches of attestations in front of the fake gateway, fed and read by hand."""

import asyncio
import json
from typing import Any

from asgicall import AsgiCall
from chopmark.api.limits import ApiLimits
from fakegateway import FakeGateway
from rig.patience import PATIENCE

MADE_AT = "2026-11-22T13:00:00.000Z"


class Call(AsgiCall):
    """One batch request."""

    def __init__(self, gateway: FakeGateway, limits: ApiLimits | None = None) -> None:
        super().__init__(gateway, "/v1/attestations:batch", limits or ApiLimits())

    def lines(self) -> list[dict[str, Any]]:
        assert self.ended
        return [json.loads(line) for line in bytes(self.output).splitlines()]


def line(number: int, **more: object) -> bytes:
    return json.dumps({"sha256": f"{number:064x}", **more}).encode() + b"\n"


async def batch(
    gateway: FakeGateway, body: bytes, query: str = "", limits: ApiLimits | None = None
) -> list[dict[str, Any]]:
    call = Call(gateway, limits)
    call.feed(body, more=False)
    async with asyncio.timeout(PATIENCE):
        await call.run(query)
    assert call.status == 200
    assert call.headers[b"content-type"] == b"application/x-ndjson"
    return call.lines()


async def until(condition) -> None:  # noqa: ANN001 -- any condition without arguments
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- the condition is not ours to signal
            await asyncio.sleep(0)


async def settled(call: Call) -> None:
    """Wait until the application reads no more."""
    seen = -1
    while call.received != seen:
        seen = call.received
        for _ in range(200):
            await asyncio.sleep(0)

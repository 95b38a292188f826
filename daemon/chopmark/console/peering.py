"""A question to each peer and its answer, by the running gateway: the whole way, there and back."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

from chopmark.console.command import GatewayApi
from chopmark.console.diagnosing import Checked, Found
from chopmark.core.errors import ChopmarkError

SECONDS: Final = 4.0
"""The gateway waits two for a peer's answer."""


async def check_peers(gateway: GatewayApi) -> AsyncGenerator[Checked, None]:
    """Each peer, with how long its answer took; nothing where no gateway answers."""
    try:
        peers = await gateway.get("/v1/peers")
    except ChopmarkError:
        return
    names = [str(peer.get("id")) for peer in peers if isinstance(peer, dict)]
    for one in await asyncio.gather(*(_ask(gateway, name) for name in names)):
        yield one


async def _ask(gateway: GatewayApi, peer: str) -> Checked:
    try:
        path = f"/v1/peers/{quote(peer, safe='')}/round-trip"
        answer = await gateway.get(path, seconds=SECONDS)
    except ChopmarkError as error:
        found = Found(error.code, f"{peer}: {error.message}", error.hint, "fault")
        return Checked(f"peer {peer}", (found,))
    return Checked(f"peer {peer}, {answer.get('ms')} ms")

"""The rows `replica.*`: a second gateway gets the first one's log over the broker."""

import asyncio
import json
import time
from typing import Final

from bench import Bench, Figures, patience
from client import Connection
from load import LoadFailedError
from rows import Figure

POLL: Final = 0.05
"""Seconds between two looks at the replica: each costs the follower a millisecond."""


def catchup(bench: Bench) -> Figures:
    """A new gateway fetches all that was attested before it came."""
    target = bench.used
    start = time.perf_counter()
    bench.follower.start()
    count, seconds = asyncio.run(_follow(bench, target))
    if not count:  # so few that all had come before we looked: the start-up counts, too
        count, seconds = target, time.perf_counter() - start
    return {"replica.catchup": Figure(count / seconds, bench.bare_rate)}


def live(bench: Bench) -> Figures:
    """The follower takes in what the issuer attests just now."""
    asyncio.run(_follow(bench, bench.used))
    seconds = asyncio.run(_attest_followed(bench, bench.half))
    while bench.used < bench.scale:
        asyncio.run(_attest_followed(bench, min(bench.half, bench.scale - bench.used)))
    return {"replica.live": Figure(bench.half / seconds, bench.bare_rate)}


async def _attest_followed(bench: Bench, count: int) -> float:
    """Seconds from the first line until the follower's head covers them all."""
    following = asyncio.create_task(_follow(bench, bench.used + count))
    interval = await bench.attest(count)
    await following
    return time.perf_counter() - interval.start


async def _follow(bench: Bench, target: int) -> tuple[int, float]:
    """Wait until the replica's signed head covers a size.

    Returns:
        How many entries came while we looked, and the seconds that it took.
    """
    connection = await Connection.open(bench.follower.socket)
    first = size = await _head_size(bench, connection)
    start = time.perf_counter()
    while size < target:
        if time.perf_counter() - start > patience(target - first):
            raise LoadFailedError(f"the replica has {size} of {target} entries")
        await asyncio.sleep(POLL)
        size = await _head_size(bench, connection)
    connection.close()
    return size - first, time.perf_counter() - start


async def _head_size(bench: Bench, connection: Connection) -> int:
    peers = json.loads((await connection.request("GET", "/v1/peers")).body)
    return next(peer["head_size"] for peer in peers if peer["id"] == bench.issuer.who.id)

"""The rows `client.million.*`: a million documents through the SDK, with progress and proofs.

Run by itself it attests COUNT digests at a gateway, in a process of its own, and says how much
memory that took at each tenth of the way:

    .venv/bin/python benchmarks/million.py unix:/run/chopmark/api.sock 1000000
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))  # where `rig` is

from bench import Bench, Figures
from chopmark.client.async_gateway import AsyncGatewayClient
from chopmark.client.gateway import GatewayClient
from chopmark.core.digest import Digests
from rows import Figure

TENTHS: Final = 10


@dataclass(slots=True)
class Way:
    """What was seen on the way.

    Attributes:
        count: documents in all.
        told: how often progress was told.
        recorded: the last that it said.
        rss: of this process in MB at each tenth of the outcomes.
        seconds: from the first document to the last proof.
    """

    count: int
    told: int = 0
    recorded: int = 0
    rss: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def tell(self, recorded: int) -> None:
        """Progress."""
        self.told += 1
        self.recorded = recorded

    def note(self, number: int) -> None:
        """One more outcome was consumed."""
        if (number + 1) % max(1, self.count // TENTHS) == 0:
            self.rss.append(_rss())


def documents(count: int) -> Iterator[Digests]:
    """Digests, made when they are asked for."""
    for number in range(count):
        yield Digests(hashlib.sha256(b"million %d" % number).digest(), None)


def attest_blocking(address: str, count: int) -> Way:
    """With `GatewayClient`."""
    way = Way(count)
    start = time.perf_counter()
    with GatewayClient(address) as gateway:
        for number, outcome in enumerate(gateway.attest_all(documents(count), progress=way.tell)):
            if outcome.attested is None or outcome.attested.proof is None:
                raise RuntimeError(f"document {number} has no proof: {outcome.error}")
            way.note(number)
    way.seconds = time.perf_counter() - start
    return way


async def attest_async(address: str, count: int) -> Way:
    """With `AsyncGatewayClient`."""
    way = Way(count)
    start = time.perf_counter()
    async with AsyncGatewayClient(address) as gateway:
        number = 0
        async for outcome in gateway.attest_all(documents(count), progress=way.tell):
            if outcome.attested is None or outcome.attested.proof is None:
                raise RuntimeError(f"document {number} has no proof: {outcome.error}")
            way.note(number)
            number += 1
    way.seconds = time.perf_counter() - start
    return way


def million(bench: Bench) -> Figures:
    """A gateway of its own, and the blocking client; memory after a tenth is the limit."""
    count = len(bench.burst)
    with bench.lonely() as gateway:
        done = subprocess.run(
            [sys.executable, __file__, f"unix:{gateway.socket}", str(count)],
            stdout=subprocess.PIPE,
            check=True,
        )
    way = Way(**json.loads(done.stdout))
    return {
        "client.million": Figure(count / way.seconds, bench.bare_rate),
        "client.million.growth": Figure(max(way.rss) / way.rss[0], 1),
    }


def _rss() -> float:
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) / 1024


def main() -> None:
    """Attest, and print what was seen as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="of the gateway, such as unix:/run/chopmark/api.sock")
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--async", action="store_true", dest="looping")
    arguments = parser.parse_args()
    if arguments.looping:
        way = asyncio.run(attest_async(arguments.address, arguments.count))
    else:
        way = attest_blocking(arguments.address, arguments.count)
    print(json.dumps(asdict(way)))


if __name__ == "__main__":
    main()

"""The rows `witness.*`: how long the countersignatures of two other institutions take."""

import asyncio
import shutil
from typing import Final

from bench import Bench, Figures
from load import ask_all, attestation, percentile
from rig.gateway import MEMBERS, Cluster
from rows import Figure

SINGLES: Final = 300
WARM: Final = 20
"""Requests before the clock starts: the first ones wait until peers have found each other."""
PARTS: Final = 2.5
"""Of the way are two signatures and five writes one after the other; `durable` is one and two."""


def quorum(bench: Bench) -> Figures:
    """One request after the other, from the request to the proof that a quorum of two has signed.

    Three gateways, each of another jurisdiction, and a broker of their own.
    """
    count = min(SINGLES, bench.scale // 10)
    warm = [attestation(number) for number in range(WARM)]
    requests = [attestation(number) for number in range(WARM, WARM + count)]
    folder = bench.folder / "witnesses"
    cluster = Cluster(folder, MEMBERS, rule="jurisdictions")
    try:
        socket = cluster.start()[MEMBERS[0].id].socket
        asyncio.run(ask_all(socket, warm, 1))
        times = asyncio.run(
            ask_all(socket, requests, 1, lambda answer: b'"state":"witnessed"' in answer.body)
        )
    finally:
        cluster.stop()
        shutil.rmtree(folder)
    bare = bench.time_hsm(count)
    return {
        f"witness.quorum.p{percent}": Figure(
            times.percentile(percent), PARTS * percentile(bare, percent)
        )
        for percent in (50, 99)
    }

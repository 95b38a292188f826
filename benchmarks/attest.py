"""The rows `attest.*` and `hsm.ratio`: what the issuing gateway does, nobody following it."""

import asyncio
from statistics import median
from typing import Final

import growth
from bench import Bench, Figures
from load import Request, ask_all, attestation, percentile
from rows import Figure

SINGLES: Final = 500
CLIENTS: Final = 64
PER_CLIENT: Final = 100
HSM_ROUNDS: Final = 3


def hsm(bench: Bench) -> Figures:
    """Signatures a second through our stack, beside python-pkcs11 alone; by turns."""
    rounds = max(50, min(500, bench.scale // 20))
    pairs = [(bench.time_hsm("bare", rounds), bench.time_hsm("ours", rounds)) for _ in range(3)]
    ratio = median(median(bare) / median(ours) for bare, ours in pairs)
    return {"hsm.ratio": Figure(ratio, 1)}


def single(bench: Bench) -> Figures:
    """One request after the other at an idle gateway, from the request to the signed proof."""
    count = min(SINGLES, bench.scale // 10)
    requests = [attestation(number) for number in bench.take(count)]
    bench.issuer.start()
    times = asyncio.run(
        ask_all(bench.issuer.socket, requests, 1, lambda answer: b'"proof"' in answer.body)
    )
    bare = bench.time_hsm("durable", count)
    return {
        f"attest.single.p{percent}": Figure(times.percentile(percent), percentile(bare, percent))
        for percent in (50, 99)
    }


def clients(bench: Bench) -> Figures:
    """Many clients with one request each at a time; the limit is the same clients' GET /healthz."""
    count = min(CLIENTS * PER_CLIENT, bench.scale // 5)
    idle = asyncio.run(ask_all(bench.issuer.socket, [Request("GET", "/healthz")] * count, CLIENTS))
    requests = [attestation(number) for number in bench.take(count)]
    times = asyncio.run(ask_all(bench.issuer.socket, requests, CLIENTS))
    return {
        "attest.clients64": Figure(times.rate, idle.rate),
        "attest.clients64.p99": Figure(times.percentile(99), idle.percentile(99)),
    }


def bulk(bench: Bench) -> Figures:
    """One stream of lines, read and answered at the same time, each answer signed."""
    limit = bench.bare_rate
    growth.note_small(bench)
    interval = asyncio.run(bench.attest(bench.half))
    return {"attest.bulk": Figure(bench.half / interval.seconds, limit)}

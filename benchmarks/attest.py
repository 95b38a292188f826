"""The rows `attest.*`: what the issuing gateway does, nobody following it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import growth
from bench import Bench, Figures, attest_stream
from chopmark.core.compact import REQUEST_ID, Header
from load import Request, ask_all, attest_burst, attestation, make_digest, percentile
from rows import Figure

SINGLES: Final = 500
CLIENTS: Final = 64
PER_CLIENT: Final = 100
SLOW: Final = (sys.executable, str(Path(__file__).with_name("slowhsm.py")))
"""The daemon with a slow HSM."""
PIECE: Final = 256 * 1024
"""Bytes of a body that are handed to the socket at a time."""


def single(bench: Bench) -> Figures:
    """One request after the other at an idle gateway, from the request to the signed proof."""
    count = min(SINGLES, bench.scale // 10)
    requests = [attestation(number) for number in bench.take(count)]
    bench.issuer.start()
    times = asyncio.run(
        ask_all(bench.issuer.socket, requests, 1, lambda answer: b'"proof"' in answer.body)
    )
    bare = bench.time_hsm(count)
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


def compact(bench: Bench) -> Figures:
    """A burst of digests in compact form, to a gateway of its own, until the end record."""
    limit = bench.bare_rate
    return {"attest.compact": Figure(_burst(bench, Header(os.urandom(REQUEST_ID))), limit)}


def blinded(bench: Bench) -> Figures:
    """As `compact`, of blinded attestations."""
    limit = bench.bare_rate
    header = Header(os.urandom(REQUEST_ID), blinded=True)
    return {"attest.blinded": Figure(_burst(bench, header), limit)}


def _burst(bench: Bench, header: Header) -> float:
    """Digests a second."""
    numbers = bench.burst
    whole = header.encode() + b"".join(map(make_digest, numbers))
    pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    with bench.lonely() as gateway:
        seconds = asyncio.run(attest_burst(gateway.socket, pieces, len(numbers)))
    return len(numbers) / seconds


def slow_hsm(bench: Bench) -> Figures:
    """The stream of `bulk` to a gateway with ten signatures a second / to the same as it is."""
    count = bench.half
    with bench.lonely() as gateway:
        quick = asyncio.run(attest_stream(gateway, range(count)))
        gateway.stop()
        gateway.program = SLOW
        gateway.start()
        slow = asyncio.run(attest_stream(gateway, range(count, 2 * count)))
    return {"attest.slow_hsm": Figure(quick.seconds / slow.seconds, 1)}

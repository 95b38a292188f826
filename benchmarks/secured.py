"""The rows `*.tls`: what TLS with client certificates costs, each / the same by the unix socket.

Both by turns, on a gateway of its own, with the client on uvloop: its TLS is paid for by the same
two processors, and the standard loop's would cost more than the gateway's.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

import uvloop

from bench import Bench, Figures, attest_stream
from chopmark.client.credentials import Credentials, make_context
from chopmark.core.compact import REQUEST_ID, Header
from client import Secured, Where
from load import ask_all, attest_burst, attestation, make_digest, verification
from rig.authority import Authority
from rig.gateway import Gateway
from rows import Figure

ROWS: Final = (
    *("attest.bulk.tls", "attest.compact.tls"),
    *("attest.clients64.tls", "verify.digest.tls"),
)
CLIENTS: Final = 64
REQUESTS: Final = 3200
MOST: Final = 250_000
"""Entries of one stream."""
TURNS: Final = 5
PIECE: Final = 256 * 1024
ROLES: Final = '[[api.client]]\nname = "bench"\nsubject = "bench"\nroles = ["issuer", "verifier"]'

Load = Callable[[Gateway, Where, range], Awaitable[float]]
"""Puts a load of these numbers on a gateway, by a door; gives the seconds that it took."""


def all_rows(bench: Bench) -> Figures:
    """Measure them."""
    big, small = min(MOST, bench.half), min(REQUESTS, bench.scale // 4)
    plan: dict[str, tuple[Load, int]] = {
        "attest.bulk.tls": (_bulk, big),
        "attest.compact.tls": (_compact, big),
        "attest.clients64.tls": (_attest, small),
        "verify.digest.tls": (_verify, small),
    }
    with _gateway(bench) as (gateway, door):
        return {
            name: Figure(_compare(gateway, door, load, count), 1)
            for name, (load, count) in plan.items()
        }


@contextmanager
def _gateway(bench: Bench) -> Iterator[tuple[Gateway, Secured]]:
    authority = Authority(bench.folder, "bench CA")
    with bench.lonely(lambda made: made.serve_tls(authority, ROLES)) as gateway:
        pair = authority.issue("bench")
        shown = Credentials(authority.path, pair.certificate, pair.key)
        yield gateway, Secured(gateway.tls_port, make_context(shown))


def _compare(gateway: Gateway, door: Secured, load: Load, count: int) -> float:
    """Seconds by the socket / seconds by TLS, for as much of the same: the median of some turns."""
    doors: tuple[Where, ...] = (gateway.socket, door)
    taken = 0
    ratios = []
    for turn in range(TURNS):
        spent = dict.fromkeys(doors, 0.0)
        for where in doors if turn % 2 else reversed(doors):
            numbers = range(taken, taken + count)
            spent[where] = uvloop.run(_time(gateway, where, numbers, load))
            taken += count
        ratios.append(spent[gateway.socket] / spent[door])
    return median(ratios)


async def _time(gateway: Gateway, where: Where, numbers: range, load: Load) -> float:
    return await load(gateway, where, numbers)


async def _bulk(gateway: Gateway, where: Where, numbers: range) -> float:
    return (await attest_stream(gateway, numbers, where)).seconds


async def _compact(_: Gateway, where: Where, numbers: range) -> float:
    whole = Header(os.urandom(REQUEST_ID)).encode() + b"".join(map(make_digest, numbers))
    pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    return await attest_burst(where, pieces, len(numbers))


async def _attest(_: Gateway, where: Where, numbers: range) -> float:
    times = await ask_all(where, list(map(attestation, numbers)), CLIENTS)
    return len(numbers) / times.rate


async def _verify(_: Gateway, where: Where, numbers: range) -> float:
    times = await ask_all(where, list(map(verification, numbers)), CLIENTS)
    return len(numbers) / times.rate

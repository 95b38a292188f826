"""Load for a gateway: streams of lines, single requests, many clients at once.

Digests come from SHAKE256, so that any of them can be made again without being kept.
"""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chopmark.core.compact import AnswerReader, End
from client import Answer, Connection, Where

BLOCK: Final = 1000
"""Lines sent in one piece: 78 kB."""
SIGNED: Final = b'"state":"signed"'


class LoadFailedError(RuntimeError):
    """The gateway did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and the status that is due."""

    method: str
    path: str
    body: bytes = b""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Times:
    """How long requests took, in ms and ascending, and how many were answered a second."""

    each: Sequence[float]
    rate: float

    def percentile(self, percent: float) -> float:
        """The time within which this part of the requests was answered."""
        return percentile(self.each, percent)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Nearest rank."""
    return ascending[max(1, math.ceil(len(ascending) * percent / 100)) - 1]


def make_digest(number: int) -> bytes:
    """The digest of this number."""
    offset = number % BLOCK * 32
    return _make_block(number // BLOCK)[offset : offset + 32]


def make_lines(start: int, count: int) -> bytes:
    """NDJSON of the digests [start, start + count)."""
    return b"".join(
        b'{"sha256":"%s"}\n' % make_digest(number).hex().encode()
        for number in range(start, start + count)
    )


def attestation(number: int) -> Request:
    """The request to attest one digest."""
    body = b'{"digests":{"sha256":"%s"}}' % make_digest(number).hex().encode()
    return Request("POST", "/v1/attestations", body, 201)


def verification(number: int) -> Request:
    """The request to verify one digest."""
    body = b'{"digests":{"sha256":"%s"}}' % make_digest(number).hex().encode()
    return Request("POST", "/v1/verifications", body)


async def attest_lines(where: Where, pieces: Iterable[bytes], seconds: float) -> int:
    """Stream lines and read the answers at the same time; gives the answers that were signed.

    Raises:
        LoadFailedError: an answer is not 200, or a line was not signed.
        TimeoutError: it takes longer than `seconds`.
    """
    connection = await Connection.open(where)
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
            tasks.create_task(_send_all(connection, pieces))
            counted = tasks.create_task(_count_signed(connection))
    finally:
        connection.close()
    return counted.result()


async def attest_burst(where: Where, pieces: Sequence[bytes], count: int) -> float:
    """Stream a body in compact form and read its answer at the same time; gives the seconds.

    Raises:
        LoadFailedError: not every digest was recorded and signed.
        TimeoutError: it takes longer than ten minutes.
    """
    connection = await Connection.open(where)
    start = time.perf_counter()
    try:
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            tasks.create_task(_send_all(connection, pieces, "/v1/attestations:compact?wait=60"))
            reading = tasks.create_task(_read_all(connection))
        seconds = time.perf_counter() - start
    finally:
        connection.close()
    reader = AnswerReader(0)
    list(reader.feed(reading.result()))
    if reader.next != count or not isinstance(reader.last, End):
        raise LoadFailedError(f"{reader.next} of {count} were recorded: {reader.last}")
    return seconds


async def ask_all(
    where: Where,
    requests: Sequence[Request],
    clients: int,
    check: Callable[[Answer], bool] = lambda _: True,
) -> Times:
    """Let keep-alive clients share out requests among them.

    Raises:
        LoadFailedError: an answer has another status than is due, or fails `check`.
    """
    connections = [await Connection.open(where) for _ in range(clients)]
    each: list[float] = []
    left = iter(requests)
    start = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as tasks:
            for connection in connections:
                tasks.create_task(_ask(connection, left, each, check))
    except* LoadFailedError as group:
        raise group.exceptions[0] from None
    finally:
        for connection in connections:
            connection.close()
    return Times(sorted(each), len(requests) / (time.perf_counter() - start))


async def _ask(
    connection: Connection,
    requests: Iterator[Request],
    each: list[float],
    check: Callable[[Answer], bool],
) -> None:
    for request in requests:
        start = time.perf_counter()
        answer = await connection.request(request.method, request.path, request.body)
        each.append((time.perf_counter() - start) * 1000)
        if answer.status != request.status or not check(answer):
            message = f"{request.path} answered {answer.status}: {answer.body[:300]!r}"
            raise LoadFailedError(message)


async def _send_all(
    connection: Connection, pieces: Iterable[bytes], path: str = "/v1/attestations:batch"
) -> None:
    await connection.begin("POST", path)
    for piece in pieces:
        await connection.send(piece)
    await connection.send(b"")


async def _read_all(connection: Connection) -> bytes:
    status = await connection.read_head()
    body = b"".join([part async for part in connection.parts()])
    if status != 200:
        raise LoadFailedError(f"a compact request answered {status}: {body[:300]!r}")
    return body


async def _count_signed(connection: Connection) -> int:
    status = await connection.read_head()
    signed = 0
    async for part in connection.parts():  # a line never lies in two parts
        lines, good = part.count(b"\n"), part.count(SIGNED)
        if status != 200 or good != lines:
            raise LoadFailedError(f"a batch answered {status}, not signed: {part[:300]!r}")
        signed += good
    return signed


@lru_cache(maxsize=64)
def _make_block(block: int) -> bytes:
    return hashlib.shake_256(block.to_bytes(8, "big")).digest(32 * BLOCK)

"""Requests that are resumed: what is recorded of them is known, and nothing is recorded twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chopmark.core.draft import Drafts, Recorded
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.ledger.log import Log
from chopmark.ledger.requests import KEPT, Claim, Part
from chopmark.ledger.sequencer import Sequencer
from ledgers import NOW, Clock, SoftSigner, append, attestation, digest, opened
from meshes import running

ONE, TWO = bytes(16), bytes(15) + b"\1"
LONG = 30.0


class Desk:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.sequencer = Sequencer(log, SoftSigner(), Clock())

    async def record(self, request: bytes, first: int, count: int) -> Recorded:
        joined = b"".join(digest(number) for number in range(first, first + count))
        return await self.sequencer.record([Drafts(joined, "kyc")], LONG, Claim(request, first))

    async def parts(self, request: bytes, first: int = 0) -> list[Part]:
        return await self.log.read(lambda reader, _: reader.request_parts(request, first))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as log:
        made = Desk(log)
        async with running(made.sequencer.run()):
            yield made


async def test_what_became_of_a_request_is_kept(desk: Desk) -> None:
    await desk.record(ONE, 0, 3)
    await desk.record(TWO, 0, 5)
    await desk.record(ONE, 3, 300)
    assert await desk.parts(ONE) == [Part(0, 0, 3, NOW), Part(3, 8, 300, NOW)]
    assert await desk.parts(TWO) == [Part(0, 3, 5, NOW)]
    assert await desk.log.write(lambda store: store.request_end(ONE)) == 303
    assert await desk.log.write(lambda store: store.request_end(b"other")) == 0


@pytest.mark.parametrize(("first", "seen"), [(0, 2), (2, 2), (3, 1), (8, 1), (9, 0)])
async def test_parts_are_given_from_a_digest_on(desk: Desk, first: int, seen: int) -> None:
    await desk.record(ONE, 0, 3)
    await desk.record(ONE, 3, 6)
    assert len(await desk.parts(ONE, first)) == seen


@pytest.mark.parametrize("first", [0, 2, 4])
async def test_part_that_does_not_follow_is_refused(desk: Desk, first: int) -> None:
    await desk.record(ONE, 0, 3)
    with pytest.raises(RefusedError) as caught:
        await desk.record(ONE, first, 1)
    assert caught.value.code == "request-moved"
    assert desk.log.state.size == 3


async def test_two_connections_record_each_digest_once(desk: Desk) -> None:
    """Both send the same digests at once: whichever comes second is refused."""
    calls = [desk.record(ONE, first, 2) for first in (0, 0, 2, 2, 4)]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, RefusedError) for one in done] == [False, True, False, True, False]
    assert [part.first for part in await desk.parts(ONE)] == [0, 2, 4]
    assert desk.log.state.size == 6


async def test_part_after_one_that_failed_is_refused(desk: Desk) -> None:
    bad = desk.sequencer.record([Drafts(b"short", "kyc")], LONG, Claim(ONE, 0))
    done = await asyncio.gather(bad, desk.record(ONE, 2, 2), return_exceptions=True)
    assert isinstance(done[0], MalformedError)
    assert isinstance(done[1], RefusedError)
    assert (desk.log.state.size, await desk.parts(ONE)) == (0, [])


@pytest.mark.parametrize(("age", "kept"), [(0, True), (1, False)])
async def test_old_requests_are_forgotten_at_start(tmp_path: Path, age: int, *, kept: bool) -> None:
    async with opened(tmp_path) as log:
        desk = Desk(log)
        async with running(desk.sequencer.run()):
            await desk.record(ONE, 0, 3)
        await log.write(lambda store: append(store, [attestation(9, NOW + KEPT + age)]))
    async with opened(tmp_path) as log:
        assert (await Desk(log).parts(ONE) != []) == kept

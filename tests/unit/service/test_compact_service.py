"""What a real ledger says about requests in compact form."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import End, Header, Run, make_drafts
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import RefusedError
from chopmark.core.proof import parse_extra
from chopmark.core.prover import RunProver
from chopmark.ledger.log import Log
from chopmark.ledger.requests import Claim
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.witnessed import move_witnessed
from chopmark.service.compact import compare, make_end, read_runs
from ledgers import COSIGNER, LOG, NOW, Clock, SoftSigner, digest, opened
from meshes import running
from softkeys import sign_head

HEADER = Header(bytes(16), "kyc", NOW + 1)


def digests(count: int, width: int = 32, first: int = 0) -> bytes:
    numbers = range(first, first + count)
    return b"".join(digest(n) + digest(n + 1) * (width // 32 - 1) for n in numbers)


class Desk:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.sequencer = Sequencer(log, SoftSigner(), Clock())

    async def record(self, header: Header, first: int, count: int) -> None:
        drafts = make_drafts(header, digests(count, header.width, first))
        await self.sequencer.record([drafts], 30, Claim(header.request, first))

    async def runs(self, header: Header) -> list[Run]:
        return await self.log.read(lambda reader, _: read_runs(reader, header))

    async def end(self, runs: list[Run]) -> End | None:
        return await self.log.read(lambda reader, state: make_end(reader, state, runs))

    async def compare(self, header: Header, run: Run, data: bytes) -> None:
        await self.log.read(lambda reader, _: compare(reader, header, run, data, self.log.origin))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as log:
        made = Desk(log)
        async with running(made.sequencer.run()):
            yield made


async def refused(call: object) -> str:
    with pytest.raises(RefusedError) as caught:
        await call  # type: ignore[misc]  # an awaitable
    return caught.value.code


@pytest.mark.parametrize("with_sm3", [False, True])
async def test_runs_and_end_prove_the_request(desk: Desk, *, with_sm3: bool) -> None:
    header = replace(HEADER, with_sm3=with_sm3)
    await desk.record(header, 0, 5)
    await desk.record(Header(b"another request!"), 0, 300)
    await desk.record(header, 5, 20)
    runs = await desk.runs(header)
    assert runs == [Run(0, 0, 5, NOW), Run(5, 305, 20, NOW)]
    assert await desk.sequencer.wait_signed(324, 30)
    end = await desk.end(runs)
    assert end is not None
    open_note = partial(open_checkpoint, log_key=LOG.vkey)
    prover = RunProver(header, digests(25, header.width), runs, end, open_note)
    assert prover.checkpoint.size == 325
    assert prover.proof(7).index == 307


async def test_end_is_under_the_witnessed_head_where_that_covers_all_runs(desk: Desk) -> None:
    await desk.record(HEADER, 0, 5)
    assert await desk.sequencer.wait_signed(4, 30)
    head = desk.log.state.head
    note = sign_head(head, LOG, {COSIGNER: 1})
    await desk.log.write(lambda store: move_witnessed(store, 5, 1, note))
    await desk.record(Header(b"another request!"), 0, 3)
    assert await desk.sequencer.wait_signed(7, 30)
    runs = await desk.runs(HEADER)
    end = await desk.end(runs)
    assert end is not None
    assert end.note == note
    open_note = partial(open_checkpoint, log_key=LOG.vkey)
    assert RunProver(HEADER, digests(5), runs, end, open_note).checkpoint.size == 5
    other = await desk.end(await desk.runs(Header(b"another request!")))
    assert other is not None
    assert other.note == desk.log.state.note


async def test_runs_begin_at_the_offset(desk: Desk) -> None:
    await desk.record(HEADER, 0, 5)
    await desk.record(HEADER, 5, 20)
    for offset, expected in (
        (3, [Run(3, 3, 2, NOW), Run(5, 5, 20, NOW)]),
        (5, [Run(5, 5, 20, NOW)]),
        (25, []),
    ):
        assert await desk.runs(replace(HEADER, offset=offset)) == expected
    for offset in (26, 10**6):
        assert await refused(desk.runs(replace(HEADER, offset=offset))) == "compact-gap"
    assert await desk.runs(Header(b"another request!")) == []
    assert await refused(desk.runs(Header(b"another request!", offset=1))) == "compact-gap"


@pytest.mark.parametrize("with_sm3", [False, True])
async def test_request_keeps_to_its_terms(desk: Desk, *, with_sm3: bool) -> None:
    header = replace(HEADER, with_sm3=with_sm3)
    await desk.record(header, 0, 5)
    for changed in (
        replace(header, kind="kyd"),
        replace(header, kind="ky"),
        replace(header, valid_until=NOW + 2),
        replace(header, with_sm3=not with_sm3),
    ):
        assert await refused(desk.runs(changed)) == "compact-mismatch"
        assert await refused(desk.runs(replace(changed, offset=5))) == "compact-mismatch"


async def test_request_that_named_no_validity_is_told_what_was_set(desk: Desk) -> None:
    await desk.record(replace(HEADER, valid_until=NOW + 1), 0, 5)
    await desk.record(replace(HEADER, valid_until=NOW + 2), 5, 20)
    asked = replace(HEADER, valid_until=None)
    runs = await desk.runs(asked)
    assert runs == [Run(0, 0, 5, NOW, NOW + 1), Run(5, 5, 20, NOW, NOW + 2)]
    assert await desk.runs(replace(asked, offset=7)) == [Run(7, 7, 18, NOW, NOW + 2)]
    await desk.compare(asked, runs[1], digests(20, first=5))
    assert await refused(desk.compare(asked, runs[1], digests(20, first=6))) == "compact-mismatch"
    assert await desk.sequencer.wait_signed(24, 30)
    end = await desk.end(runs)
    assert end is not None
    open_note = partial(open_checkpoint, log_key=LOG.vkey)
    prover = RunProver(asked, digests(25), runs, end, open_note)
    entry = parse_entry(parse_extra(prover.proof(7).extra).entry)
    assert isinstance(entry, Attestation)
    assert entry.valid_until == NOW + 2
    wrong = [runs[0], replace(runs[1], valid_until=NOW + 1)]
    with pytest.raises(RefusedError, match="root"):
        RunProver(asked, digests(25), wrong, end, open_note)


@pytest.mark.parametrize("width", [32, 64])
async def test_digests_are_compared_with_the_ledger(desk: Desk, width: int) -> None:
    header = replace(HEADER, with_sm3=width == 64)
    await desk.record(header, 0, 5)
    (run,) = await desk.runs(header)
    data = digests(5, width)
    await desk.compare(header, run, data)
    await desk.compare(header, run, data[:width])
    for at in range(0, len(data), 31):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert await refused(desk.compare(header, run, changed)) == "compact-mismatch"


async def test_end_of_nothing_is_the_whole_tree(desk: Desk) -> None:
    await desk.record(HEADER, 0, 5)
    assert await desk.sequencer.wait_signed(4, 30)
    end = await desk.end([])
    assert end is not None
    assert len(end.beside) == 1
    open_note = partial(open_checkpoint, log_key=LOG.vkey)
    assert RunProver(HEADER, b"", [], end, open_note).checkpoint.size == 5


async def test_end_without_any_head_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        assert await Desk(log).end([]) is None

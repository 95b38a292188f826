"""Proofs of new entries, on a real log signed by a key in software."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from chopmark.core.errors import InternalError
from chopmark.core.policy import Policy
from chopmark.core.proof import parse_proof, verify_proof
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.ledger.worker import Worker
from chopmark.service.signing import Signing
from ledgers import LOG, append, attestations, opened, sign
from rig.patience import PATIENCE


@dataclass
class Desk:
    """A log and what hands out its proofs."""

    path: Path
    log: Log
    signing: Signing
    count: int = 0

    async def add(self, count: int) -> None:
        entries = attestations(count, self.count)
        await self.log.write(lambda store: append(store, entries))
        self.count += count

    async def sign(self) -> None:
        def move(store: Store) -> None:
            sign(store)

        await self.log.write(move)
        self.signing.head_moved()

    def ask(self, index: int, seconds: float = PATIENCE) -> "asyncio.Task[bytes | None]":
        return asyncio.create_task(self.signing.proof(index, seconds))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    worker = Worker("proofs")
    async with opened(tmp_path) as log:
        yield Desk(tmp_path / "log.db", log, Signing(log, worker))
        worker.close()


def check(data: bytes | None, index: int) -> None:
    assert data is not None
    proof = parse_proof(data)
    assert proof.index == index
    assert verify_proof(proof, Policy((LOG.vkey,))).extra.entry == attestations(1, index)[0]


async def test_those_that_a_head_covers_get_their_proofs(desk: Desk) -> None:
    await desk.add(300)
    waiting = [desk.ask(index) for index in range(300)]
    await asyncio.sleep(0)
    await desk.sign()
    for index, proof in enumerate(await asyncio.gather(*waiting)):
        check(proof, index)


async def test_those_that_it_does_not_cover_wait_on(desk: Desk) -> None:
    await desk.add(3)
    early, late = desk.ask(2), desk.ask(3)
    await asyncio.sleep(0)
    await desk.sign()
    check(await early, 2)
    assert not late.done()
    await desk.add(1)
    await desk.sign()
    check(await late, 3)


async def test_what_is_signed_already_waits_for_nothing(desk: Desk) -> None:
    await desk.add(2)
    await desk.sign()
    check(await desk.signing.proof(1, 0), 1)


async def test_time_that_runs_out_gives_no_proof(desk: Desk) -> None:
    await desk.add(1)
    assert await desk.signing.proof(0, 0) is None
    await desk.sign()
    check(await desk.signing.proof(0, 0), 0)


async def test_caller_that_leaves_disturbs_nobody(desk: Desk) -> None:
    await desk.add(2)
    leaving, staying = desk.ask(0), desk.ask(1)
    await asyncio.sleep(0)
    leaving.cancel()
    await desk.sign()
    check(await staying, 1)


async def test_entry_that_is_damaged_leaves_the_others_their_proofs(desk: Desk) -> None:
    await desk.add(10)
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as db:
        bundle = bytearray(db.execute("SELECT entries FROM bundle").fetchone()[0])
        bundle[-1] ^= 1
        db.execute("UPDATE bundle SET entries = ?", (bytes(bundle),))
    good, bad = desk.ask(8), desk.ask(9)
    await asyncio.sleep(0)
    await desk.sign()
    check(await good, 8)
    with pytest.raises(InternalError) as caught:
        await bad
    assert caught.value.code == "damaged-ledger"

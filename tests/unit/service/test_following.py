"""Requests that wait for a log to grow."""

import asyncio
from pathlib import Path

import ledgers
from chopmark.core.checkpoint import Checkpoint
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.service.following import Following


async def grow(log: Log, *, signed: bool) -> None:
    def work(store: Store) -> None:
        ledgers.append(store, ledgers.attestations(2, store.size))
        if signed:
            head = Checkpoint(ledgers.ORIGIN, store.size, store.root())
            store.move_head(head, ledgers.sign_head(head, ledgers.LOG))

    await log.write(work)


async def test_waits_for_a_signed_head_and_no_less(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log:
        following = Following()
        waiting = asyncio.create_task(following.wait(log, 0, 60))
        await grow(log, signed=False)
        await asyncio.sleep(0)
        assert not waiting.done()
        await grow(log, signed=True)
        await asyncio.wait_for(waiting, 30)
        await following.wait(log, 3, 60)


async def test_time_ends_it(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log:
        await asyncio.wait_for(Following().wait(log, 0, 0.01), 30)


async def test_stop_lets_all_go(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log:
        following = Following()
        waiting = [asyncio.create_task(following.wait(log, 0, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        following.stop()
        await asyncio.wait_for(asyncio.gather(*waiting), 30)
        await asyncio.wait_for(following.wait(log, 0, 60), 30)

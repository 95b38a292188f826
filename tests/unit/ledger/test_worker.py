import asyncio
import threading

import pytest

from chopmark.core.errors import TryAgainError
from chopmark.ledger.worker import Worker


async def test_calls_beyond_the_bound_are_told_to_come_back() -> None:
    worker, gate = Worker("w", limit=3), threading.Event()
    waiting = [asyncio.create_task(worker.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TryAgainError) as caught:
        await worker.run(int)
    assert (caught.value.code, caught.value.status) == ("overloaded", 503)
    assert caught.value.retry_after == 1
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await worker.run(int) == 0
    worker.close()


async def test_cancelled_and_failed_calls_make_room_again() -> None:
    worker, gate = Worker("w", limit=2), threading.Event()
    waiting = [asyncio.create_task(worker.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert worker.waiting == 0
    gate.set()
    with pytest.raises(ValueError, match="invalid literal"):
        await worker.run(int, "x")
    assert worker.waiting == 0
    worker.close()

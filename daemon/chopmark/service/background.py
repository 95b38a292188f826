"""Work beside something that goes on for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def beside(background: Coroutine[Any, Any, None], work: Coroutine[Any, Any, T]) -> T:
    """Do some work while something else runs, which must not end before."""
    behind, front = asyncio.create_task(background), asyncio.create_task(work)
    try:
        await asyncio.wait({behind, front}, return_when=asyncio.FIRST_COMPLETED)
        if not front.done():
            behind.result()
        return await front
    finally:
        for task in (behind, front):
            task.cancel()
        await asyncio.gather(behind, front, return_exceptions=True)

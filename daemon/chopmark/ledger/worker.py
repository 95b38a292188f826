"""One thread for one blocking resource, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from chopmark.core.errors import TryAgainError

P = ParamSpec("P")
T = TypeVar("T")

MAX_WAITING: Final = 1024
"""Calls begun or in the queue: twice the connections of the API, each of which waits for one."""


class Worker:
    """Runs calls one after another on a thread of its own.

    Args:
        name: of the thread.
        limit: calls that may be begun or waiting at once.
    """

    def __init__(self, name: str, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self.waiting = 0
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call there and wait for it.

        A cancelled caller does not stop a call that has begun: shield what must be known.

        Raises:
            TryAgainError: `overloaded` if too many calls wait already.
        """
        if self.waiting >= self._limit:
            message = "too many requests wait for the ledger"
            raise TryAgainError("overloaded", message, hint="send less at once", retry_after=1)
        loop = asyncio.get_running_loop()
        self.waiting += 1
        try:
            return await loop.run_in_executor(self._pool, lambda: call(*args, **kwargs))
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Finish what was begun, and end the thread."""
        self._pool.shutdown(wait=True)

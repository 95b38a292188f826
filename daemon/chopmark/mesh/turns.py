"""A queue with a line for each sender, served by turns: who asks for much waits behind himself."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A bounded queue that is fair to senders.

    Args:
        limit: items that may wait.
        limit_of_one: of these, of one sender.
    """

    def __init__(self, limit: int, limit_of_one: int) -> None:
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._lines: dict[str, deque[T]] = {}
        self._there = asyncio.Semaphore(0)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def longest(self) -> int:
        """How many items of one sender wait at most."""
        return max(map(len, self._lines.values()), default=0)

    def put(self, sender: str, item: T) -> bool:
        """Add an item to its sender's line; false if there is no room for it."""
        line = self._lines.get(sender, deque())
        if self._count >= self._limit or len(line) >= self._limit_of_one:
            return False
        line.append(item)
        self._lines[sender] = line
        self._count += 1
        self._there.release()
        return True

    async def get(self) -> tuple[str, T]:
        """The first item of the line whose turn it is, and its sender; waits until there is one."""
        await self._there.acquire()
        sender = next(iter(self._lines))
        line = self._lines.pop(sender)
        item = line.popleft()
        self._count -= 1
        if line:
            self._lines[sender] = line
        return sender, item

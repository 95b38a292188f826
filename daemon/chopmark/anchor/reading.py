"""Reads anchors of a run of blocks in parts, each no larger than a node and our memory bear."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from chopmark.anchor.contract import Event
from chopmark.anchor.rpc import TooLargeError

Look = Callable[[int, int, Sequence[str]], Awaitable[list[Event]]]
"""`View.events`, or `View.each_block`."""


async def read_parts(
    look: Look, first: int, last: int, width: int, accounts: Sequence[str]
) -> AsyncIterator[tuple[list[Event], int]]:
    """Anchors of these accounts, each part with the block up to which that is all of them.

    Where one block has too much, each account is asked for by itself, and one that has too much
    alone is left out: its counter tells that something is missing, and no other log is held up.

    Args:
        look: asks a node.
        first: block from which.
        last: block up to which.
        width: blocks for which a node is asked at once, at most.
        accounts: whose.
    """
    wide = width
    while first <= last:
        end = min(first + wide - 1, last)
        try:
            events = await look(first, end, accounts)
        except TooLargeError:
            if end > first:
                wide = (end - first + 1) // 2
                continue
            async for one in _each_account(look, first, accounts):
                yield one, first - 1
            events = []
        yield events, end
        first, wide = end + 1, min(2 * wide, width)


async def _each_account(
    look: Look, block: int, accounts: Sequence[str]
) -> AsyncIterator[list[Event]]:
    for account in accounts if len(accounts) > 1 else ():
        try:
            yield await look(block, block, [account])
        except TooLargeError:
            continue

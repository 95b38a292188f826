"""A chain that was put back: which of the anchors that were read are on it still.

Blocks are final, and yet a chain can lose some: all its nodes were put back from copies. What comes
after that takes blocks, and numbers of anchors, that were read before. Rules:
1. Of some blocks that were read the hash is kept: of the newest ones, and of ever fewer before. One
   that is another one now shows that the chain was put back. So does a newest anchor, by the
   contract, other than that which was read under its number, and one that names another block as
   that of the one before it. Then, and only then, anything is forgotten.
2. From a node that has fewer blocks than were read nothing is taken: it lags behind, or it will
   show another hash once it has come so far. So all anchors that are stored are of one history.
"""

from collections.abc import Sequence
from typing import Final, Literal

from chopmark.anchor.chain import View
from chopmark.anchor.contract import Event, Key, Latest
from chopmark.anchor.store import Row, Seen, Store, clip

DENSE: Final = 16
"""Newest marks, which are all kept."""
SPARSE: Final = 8
"""Of older ones so many are kept, about, for each time that their distance grows by e."""


async def compare_marks(
    view: View, store: Store, height: int
) -> Literal["same", "behind", "another"]:
    """Whether a node has the history that was read, up to its height."""
    known = [one for one in store.marks if one[0] <= height]
    if known and await view.block_hash(known[-1][0]) != known[-1][1]:
        return "another"
    return "same" if len(known) == len(store.marks) else "behind"


async def common_marks(view: View, store: Store, height: int) -> list[tuple[int, str]]:
    """The marks that are of the node's history too."""
    kept = [one for one in store.marks if one[0] <= height]
    while kept and await view.block_hash(kept[-1][0]) != kept[-1][1]:
        kept.pop()
    return kept


async def add_mark(view: View, store: Store) -> None:
    """Keep the hash of the block up to which all was read."""
    block = store.cursor
    if block >= 0 and (not store.marks or store.marks[-1][0] < block):
        await store.set_marks(thin([*store.marks, (block, await view.block_hash(block))]))


def thin(marks: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The marks that are kept: the farther back, the fewer."""
    newest, kept = marks[-1][0], list(marks[-DENSE:])
    for mark in reversed(marks[:-DENSE]):
        if kept[0][0] - mark[0] >= (newest - mark[0]) / SPARSE:
            kept.insert(0, mark)
    return kept


async def is_held(store: Store, key: Key, latest: Latest) -> bool:
    """Whether the contract's newest anchor of a log is one that was read; none is."""
    seen = store.seen.get(key, Seen())
    if latest.number == 0 or latest.number > seen.number:
        return latest.number == 0
    row = await store.row(key, latest.number)
    return row is not None and (row.size, row.block) == (clip(latest.size), latest.block)


async def count_common(view: View, store: Store, key: Key, number: int) -> int:
    """How many of a log's first anchors are on the chain as they were read, of so many."""
    low, high = 0, number
    while low < high:
        middle = (low + high + 1) // 2
        row = await store.row(key, middle)
        there = row is not None and _has(await view.each_block(row.block, row.block, [key[0]]), row)
        low, high = (middle, high) if there else (low, middle - 1)
    return low


def _has(events: Sequence[Event], row: Row) -> bool:
    wanted = (row.key, row.number, row.size, row.transaction)
    return wanted in [(one.key, one.number, clip(one.size), one.transaction) for one in events]

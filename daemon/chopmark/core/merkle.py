"""The Merkle tree of RFC 6962 and RFC 9162 with SHA-256: hashing, ranges and proofs.

A node is named by its level (0 are leaves) and its index in that level: (l, i) is the root of the
perfect subtree over leaves [i·2^l, (i+1)·2^l). Every range of leaves is a row of such subtrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from chopmark.core.errors import RefusedError

HASH: Final = 32
"""Bytes of a hash."""
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves (RFC 9162 §2.1.1)."""

Node = tuple[int, int]
NodeReader = Callable[[int, int], bytes]
"""Gives the 32-byte hash of the perfect subtree (level, index)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one leaf: SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def range_nodes(start: int, end: int) -> list[Node]:
    """The fewest perfect subtrees that cover the leaves [start, end), from left to right."""
    left: list[Node] = []
    right: list[Node] = []
    level = 0
    while start < end:
        if start & 1:
            left.append((level, start))
            start += 1
        if end & 1:
            end -= 1
            right.append((level, end))
        start, end, level = start >> 1, end >> 1, level + 1
    return left + right[::-1]


def read_range(start: int, end: int, node: NodeReader) -> tuple[bytes, ...]:
    """The hashes of `range_nodes(start, end)`."""
    return tuple(node(level, index) for level, index in range_nodes(start, end))


def fold_perfect(hashes: Sequence[bytes]) -> bytes:
    """Root of a perfect subtree, from the 2^k hashes of one of its levels."""
    row = list(hashes)
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=True)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return row[0]


@lru_cache(maxsize=256)
def fold_row(row: bytes) -> bytes:
    """As `fold_perfect`, from the hashes joined.

    Remembered (2 MB at most): a replica verifies a bundle and then stores it, and the finished
    part of a tree is folded again for each new root.
    """
    return fold_perfect([row[i : i + HASH] for i in range(0, len(row), HASH)])


def fold_range(hashes: Sequence[bytes]) -> bytes:
    """Root over a row of perfect subtrees that starts at a subtree's left edge.

    For the compact range of [0, size) this is the tree's root.
    """
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


@dataclass(slots=True)
class CompactRange:
    """The perfect subtrees over the leaves [0, size), growing to the right.

    Attributes:
        nodes: (level, index, hash) from left to right, levels falling.
    """

    nodes: list[tuple[int, int, bytes]] = field(default_factory=list)

    @classmethod
    def from_hashes(cls, size: int, hashes: Sequence[bytes]) -> "CompactRange":
        """The compact range of [0, size) with these hashes.

        Raises:
            RefusedError: `bad-range` if their number does not fit the size.
        """
        made = cls()
        made.extend(range_nodes(0, size), hashes)
        return made

    @property
    def size(self) -> int:
        """Number of leaves covered."""
        if not self.nodes:
            return 0
        level, index, _ = self.nodes[-1]
        return (index + 1) << level

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes from left to right."""
        return tuple(value for _, _, value in self.nodes)

    def push(self, level: int, index: int, value: bytes) -> None:
        """Add the perfect subtree right after what is covered, and merge siblings."""
        nodes = self.nodes
        while nodes and nodes[-1][0] == level and index & 1:
            value = sha256(b"\x01" + nodes.pop()[2] + value).digest()
            level, index = level + 1, index >> 1
        nodes.append((level, index, value))

    def extend(self, nodes: Sequence[Node], hashes: Sequence[bytes]) -> None:
        """Add a row of subtrees.

        Raises:
            RefusedError: `bad-range` if there is not one hash of 32 bytes for each.
        """
        if len(nodes) != len(hashes) or any(len(value) != 32 for value in hashes):
            raise RefusedError("bad-range", f"{len(nodes)} hashes of 32 bytes are due in a range")
        for (level, index), value in zip(nodes, hashes, strict=True):
            self.push(level, index, value)

    def append(self, row: Sequence[bytes], level: int = 0) -> None:
        """Add hashes of one level, by default leaves; what is covered must end at that level."""
        start = self.size >> level
        for above, index in range_nodes(start, start + len(row)):
            first = (index << above) - start
            part = row[first : first + (1 << above)]
            self.push(level + above, index, fold_row(b"".join(part)) if above else part[0])

    def copy(self) -> "CompactRange":
        """A range that grows by itself."""
        return CompactRange(list(self.nodes))

    def root(self) -> bytes:
        """Root of the tree over what is covered."""
        return fold_range(self.hashes)


def inclusion_proof(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Hashes from the leaf's sibling up to the root's child (RFC 9162 §2.1.3.1).

    Raises:
        ValueError: unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    level = 0
    while 1 << level < size:
        sibling = index >> level ^ 1
        start, end = sibling << level, sibling + 1 << level
        if end <= size:
            path.append(node(level, sibling))
        elif start < size:  # the tree's right edge cuts the sibling short
            path.append(fold_range(read_range(start, size, node)))
        level += 1
    return tuple(path)


def consistency_proof(old: int, new: int, node: NodeReader) -> tuple[bytes, ...]:
    """Proof that the tree of size `old` is a prefix of that of size `new` (RFC 9162 §2.1.4.1).

    Raises:
        ValueError: unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    path: list[bytes] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        other = (middle, end) if old <= middle else (start, middle)
        path.append(fold_range(read_range(*other, node)))
        start, end = (start, middle) if old <= middle else (middle, end)
    if start:
        path.append(fold_range(read_range(start, end, node)))
    return tuple(reversed(path))


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 §2.1.3.2).

    Raises:
        RefusedError: `bad-inclusion` if the proof cannot belong to this index and size.
    """
    if not 0 <= index < size or len(leaf) != 32:
        raise RefusedError("bad-inclusion", f"no leaf {index} in a tree of {size}")
    position, last, root = index, size - 1, leaf
    for value in proof:
        if last == 0 or len(value) != 32:
            raise RefusedError("bad-inclusion", "the inclusion proof is too long")
        if position & 1 or position == last:
            root = node_hash(value, root)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            root = node_hash(root, value)
        position, last = position >> 1, last >> 1
    if last:
        raise RefusedError("bad-inclusion", "the inclusion proof is too short")
    return root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (old, old_root) is a prefix of (new, new_root) (RFC 9162 §2.1.4.2).

    Raises:
        RefusedError: `bad-consistency`.
    """
    if not 0 < old <= new:
        raise RefusedError("bad-consistency", f"no consistency proof from {old} to {new}")
    if old == new:
        if proof or old_root != new_root:
            raise RefusedError("bad-consistency", "two roots of one size differ")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    first, second = _climb(old - 1, new - 1, path)
    if first != old_root or second != new_root:
        raise RefusedError("bad-consistency", "the consistency proof leads to other roots")


def _climb(position: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Roots of the smaller and the larger tree that a consistency path leads to."""
    while position & 1:
        position, last = position >> 1, last >> 1
    if not path or any(len(value) != 32 for value in path):
        raise RefusedError("bad-consistency", "the consistency proof is too short")
    first = second = path[0]
    for value in path[1:]:
        if last == 0:
            raise RefusedError("bad-consistency", "the consistency proof is too long")
        if position & 1 or position == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, value)
        position, last = position >> 1, last >> 1
    if last:
        raise RefusedError("bad-consistency", "the consistency proof is too short")
    return first, second


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)

"""Makes evidence of a fork from what a holder of a log has seen of two histories.

A head alone says nothing about smaller trees. What does: the log that is held, with the signed
head under which its entries lie, and a package, which shows the tree under its own head.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.evidence import Branch, Evidence, Subject, make_evidence
from chopmark.core.merkle import (
    Node,
    NodeReader,
    consistency_proof,
    fold_range,
    inclusion_proof,
    node_hash,
    range_nodes,
    read_range,
)
from chopmark.core.package import VerifiedPackage


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head under which the first `held` entries of a log lie.

    Attributes:
        head: the checkpoint.
        note: its note.
        held: how many entries are held; at most the head's size.
        right: hashes of the compact range [held, size).
    """

    head: Checkpoint
    note: bytes
    held: int
    right: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """The tree under one signed head, as far as it was shown.

    Attributes:
        head: the checkpoint.
        note: its note.
        least: sizes from here on have a root that follows.
        most: and up to here.
        known: hashes of subtrees, which together cover the tree.
        held: entries of which `read` gives all subtrees.
        read: gives them.
    """

    head: Checkpoint
    note: bytes
    least: int
    most: int
    known: Mapping[Node, bytes] = field(default_factory=dict)
    held: int = 0
    read: NodeReader | None = None

    @classmethod
    def by_log(cls, anchor: Anchor, read: NodeReader) -> "Shown":
        """By the log that is held, and a head that it lies under."""
        nodes = range_nodes(anchor.held, anchor.head.size)
        known = dict(zip(nodes, anchor.right, strict=True))
        return cls(anchor.head, anchor.note, 1, anchor.held, known, anchor.held, read)

    @classmethod
    def by_package(cls, package: VerifiedPackage) -> "Shown":
        """By a package that was verified."""
        head, start = package.head.checkpoint, package.start
        end = start + len(package.leaves)
        known = dict(zip(range_nodes(0, start), package.left, strict=True))
        known |= {(0, start + offset): leaf for offset, leaf in enumerate(package.leaves)}
        known |= dict(zip(range_nodes(end, head.size), package.right, strict=True))
        return cls(head, package.head.encode(), max(1, start), end, known)

    def root(self, size: int) -> bytes:
        """Root of the tree of the first `size` entries, from `least` to `most`."""
        return fold_range(read_range(0, size, self.node))

    def branch(self, size: int) -> Branch:
        """What the head says about the tree of the first `size` entries, with the proof."""
        proof = consistency_proof(size, self.head.size, self.node)
        return Branch(self.root(size), proof, self.note)

    def entry_branch(self, index: int) -> Branch:
        """What the head says about one entry that is held, with the proof."""
        proof = inclusion_proof(index, self.head.size, self.node)
        return Branch(self.node(0, index), proof, self.note)

    def node(self, level: int, index: int) -> bytes:
        """Hash of a perfect subtree that no known one stands above."""
        found = self.known.get((level, index))
        if found is None and self.read is not None and (index + 1) << level <= self.held:
            found = self.read(level, index)
        if found is None:
            below = (level - 1, 2 * index), (level - 1, 2 * index + 1)
            found = node_hash(self.node(*below[0]), self.node(*below[1]))
        return found


def refute_head(ours: Shown, head: Checkpoint, note: bytes) -> Evidence | None:
    """Evidence that a signed head is not of the log that is held; None if none can be made."""
    if not ours.least <= head.size <= ours.most or ours.root(head.size) == head.root:
        return None
    other = Branch(head.root, (), note)
    return make_evidence(Subject.SIZE, head.size, ours.branch(head.size), other)


def refute_package(ours: Shown, theirs: Shown) -> Evidence | None:
    """Evidence that a package is not of the log that is held; None if none can be made."""
    size = min(ours.most, theirs.most)
    if size < max(ours.least, theirs.least) or ours.root(size) == theirs.root(size):
        return None
    return make_evidence(Subject.SIZE, size, ours.branch(size), theirs.branch(size))


def refute_entry(ours: Shown, index: int, theirs: Branch) -> Evidence | None:
    """Evidence that a proven entry is not the one that is held; None if it is, or is not held.

    Args:
        ours: the log that is held.
        index: of the entry.
        theirs: its leaf hash, a verified inclusion proof, and the note of the head.
    """
    if index >= ours.most or ours.node(0, index) == theirs.value:
        return None
    return make_evidence(Subject.ENTRY, index, ours.entry_branch(index), theirs)

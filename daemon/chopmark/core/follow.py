"""Following a peer's log: which packages continue what is held, and which contradict it.

Rules, in this order, for each package:
1. It is of the followed log, and its note is signed by that log's key.
2. If all of its entries are held already, it brings nothing but its head.
3. If it starts beyond what is held, there is a gap: it brings nothing but its head.
4. Its entries lie under its head (`verify_package`).
5. What comes before its new entries is what is held; otherwise the log was forked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chopmark.core.checkpoint import SignedCheckpoint
from chopmark.core.columns import Columns, parse_columns
from chopmark.core.errors import RefusedError
from chopmark.core.merkle import CompactRange
from chopmark.core.package import Package, VerifiedPackage, verify_package


class Taken(StrEnum):
    """What a package was good for."""

    ADDED = "added"
    HELD = "held"
    GAP = "gap"


@dataclass(slots=True)
class Follower:
    """Verified entries that continue a log of which [0, start) is held.

    Attributes:
        origin: the followed log.
        open_note: reads a checkpoint note and checks the log's signature.
        tree: compact range of what is held and gathered.
        gathered: what was gathered, from `start` on, as it came.
        leaves: the leaf hashes of its entries.
        reached: the newest head whose entries are all held or gathered, if one was reached.
        whole: how much of `gathered` leads to that head.
        last: the package that brought the newest entries.
        refuted: the package that contradicted what is held, once one has.
        seen: signed heads that were seen and not compared with the entries, by size and root.
    """

    origin: str
    open_note: Callable[[bytes], SignedCheckpoint]
    tree: CompactRange
    gathered: list[Columns] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    reached: SignedCheckpoint | None = None
    whole: int = 0
    last: VerifiedPackage | None = None
    refuted: VerifiedPackage | None = None
    seen: dict[tuple[int, bytes], SignedCheckpoint] = field(default_factory=dict)

    @classmethod
    def after(
        cls,
        origin: str,
        size: int,
        hashes: Sequence[bytes],
        open_note: Callable[[bytes], SignedCheckpoint],
    ) -> "Follower":
        """A follower of a log of which [0, size) is held, with its compact range."""
        return cls(origin, open_note, CompactRange.from_hashes(size, hashes))

    @property
    def entries(self) -> list[bytes]:
        """The gathered entries one by one."""
        return [entry for columns in self.gathered for entry in columns]

    def take(self, package: Package) -> Taken:
        """Take what a package brings.

        Raises:
            MalformedError: if a part of it is not what it should be.
            RefusedError: `foreign-package`, `bad-package`, a bad signature; `fork` if it is
                validly signed and contradicts what is held.
        """
        if package.origin != self.origin:
            message = f"a package of {package.origin} where one of {self.origin} is due"
            raise RefusedError("foreign-package", message)
        head = self.open_note(package.note)
        self.seen[head.checkpoint.size, head.checkpoint.root] = head
        held = self.tree.size - package.start
        if held < 0:
            return Taken.GAP
        if held and len(parse_columns(package.bundle)) <= held:
            return Taken.HELD
        self._add(verify_package(package, self.open_note), held)
        return Taken.ADDED

    def _add(self, verified: VerifiedPackage, held: int) -> None:
        if _compact_hashes(verified, held) != self.tree.hashes:
            self.refuted = verified
            message = f"a signed head of {self.origin} contradicts the entries that are held"
            raise RefusedError("fork", message)
        self.tree, self.last = verified.after, verified
        columns = verified.columns
        self.gathered.append(columns.cut(held, len(columns)) if held else columns)
        self.leaves += verified.leaves[held:]
        head = verified.head.checkpoint
        if self.tree.size == head.size:
            self.reached, self.whole = verified.head, len(self.gathered)
            self.seen.pop((head.size, head.root), None)


def _compact_hashes(verified: VerifiedPackage, held: int) -> tuple[bytes, ...]:
    """The compact range that a package says lies before its entries from `held` on."""
    if not held:
        return verified.left
    before = CompactRange.from_hashes(verified.start, verified.left)
    before.append(verified.leaves[:held])
    return before.hashes

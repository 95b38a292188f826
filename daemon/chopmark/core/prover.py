"""Makes the proofs of a whole request in compact form, from its digests and the answer to them.

The digests and each run's time give all entries, these their leaves, and the leaves with the
hashes beside them the whole tree. If that leads to the root that the log has signed, every proof
is right; nothing of the answer has to be believed.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from chopmark.core.blinding import blind, salt_at
from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint
from chopmark.core.columns import make_columns
from chopmark.core.compact import End, Header, Run, beside, of_run, run_drafts, stretches
from chopmark.core.entry import SHA256, SM3, template
from chopmark.core.errors import RefusedError
from chopmark.core.merkle import HASH, fold_range, node_hash, range_nodes
from chopmark.core.proof import Extra, Proof

CODE: Final = "bad-compact"
_BLOCK: Final = 16_384
"""Leaves hashed at a time: single hashes are small objects, a million would take 65 MB."""
_SHARED: Final = 8
"""Levels below which neighbours' paths differ; above, 256 of them share one."""


class Stretch:
    """Leaves [start, end) of a log, and every perfect subtree over them; 64 bytes a leaf."""

    def __init__(self, start: int, leaves: bytes | bytearray) -> None:
        self._rows: list[tuple[int, bytes | bytearray]] = [(start, leaves)]
        while len(self._rows[-1][1]) >= 2 * HASH:
            self._rows.append(_row_above(*self._rows[-1]))

    def node(self, level: int, index: int) -> bytes | None:
        """The hash of a perfect subtree; None if it does not lie within the stretch."""
        if level >= len(self._rows):
            return None
        first, row = self._rows[level]
        at = (index - first) * HASH
        return bytes(row[at : at + HASH]) if 0 <= at < len(row) else None


class RunProver:
    """The proofs of all digests of one answer; each costs some microseconds.

    Attributes:
        checkpoint: the signed head.
        note: its note.
        runs: as they were given.

    Args:
        header: what the digests have in common; its offset does not matter here.
        digests: of the documents, from the first run's first on, `header.width` bytes for each.
        runs: of the answer.
        end: its end.
        open_note: reads a checkpoint note and checks the log's signature.

    Raises:
        RefusedError: `bad-compact` if digests and answer do not lead to the signed root; and what
            `open_note` raises.
    """

    def __init__(
        self,
        header: Header,
        digests: bytes | bytearray | memoryview,
        runs: Sequence[Run],
        end: End,
        open_note: Callable[[bytes], SignedCheckpoint],
    ) -> None:
        self._header = header
        self._digests = memoryview(digests).toreadonly()
        self.runs = runs
        self._firsts = [run.first for run in runs]
        self.note = end.note
        self.checkpoint: Checkpoint = open_note(end.note).checkpoint
        self._check_runs()
        self._places = stretches(runs)
        self._starts = [start for start, _ in self._places]
        self._others = self._read_beside(end)
        self._stretches = list(self._hash_stretches())
        self._tops = range_nodes(0, self.checkpoint.size)
        hashes = [self._node(level, index) for level, index in self._tops]
        if fold_range(hashes) != self.checkpoint.root:
            raise RefusedError(CODE, "the answer does not lead to the root that the log has signed")
        self._top_hashes = hashes
        self._top_starts = [index << level for level, index in self._tops]
        self._upper = lru_cache(maxsize=4)(self._make_upper)

    def __len__(self) -> int:
        return sum(run.count for run in self.runs)

    def proof(self, number: int) -> Proof:
        """The proof of one digest.

        Args:
            number: its number within the request.

        Raises:
            IndexError: if no run has it.
        """
        run = self.runs[max(0, bisect_right(self._firsts, number) - 1)] if self.runs else None
        if run is None or not run.first <= number < run.first + run.count:
            raise IndexError(f"the runs have no digest {number}")
        index = run.start + number - run.first
        extra = self._extra(run, number)
        return Proof(index, self._path(index), self.note, extra.encode())

    def proofs(self) -> Iterator[Proof]:
        """The proofs of all digests, in their order."""
        for run in self.runs:
            for number in range(run.first, run.first + run.count):
                yield self.proof(number)

    def _check_runs(self) -> None:
        number, free = self._firsts[0] if self._firsts else 0, 0
        for run in self.runs:
            if run.first != number or run.start < free or run.count < 1:
                raise RefusedError(CODE, "the runs of the answer are out of order")
            number, free = run.first + run.count, run.start + run.count
        if free > self.checkpoint.size:
            raise RefusedError(CODE, "the signed head does not cover all runs of the answer")
        if len(self._digests) != len(self) * self._header.width:
            raise RefusedError(CODE, "the runs of the answer are of another number of digests")

    def _read_beside(self, end: End) -> dict[tuple[int, int], bytes]:
        ranges = beside(self.runs, self.checkpoint.size)
        if len(ranges) != len(end.beside):
            raise RefusedError(CODE, f"{len(ranges)} ranges of hashes are due beside the runs")
        found: dict[tuple[int, int], bytes] = {}
        for (start, stop), joined in zip(ranges, end.beside, strict=True):
            nodes = range_nodes(start, stop)
            if len(joined) != len(nodes) * HASH:
                raise RefusedError(CODE, f"{len(nodes)} hashes are due in a range beside the runs")
            parts = (joined[at : at + HASH] for at in range(0, len(joined), HASH))
            found.update(zip(nodes, parts, strict=True))
        return found

    def _hash_stretches(self) -> Iterator[Stretch]:
        runs = iter(self.runs)
        for start, end in self._places:
            leaves = bytearray()
            while len(leaves) < (end - start) * HASH:
                self._add_leaves(next(runs), leaves)
            yield Stretch(start, leaves)

    def _add_leaves(self, run: Run, leaves: bytearray) -> None:
        end = run.first + run.count
        for first in range(run.first, end, _BLOCK):
            digests = self._part(first, min(_BLOCK, end - first))
            drafts = run_drafts(self._header, run, digests, first, self.checkpoint.origin)
            leaves += b"".join(make_columns(drafts, run.made_at).leaves())

    def _extra(self, run: Run, number: int) -> Extra:
        header = of_run(self._header, run)
        before, between, after = template(
            *(run.made_at, header.kind, header.valid_until, None),
            with_sm3=header.with_sm3,
            blinded=header.blinded,
        )
        digests, salt = self._part(number, 1), None
        first, second = digests[:HASH], digests[HASH:]
        if run.seed is not None:
            salt = salt_at(run.seed, number)
            origin = self.checkpoint.origin
            first = blind(salt, origin, SHA256, first)
            second = second and blind(salt, origin, SM3, second)
        return Extra(before + first + between + second + after, salt)

    def _part(self, number: int, count: int) -> bytes:
        """Digests of so many documents, from this number within the request on."""
        width = self._header.width
        at = (number - self._firsts[0]) * width
        return bytes(self._digests[at : at + count * width])

    def _path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion proof (RFC 9162 §2.1.3.1)."""
        top = bisect_right(self._top_starts, index) - 1
        height = min(_SHARED, self._tops[top][0])
        lower = [self._node(level, (index >> level) ^ 1) for level in range(height)]
        return (*lower, *self._upper(top, index >> _SHARED))

    def _make_upper(self, top: int, block: int) -> tuple[bytes, ...]:
        """The path above `_SHARED` levels, up the perfect subtree that is `top`, and beyond."""
        levels = range(_SHARED, self._tops[top][0])
        inside = [self._node(level, (block >> (level - _SHARED)) ^ 1) for level in levels]
        right, left = self._top_hashes[top + 1 :], self._top_hashes[:top]
        return (*inside, *([fold_range(right)] if right else []), *reversed(left))

    def _node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree that no hash beside the runs stands above."""
        at = bisect_right(self._starts, index << level) - 1
        found = self._stretches[at].node(level, index) if at >= 0 else None
        if found is None:
            found = self._others.get((level, index))
        if found is None:  # it has leaves of ours and others: few do
            below = level - 1
            found = node_hash(self._node(below, 2 * index), self._node(below, 2 * index + 1))
            self._others[level, index] = found
        return found


def _row_above(first: int, row: bytes | bytearray) -> tuple[int, bytes]:
    """The hashes of the level above, as far as they follow from a row that begins at `first`."""
    skipped = HASH if first & 1 else 0
    last = skipped + (len(row) - skipped) // (2 * HASH) * 2 * HASH
    pairs = (b"\x01" + row[at : at + 2 * HASH] for at in range(skipped, last, 2 * HASH))
    return (first + 1) >> 1, b"".join([sha256(pair).digest() for pair in pairs])

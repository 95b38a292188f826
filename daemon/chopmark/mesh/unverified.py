"""Packages of one log that came and are not verified yet: kept by where they say that they lie.

Rules:
1. They take at most `limit` bytes and `MAX_PIECES` pieces together. Beyond that the ones that lie
   farthest ahead go first: what is needed next always finds room.
2. Of two that begin at the same entry one is kept: an answer to our own question before anything
   else, otherwise the first.
3. `next_group` gives what continues the log, in order; the rest waits until the hole is filled.
4. What waits behind a hole is acknowledged, or it would keep out what fills the hole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chopmark.core.tiles import WIDTH
from chopmark.mesh.broker import Message

MAX_PIECES: Final = 192
"""Packages; live ones may be small, and a link hands over 200 that are not acknowledged."""
MAX_GROUP: Final = 64
"""Packages verified and stored in one transaction."""


@dataclass(slots=True)
class Piece:
    """A package, as it says of itself, not verified.

    Attributes:
        start: index of its first entry.
        end: index after its last entry.
        payload: its bytes.
        message: what brought it live, while that is not acknowledged.
        helper: the peer that sent it because we asked; empty for a live one.
    """

    start: int
    end: int
    payload: bytes
    message: Message | None = None
    helper: str = ""

    def settle(self) -> None:
        """Acknowledge what brought it: it is durable, worth nothing, or can be asked for."""
        if self.message is not None:
            self.message.acknowledge()
            self.message = None


class Unverified:
    """A bounded buffer of pieces, by start.

    Attributes:
        limit: bytes.
        bytes: what is kept at present.
        answers: bytes of it that came because we asked; live ones make room for more of these.
        dropped: live packages for which there was no room, or no need.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.answers = 0
        self.dropped = 0
        self._pieces: dict[int, Piece] = {}
        self._taken: dict[int, Piece] = {}

    def put(self, piece: Piece) -> bool:
        """Keep a piece if there is room for it; what is dropped for it is settled."""
        held = self._pieces.get(piece.start)
        if held is not None:
            if held.start in self._taken or not piece.helper:
                self._drop(piece)
                return False
            self._remove(held)
            piece.message = held.message
        self._pieces[piece.start] = piece
        self._account(piece, len(piece.payload))
        while self.bytes > self.limit or len(self._pieces) > MAX_PIECES:
            farthest = self._pieces[max(self._pieces.keys() - self._taken.keys())]
            self._remove(farthest)
            self._drop(farthest)
            if farthest is piece:
                return False
        return True

    def next_group(self, size: int) -> list[Piece]:
        """Take what continues [0, size), and what lies within it; `done` gives it back."""
        self._taken = {}
        for start in sorted(self._pieces):
            if start > size or len(self._taken) == MAX_GROUP:
                break
            self._taken[start] = self._pieces[start]
            size = max(size, self._pieces[start].end)
        return [*self._taken.values()]

    def done(self, size: int) -> str | None:
        """The group was offered, and the log now has this size.

        What was of use goes, and so does the first that was not; those behind it may still be.

        Returns:
            The helper whose answer was of no use; None if that is nobody's fault.
        """
        group, self._taken = [*self._taken.values()], {}
        used = [piece for piece in group if piece.start < size]
        # Behind a package that ended early there is a hole, which is no fault of the next one.
        bad = [piece for piece in group if piece.start == size]
        for piece in used + bad:
            self._remove(piece)
            piece.settle()
        self._settle_behind_holes(size)
        return bad[0].helper if bad else None

    def runs(self) -> list[tuple[int, int]]:
        """Where the pieces lie, as [start, end), in order."""
        return [(start, self._pieces[start].end) for start in sorted(self._pieces)]

    def farthest(self) -> Piece | None:
        """The piece that lies farthest ahead."""
        return self._pieces[max(self._pieces)] if self._pieces else None

    def discard(self, piece: Piece) -> None:
        """Drop a piece, if it is still kept."""
        if self._pieces.get(piece.start) is piece:
            self._remove(piece)
            self._drop(piece)

    def continues(self, start: int, size: int) -> bool:
        """Whether what begins there follows on [0, size) together with what is kept."""
        for first, end in self.runs():
            if first > size:
                break
            size = max(size, end)
        return start <= size

    def clear(self) -> None:
        """Drop everything."""
        for piece in self._pieces.values():
            piece.settle()
        self._pieces.clear()
        self._taken = {}
        self.bytes = self.answers = 0

    def _settle_behind_holes(self, size: int) -> None:
        """Acknowledge what seemed to follow on what was of no use: it can be asked for.

        A link hands over no more than so many messages that are not acknowledged, and what is
        missing is to come by it.
        """
        for start in sorted(self._pieces):
            piece = self._pieces[start]
            if start > size:
                piece.settle()
            size = max(size, piece.end) if start <= size else size

    def _remove(self, piece: Piece) -> None:
        del self._pieces[piece.start]
        self._account(piece, -len(piece.payload))

    def _account(self, piece: Piece, size: int) -> None:
        self.bytes += size
        if piece.helper:
            self.answers += size

    def _drop(self, piece: Piece) -> None:
        self.dropped += not piece.helper
        piece.settle()


def holes(size: int, end: int, covered: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Where to ask for packages so that [size, end) is covered: at each hole, and at its bundles.

    Args:
        size: what is held.
        end: what there is.
        covered: runs that are kept or asked for already, in any order.
    """
    at = size
    for start, stop in [*sorted(covered), (end, end)]:
        while at < min(start, end):
            yield at
            at = next_bundle(at)
        at = max(at, stop)


def next_bundle(index: int) -> int:
    """Where the bundle after that of an entry begins; no package goes beyond."""
    return (index // WIDTH + 1) * WIDTH

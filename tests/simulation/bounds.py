"""What a gateway may keep of what comes, whoever sends it (docs/limits.md), and what it may log."""

import logging
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from chopmark.ledger.heads import MAX_HEADS
from chopmark.mesh.broker import DEFAULT_LIMITS
from chopmark.mesh.bulletins import MAX_WAITING
from chopmark.mesh.intake import MAX_RECENT
from chopmark.mesh.serving import MAX_OF_ONE, MAX_REMEMBERED, MAX_REQUESTS
from chopmark.mesh.unverified import MAX_PIECES
from simulation.loop import OWNER, SimLoop

MAX_TASKS = 400
"""Tasks of one gateway: more are a leak."""
MAX_EVIDENCE = 2
"""Pieces of evidence of forks of one log that are kept, each told once."""
QUIET = 60.0
"""Seconds in which one line about the same trouble with the same peer is enough."""


def check_life(life: Any) -> Iterator[str]:
    """What is beyond its bound in a gateway, at this moment."""
    mesh = life.parts.mesh
    for name, peer in mesh.peers.items():
        yield from _check_peer(name, peer)
    for what, found, bound in (
        ("requests", len(mesh.server._requests), MAX_REQUESTS),
        ("requests of one", mesh.server._requests.longest(), MAX_OF_ONE),
        ("requests remembered", len(mesh.server._recent._keys), MAX_REMEMBERED),
        ("bulletins", len(mesh.bulletins._waiting), MAX_WAITING),
        ("messages held", _held(mesh), DEFAULT_LIMITS.unacknowledged),
        ("questions", len(mesh._asker._waiting), MAX_TASKS),
    ):
        if found > bound:
            yield f"{what}: {found}, more than {bound}"


def _check_peer(name: str, peer: Any) -> Iterator[str]:
    buffer = peer.intake.unverified
    pieces = buffer._pieces.values()
    size = sum(len(piece.payload) for piece in pieces)
    for what, found, bound in (
        ("unverified bytes", size, buffer.limit),
        ("pieces", len(pieces), MAX_PIECES),
        ("heads that wait", len(peer.log._heads.waiting), MAX_HEADS),
        ("notes that wait", len(peer.intake._notes), 10),
        ("messages remembered", len(peer.intake._recent._keys), MAX_RECENT),
        ("packages asked for", peer.catch_up.in_flight, MAX_PIECES),
        ("sizes", sum(map(len, peer.sizes)), DEFAULT_LIMITS.payload),
    ):
        if found > bound:
            yield f"{what} of {name}: {found}, more than {bound}"
    if size != buffer.bytes:
        yield f"unverified bytes of {name}: {buffer.bytes}, but {size} are there"


def _held(mesh: Any) -> int:
    return max((len(link.line.held) for link in mesh.links.each if link.line), default=0)


class Journal(logging.Handler):
    """What all gateways log, from warnings on: counted by process, peer and kind of trouble."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(logging.WARNING)
        self._loop = loop
        self._lines: Counter[tuple[Any, str, str]] = Counter()
        self._first: dict[tuple[Any, str, str], float] = {}
        self._logger = logging.getLogger("chopmark")

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        key = (OWNER.get(), getattr(record, "peer", ""), record.msg)
        self._lines[key] += 1
        self._first.setdefault(key, self._loop.now)

    def floods(self) -> Iterator[str]:
        """Of which trouble there are too many lines."""
        for key, count in self._lines.items():
            owner, peer, text = key
            most = MAX_EVIDENCE if "forked" in text else 1
            bound = most + (self._loop.now - self._first[key]) / QUIET
            if owner is not None and count > bound:
                yield f"{owner.box.id} logged {count} times {text!r} of {peer!r}"

    def __enter__(self) -> Self:
        self._before = self._logger.propagate, self._logger.level
        self._logger.propagate = False
        self._logger.setLevel(logging.WARNING)
        self._logger.addHandler(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate, level = self._before
        self._logger.setLevel(level)

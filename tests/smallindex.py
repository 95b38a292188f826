"""A digest index of few keys, for its tests."""

from collections.abc import Sequence
from pathlib import Path

from chopmark.ledger.index import DigestIndex
from ledgers import digest

DIGESTS: list[bytes | None] = [digest(number) for number in range(1000)]


def reopened(folder: Path) -> DigestIndex:
    """The index as it is on the disk, answering though it may lag."""
    index = DigestIndex(folder)
    index.settle(lambda: index.position)
    return index


def spans(folder: Path) -> list[tuple[int, int]]:
    """First and last entry of each file."""
    names = sorted(path.stem for path in folder.iterdir())
    return [(int(name[:15]), int(name[16:])) for name in names]


def put_all(index: DigestIndex, digests: Sequence[bytes | None], step: int = 17) -> None:
    for start in range(index.position, len(digests), step):
        assert index.wait_for_room()
        index.put_many(start, digests[start : start + step])

"""Unit tests keep their files in memory: what a power cut leaves is the subject of others."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in it is made, with a name of its own
_ROOM = 1 << 30


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """A folder in memory, or on the disk of a machine that has no room for it."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    parent = _MEMORY if roomy else None
    with tempfile.TemporaryDirectory(prefix="chopmark-", dir=parent) as made:
        yield Path(made)


@pytest.fixture
def tmp_path(in_memory: Path) -> Iterator[Path]:
    """A folder for one test."""
    made = Path(tempfile.mkdtemp(dir=in_memory))
    yield made
    shutil.rmtree(made, ignore_errors=True)

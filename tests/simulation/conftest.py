"""What every test of the simulation leaves behind."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Pools of processes give their semaphores back here, not in the midst of another test."""
    yield
    gc.collect()

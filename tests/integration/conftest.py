"""Real gateways for integration tests: SoftHSM, Mosquitto, SQLite, separate processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.hsm_kinds import Shelf, open_shelf
from rig.gateway import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three running gateways that the tests of one module share; each leaves them running."""
    made = Cluster(_short(tmp_path_factory))
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Tokens of every kind; what they live on is started when a test first needs it."""
    with open_shelf(_short(tmp_path_factory)) as made:
        yield made


def _short(factory: pytest.TempPathFactory) -> Path:
    # A unix socket's path has room for 107 bytes only.
    return factory.mktemp("c")

"""Faults: each test is marked so, and where CI runs none may be left out.

`make check` does not come here. A developer's machine may lack root, or a feature of the kernel:
the test is skipped and says why. In CI (`CI` is set) that is a failure.
"""

from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from victims import Nursery

from leftout import pytest_runtest_makereport  # noqa: F401 - a hook

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def _strace() -> None:
    """Needs strace, and leave to trace one's own processes."""
    needs.check(needs.strace())


@pytest.fixture
def _namespaces() -> None:
    """Needs root, network namespaces and nftables with random numbers."""
    needs.check(needs.namespaces())


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where victims come from."""
    with Nursery(tmp_path_factory.mktemp("n")) as made:
        yield made

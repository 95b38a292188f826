"""Two boxes that boot, in containers: where CI runs, none of these tests may be left out."""

from collections.abc import Iterator
from pathlib import Path

import boxneeds
import pytest
from pair import Pair
from rootfs import layers
from wires import cable

from leftout import pytest_runtest_makereport  # noqa: F401 - a hook


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both boxes, booted and commissioned."""
    missing = boxneeds.containers()
    if missing is not None:
        pytest.skip(missing)
    folder: Path = tmp_path_factory.mktemp("boxes")
    with cable() as laid:
        made = Pair(folder, layers(), laid)
        try:
            made.boot()
            made.commission()
            yield made
        finally:
            made.close()

"""Settings that every test shares."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, so that a failure is one for everybody; `ci` looks further.
settings.register_profile(
    "quick",
    derandomize=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

CORE = Path(__file__).parent / "unit" / "core"
SEEDS = Path(__file__).parent / "simulation"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order, and who is traced: core is covered by its own tests, and tracing others takes long."""
    # Seeds of the simulation take the processor time that others leave: they begin first.
    items.sort(key=lambda item: SEEDS not in item.path.parents)
    for item in items:
        if not item.path.is_relative_to(CORE):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """What is there now stays: no test need look for garbage in it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)

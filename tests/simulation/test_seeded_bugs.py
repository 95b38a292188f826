"""The simulation finds bugs: each of these, within a bounded number of seeds."""

import pytest

from simulation.bugs import BUGS
from simulation.run import Bug, run_all

BOUND = 150
"""Seeds in which each bug must be found; most are found in the first few."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_simulation_finds_a_gateway_that(bug: Bug) -> None:
    # In a process of its own: under the tracer of a coverage run a seed takes many times as long.
    runs = run_all(range(BOUND), 1, bug)
    found = next((run for run in runs if run.violations), None)
    assert found is not None
    print(f"{bug.__name__}: found by seed {found.seed}")  # noqa: T201 - shown with -s

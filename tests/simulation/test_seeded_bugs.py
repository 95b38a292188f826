"""The simulation finds bugs: each of these, within a bounded number of seeds."""

import itertools
from collections.abc import Iterable
from contextlib import closing

import pytest

from simulation.bugs import ATTACKED, BUGS
from simulation.run import Bug, run_all
from simulation.world import has_attacker

BOUND = 150
"""Seeds in which each bug must be found; most are found in the first few."""
ATTACKS = 80
"""The same, of seeds with an attacker, for bugs that only an attacker brings to light."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_simulation_finds_a_gateway_that(bug: Bug) -> None:
    _find(bug, range(BUGS[bug], BUGS[bug] + BOUND))


@pytest.mark.parametrize("bug", ATTACKED, ids=lambda bug: bug.__name__)
def test_attacker_finds_a_gateway_that(bug: Bug) -> None:
    attacked = filter(has_attacker, itertools.count(ATTACKED[bug]))
    _find(bug, itertools.islice(attacked, ATTACKS))


def _find(bug: Bug, seeds: Iterable[int]) -> None:
    # In a process of its own: under the tracer of a coverage run a seed takes many times as long.
    with closing(run_all(seeds, 1, bug)) as runs:
        found = next((run for run in runs if run.violations), None)
    assert found is not None
    print(f"{bug.__name__}: found by seed {found.seed}")  # noqa: T201 - shown with -s

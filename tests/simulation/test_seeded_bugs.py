"""The simulation finds bugs: each of these, within a bounded number of seeds."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from simulation.bugs import BUGS
from simulation.world import run_seed, scratch

BOUND = 150
"""Seeds in which each bug must be found; most are found in the first few."""


@pytest.fixture(autouse=True, scope="module")
def folder() -> Iterator[None]:
    with scratch():
        yield


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_simulation_finds_a_gateway_that(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    runs = (run_seed(seed) for seed in range(BOUND))
    tried = list(itertools.takewhile(lambda run: not run.violations, runs))
    print(f"{bug.__name__}: found by seed {len(tried)}")  # noqa: T201 - shown with -s
    assert len(tried) < BOUND

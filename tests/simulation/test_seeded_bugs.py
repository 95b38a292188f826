"""The simulation finds bugs: each of these, within a bounded number of seeds."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from simulation.bugs import ATTACKED, BUGS
from simulation.world import has_attacker, run_seed, scratch

BOUND = 150
"""Seeds in which each bug must be found; most are found in the first few."""
ATTACKS = 80
"""The same, of seeds with an attacker, for bugs that only an attacker brings to light."""


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


@pytest.mark.parametrize("bug", ATTACKED, ids=lambda bug: bug.__name__)
def test_attacker_finds_a_gateway_that(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    attacked = itertools.islice(filter(has_attacker, itertools.count(ATTACKED[bug])), ATTACKS)
    runs = map(run_seed, attacked)
    tried = list(itertools.takewhile(lambda run: not run.violations, runs))
    print(f"{bug.__name__}: found by attack {len(tried)}")  # noqa: T201 - shown with -s
    assert len(tried) < ATTACKS

"""Many seeds of the simulation, and that a seed is always the same run."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from simulation.run import explain, run_all

SEEDS = 2000
CHUNK = 100
RUN = Path(__file__).with_name("run.py")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_all_invariants_hold_from_seed(first: int) -> None:
    bad = [run for run in run_all(range(first, first + CHUNK)) if run.violations]
    assert not bad, "\n" + "\n".join(map(explain, bad[:5]))


@cache
def _trace(seed: int, hash_seed: int) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, RUN, str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.rpartition("trace ")[2].strip()


def test_seed_is_the_same_run_in_every_process() -> None:
    assert [_trace(seed, 1) for seed in (7, 12)] == [_trace(seed, 2) for seed in (7, 12)]


def test_seeds_are_different_runs() -> None:
    assert _trace(7, 1) != _trace(8, 1)

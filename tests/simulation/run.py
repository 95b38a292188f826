"""Runs seeds of the simulation on all processors, and says how to run a bad one again.

python tests/simulation/run.py 12345        this seed
python tests/simulation/run.py 0-5000       these (the last is left out)
python tests/simulation/run.py --count 5000 so many, beginning where nobody has been
"""

import argparse
import gc
import multiprocessing
import os
import secrets
import sys
import time
from collections.abc import Callable, Generator, Iterable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "daemon")]

from simulation import world  # noqa: E402 - the path comes first
from simulation.world import Result, run_seed  # noqa: E402

Bug = Callable[[pytest.MonkeyPatch], None]
SHOWN = 10
"""Bad seeds after which a run gives up."""


def run_all(
    seeds: Iterable[int], processes: int | None = None, bug: Bug | None = None
) -> Generator[Result]:
    """Results of seeds as they come, from all processors; of gateways that have a bug, if given."""
    count = processes or len(os.sched_getaffinity(0))
    chunk = 8 if bug is None else 1  # the first seed that finds a bug is the last
    with world.scratch(), _nursery().Pool(count, _prepare, (world.SCRATCH[0], bug)) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=chunk)


def run_here(seeds: Iterable[int]) -> Generator[Result]:
    """Results of seeds that run in this process."""
    with world.scratch():
        yield from map(run_seed, seeds)


def _nursery() -> ForkServerContext:
    """Where processes come from: no state of the parent can leak into a run.

    They are forked from one process that has done nothing but to load what all of them need.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"simulation.{name}" for name in ("run", "bugs")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"), prepend=os.pathsep)
        forkserver.ensure_running()
    return context


def _prepare(folder: Path, bug: Bug | None) -> None:
    """In each process, before its first seed. A bug stays for as long as the process does."""
    os.nice(10)  # they run for minutes beside tests on real clocks
    gc.freeze()  # what is loaded stays, and a sixth of the time went into looking for garbage
    gc.set_threshold(20_000)
    world.use_scratch(folder)
    if bug is not None:
        bug(pytest.MonkeyPatch())


def explain(result: Result) -> str:
    """What went wrong, and the line that runs it again."""
    again = f"again: make simulate SEEDS={result.seed}"
    other = f"   or: python tests/simulation/run.py {result.seed}"
    return "\n  ".join([f"seed {result.seed}", *result.violations[:5], again, other])


def main() -> int:
    """Entry point; 1 if a seed is bad."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seeds", nargs="?", help="a seed, or first-last")
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    seeds = _seeds(arguments.seeds, arguments.count)
    begun = time.monotonic()
    results: list[Result] = []
    bad = 0
    for result in run_here(seeds) if len(seeds) == 1 else run_all(seeds):
        results.append(result)
        if result.violations:
            bad += 1
            _say(explain(result) + "\n")
            if bad == SHOWN:
                break
        if len(results) % 50 == 0:
            rate = len(results) / (time.monotonic() - begun)
            _say(f"{len(results)} of {len(seeds)} seeds, {rate:.0f}/s")
    _say(_summary(results, bad, time.monotonic() - begun) + "\n")
    return int(bad > 0)


def _say(text: str) -> None:
    """Over the progress line."""
    sys.stdout.write(f"\r{text}")
    sys.stdout.flush()


def _seeds(text: str | None, count: int) -> range:
    if text is None:
        first = secrets.randbelow(10**9)
        return range(first, first + count)
    first, _, last = text.partition("-")
    return range(int(first), int(last) if last else int(first) + 1)


def _summary(results: list[Result], bad: int, seconds: float) -> str:
    count = len(results)
    hours = sum(result.seconds for result in results) / 3600
    messages = sum(result.messages for result in results)
    entries = sum(result.entries for result in results)
    return (
        f"{count} seeds in {seconds:.0f} s ({count / seconds:.1f}/s), {bad} bad:"
        f" {hours:.1f} virtual hours, {messages} messages, {entries} entries"
        + (f", trace {results[0].trace}" if count == 1 else "")
    )


if __name__ == "__main__":
    sys.exit(main())

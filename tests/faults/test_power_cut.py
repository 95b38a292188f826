"""The power is cut at every flush of the disk, with any part of what was written after it.

Again by hand, where SEED is printed with each failure; `--log-cli-level=info` counts the cuts:
`FAULTS=long FAULTS_SEED=SEED pytest tests/faults/test_power_cut.py`.
"""

import logging
import os
from typing import Final

import pytest
from mounts import needs
from powercut import check_init, check_restart, record

pytestmark = [
    needs("mkfs.ext4", "losetup", "fusermount3", paths=["/dev/fuse", "/dev/loop-control"]),
    pytest.mark.timeout(1200),
]

LOG: Final = logging.getLogger("powercut")
LONG: Final = os.environ.get("FAULTS") == "long"
SEED: Final = int(os.environ.get("FAULTS_SEED", "1"))
ROUNDS: Final = 4 if LONG else 1
PARTS: Final = 3 if LONG else 1
"""How often each cut is tried with other parts of what was not flushed."""
TRIES: Final = 6
"""Recordings in one of which a bug is found at the latest."""


def test_power_cut_at_any_flush_loses_no_answer() -> None:
    with record("gateway", SEED, ROUNDS) as recording:
        assert max(one["times"] for one in recording.shown if one["what"] == "wrapped") > 0
        cuts = recording.cuts(PARTS, recording.first("made")["events"])
        count, faults = recording.try_all(cuts, check_restart)
    LOG.info("%d cuts, seed %d", count, SEED)
    assert not faults, f"FAULTS_SEED={SEED} {faults}"
    assert count >= (300 if LONG else 100)


def test_power_cut_at_any_flush_of_init_leaves_all_or_nothing() -> None:
    with record("init", SEED, 0) as recording:
        count, faults = recording.try_all(recording.cuts(PARTS), check_init)
    LOG.info("%d cuts, seed %d", count, SEED)
    assert not faults, f"FAULTS_SEED={SEED} {faults}"
    assert count >= 40


@pytest.mark.parametrize(
    ("bug", "step", "signs"),
    [
        ("no-sync", 1, [""]),  # hardly anything is flushed, and anything can be wrong then
        ("late-commit", 3, ["does not say what was answered", "is lost", "log is behind"]),
        ("index-ahead", 3, ["is not found by its digest", "lacks entry"]),
    ],
    ids=["no-sync", "late-commit", "index-ahead"],
)
def test_power_cuts_find_bug(bug: str, step: int, signs: list[str]) -> None:
    found: list[str] = []
    for seed in range(SEED, SEED + TRIES):  # when what is written depends on the machine's load
        with record("gateway", seed, ROUNDS, bug) as recording:
            start = next(one["events"] for one in recording.shown if one["what"] == "recorded")
            _, faults = recording.try_all(recording.cuts(PARTS, start, step), check_restart)
        found += faults
        if any(sign in fault for fault in faults for sign in signs):
            return
    pytest.fail(f"not found in {TRIES} recordings: {found}")


def test_power_cuts_find_that_init_does_not_sync_its_folders() -> None:
    with record("init", SEED, 0, "no-folder-sync") as recording:
        _, faults = recording.try_all(recording.cuts(PARTS, 40), check_init)
    assert any("it is not" in fault for fault in faults)

"""The wizard, over nothing but a serial line: from a bare box to a witnessed attestation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chopmark.console.commissioning.plan import STEPS
from commissionings import Commissioning, Kill

KILLS: Final = (
    Kill("Institution:", answered=False),
    Kill("Enter if it is right; `ch", answered=False),
    Kill("Enter if it is right; else"),
    Kill("The PIN once more:"),
    Kill("Making keys and ledger", "admin"),
    Kill("Making keys and ledger"),
    Kill("Head office has it", answered=False),
    Kill("the gateway is started"),
    Kill("Its SHA-256, as head"),
    Kill("] first peers"),
    Kill("] first attestation", "daemon"),
    Kill("Waiting for the quorum"),
)
"""A place in each step that anything is done in, as it is asked, or right after it was answered."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


def open_scene(folder: Path, *, roster: bool) -> Iterator[Commissioning]:
    made = Commissioning(folder, roster=roster)
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.fixture
def with_roster(folder: Path) -> Iterator[Commissioning]:
    yield from open_scene(folder, roster=True)


@pytest.fixture
def with_peers(folder: Path) -> Iterator[Commissioning]:
    yield from open_scene(folder, roster=False)


def test_bare_box_comes_to_its_first_witnessed_attestation(with_roster: Commissioning) -> None:
    with_roster.commission()
    shown = with_roster.far.screen.text
    assert [f"[{at}/{len(STEPS)}]" in shown for at in range(1, len(STEPS) + 1)] == [True] * 12
    assert with_roster.witnessed() >= 1
    assert with_roster.box.token.read_pin() not in shown


def test_power_that_goes_in_every_step_costs_nothing_that_was_done(
    with_peers: Commissioning,
) -> None:
    with_peers.commission(KILLS)
    assert with_peers.witnessed() == 1

"""The wizard, over nothing but a serial line: from a bare box to a witnessed attestation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chopmark.console.commissioning.plan import STEPS
from chopmark.service.config import load_config
from commissionings import Commissioning, Kill

KILLS: Final = (
    Kill("Institution:", answered=False),
    Kill("Enter if it is right; `ch", answered=False),
    Kill("Enter if it is right; else"),
    Kill("The PIN once more:"),
    Kill("Making keys and ledger", "admin"),
    Kill("Making keys and ledger", "all"),
    Kill("Sending hk-1.csr", answered=False),
    Kill("Waiting for hk-1.pem", answered=False),
    Kill("Port to publish at"),
    Kill("Head office has it", answered=False),
    Kill("the gateway is started"),
    Kill("Its fingerprint, as head"),
    Kill("] first peers"),
    Kill("] first attestation", "daemon"),
    Kill("Waiting for the quorum", "all"),
)
"""A place in each step, as it is asked, or right after it was answered; files under way, too."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


def open_scene(folder: Path, **given: bool) -> Iterator[Commissioning]:
    made = Commissioning(folder, **given)
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.fixture
def with_peers(folder: Path) -> Iterator[Commissioning]:
    yield from open_scene(folder, roster=False)


@pytest.fixture
def with_picocom(folder: Path) -> Iterator[Commissioning]:
    yield from open_scene(folder, roster=True, far=True)


def test_bare_box_comes_to_its_first_witnessed_attestation(with_peers: Commissioning) -> None:
    with_peers.commission()
    shown = with_peers.far.screen.text
    assert [f"[{at}/{len(STEPS)}]" in shown for at in range(1, len(STEPS) + 1)] == [True] * 12
    assert with_peers.witnessed() == ["attestation"]
    assert with_peers.box.token.read_pin() not in shown


@pytest.mark.timeout(900)
def test_power_that_goes_in_every_step_costs_nothing_that_was_done(
    with_picocom: Commissioning,
) -> None:
    """As a technician drives it: picocom, files by `sz` and `rz`, a broker that wants TLS."""
    with_picocom.commission(KILLS)
    assert with_picocom.witnessed().count("attestation") == 1
    (broker,) = load_config(with_picocom.box.config).broker
    assert broker.tls is not None

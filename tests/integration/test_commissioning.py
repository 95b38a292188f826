"""The wizard, over nothing but a serial line: from a bare box to a witnessed attestation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commissionings import Commissioning


@pytest.fixture
def _short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


def run(folder: Path, *, roster: bool) -> Iterator[Commissioning]:
    made = Commissioning(folder, roster=roster)
    try:
        made.begin()
        yield made
    finally:
        made.close()


@pytest.fixture
def with_roster(_short: Path) -> Iterator[Commissioning]:
    yield from run(_short, roster=True)


def test_bare_box_comes_to_its_first_witnessed_attestation(with_roster: Commissioning) -> None:
    with_roster.commission()
    print(with_roster.far.screen.text)

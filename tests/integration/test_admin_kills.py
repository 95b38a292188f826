"""chopmark-admin is killed after each step of what it does, and what is left is always whole.

`tests/adminvictim.py` counts the steps; another service starts on what the first one left.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from adminbox import AdminBox
from configs import BASE
from rig.patience import PATIENCE
from rig.unixsocket import is_listening

Call = tuple[str, Mapping[str, object]]
VICTIM = Path(__file__).parents[1] / "adminvictim.py"
AFTER = BASE.replace('jurisdiction = "HK"', 'jurisdiction = "MO"')
COMMIT = (("config-change", {"jurisdiction": "MO"}), ("config-commit", {"seconds": 600}))
CONFIRMED = (*COMMIT, ("config-confirm", {}))
TAKEN_BACK = (*COMMIT, ("config-rollback", {}))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[AdminBox]:
    made = AdminBox(tmp_path)
    made.config.write_text(BASE)
    try:
        yield made
    finally:
        made.close()


def run_until_killed(box: AdminBox, steps: int, calls: Sequence[Call]) -> None:
    """Start the victim and have it do these until it is dead."""
    box.program = (sys.executable, str(VICTIM), str(steps))
    box.start()
    for verb, values in calls:
        if box.send_or_dead(verb, **values) is None:
            return
    raise AssertionError(f"it did not come to step {steps}")


def start_again(box: AdminBox) -> str:
    """Another service, on what the one before left; gives the configuration."""
    box.kill()
    box.program = AdminBox.program
    box.start()
    text = box.config.read_text()
    assert not (box.own / "commit.json").exists()
    assert not list(box.config.parent.glob(".chopmark-*")) or text in (BASE, AFTER)
    told = box.controlled()
    # Whatever became of it: the gateway was last started with the file that is there.
    assert not told or told[-1] == (["try-restart", "chopmark.service"], digest(text))
    return text


def test_copy_of_the_pin_does_not_outlast_a_service_that_was_killed(box: AdminBox) -> None:
    lent = box.folder / "run" / "pin-a1b2c3"  # as `Programs` lends it
    lent.mkdir(parents=True)
    (lent / "hsm-pin").write_text("tell-tale")
    report = box.folder / "run" / "recover.json"
    report.write_text("{}")
    box.start()
    assert not lent.exists()
    assert report.exists()


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (1, BASE),  # the candidate is there
        (2, BASE),  # the text before is safe
        (3, BASE),  # the file is the new one
        (4, BASE),  # the gateway runs with it
        (5, BASE),  # it was confirmed, and not yet noted
        (6, AFTER),
    ],
)
def test_change_is_in_force_only_once_its_confirmation_is_durable(
    box: AdminBox, steps: int, kept: str
) -> None:
    run_until_killed(box, steps, CONFIRMED)
    assert start_again(box) == kept


@pytest.mark.parametrize("steps", [5, 6, 7])
def test_rollback_that_is_killed_is_finished_by_the_next_service(box: AdminBox, steps: int) -> None:
    run_until_killed(box, steps, TAKEN_BACK)
    assert start_again(box) == BASE
    assert "-jurisdiction" in box.do("config-state")["differences"], "the candidate is gone"


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_rollback_at_the_start_that_is_killed_too_is_finished_by_the_third_service(
    box: AdminBox, steps: int
) -> None:
    run_until_killed(box, 4, COMMIT)
    assert box.config.read_text() == AFTER
    box.kill()
    box.program = (sys.executable, str(VICTIM), str(steps))
    box.start_dying()
    assert start_again(box) == BASE


def test_file_that_somebody_edited_meanwhile_stays_as_it_is(box: AdminBox) -> None:
    run_until_killed(box, 4, COMMIT)
    mended = AFTER + "# mended by hand\n"
    box.config.write_text(mended)
    box.kill()
    box.program = AdminBox.program
    box.start()
    assert box.config.read_text() == mended
    assert not (box.own / "commit.json").exists()


def test_service_that_its_socket_started_answers_and_ends_when_it_is_idle(box: AdminBox) -> None:
    settings = box.folder / "admin.toml"
    settings.write_text("idle = 0.5\n" + settings.read_text())
    words = ("--listen", str(box.socket), sys.executable, *AdminBox.program[1:])
    with (box.folder / "admin.log").open("ab") as log:
        box.service = subprocess.Popen(
            ["/usr/bin/systemd-socket-activate", *words, "--settings", str(settings)], stderr=log
        )
    # A call would start the service, which ends once it is idle; before `listen` it is refused.
    box.wait_for(lambda: is_listening(box.socket), "the socket")
    box.do("config-change", jurisdiction="MO")
    assert box.service.wait(PATIENCE) == 0


def test_service_with_a_change_to_be_confirmed_does_not_end(box: AdminBox) -> None:
    box.start()
    box.do("config-change", jurisdiction="MO")
    box.do("config-commit", seconds=600)
    assert box.stop() == 0  # told to stop, it does, and the next one takes back
    assert start_again(box) == BASE

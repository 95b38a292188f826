"""The firmware's slots at `chopmark-admin`: what the image's units say, and what becomes of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from chopmark.admin.box import Box
from chopmark.admin.programs import Programs
from chopmark.admin.settings import Settings
from chopmark.core.errors import ChopmarkError
from configs import BASE

CONTROL = """#!{python}
import pathlib, sys
folder = pathlib.Path({folder!r})
verb = sys.argv[-1].partition("@")[2].removesuffix(".service")
said = folder / ("will-say-" + verb)
if said.exists():
    (folder / ("firmware-" + verb + ".json")).write_text(said.read_text())
    sys.exit("code" in said.read_text())
"""
"""STAND-IN for systemctl and the image's units: they say what a test has written down."""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    config, control, image = (tmp_path / one for one in ("gateway.toml", "control", "image"))
    config.write_text(BASE)
    image.write_text("profile=x86-64\n")
    control.write_text(CONTROL.format(python=sys.executable, folder=str(tmp_path)))
    control.chmod(0o755)
    me = str(os.geteuid())
    settings = Settings(
        console=me, daemon=me, config=config, runtime=tmp_path, control=(str(control),), image=image
    )
    return Box(Programs(settings))


def say(folder: Path, verb: str, said: dict[str, object]) -> None:
    (folder / f"will-say-{verb}").write_text(json.dumps(said))


async def test_slots_are_told_as_the_unit_has_found_them(box: Box, tmp_path: Path) -> None:
    say(tmp_path, "look", {"running": "A", "next": "A", "slots": {}})
    assert (await box.firmware.look())["running"] == "A"


async def test_slot_that_may_not_be_started_is_refused_with_the_units_words(
    box: Box, tmp_path: Path
) -> None:
    problem = {"code": "firmware-refused", "detail": "release 0.0.9 knows", "status": 409}
    say(tmp_path, "switch-b", dict(problem))
    with pytest.raises(ChopmarkError, match=r"release 0\.0\.9 knows") as caught:
        await box.firmware.switch("b")
    assert caught.value.code == "firmware-refused"


async def test_unit_that_says_nothing_is_a_failure(box: Box, tmp_path: Path) -> None:
    assert not (tmp_path / "firmware-look.json").exists()
    with pytest.raises(ChopmarkError) as caught:
        await box.firmware.look()
    assert caught.value.code == "program-failed"


async def test_update_goes_on_behind_and_is_told_when_it_has_ended(
    box: Box, tmp_path: Path
) -> None:
    say(tmp_path, "install", {"version": "0.2.0", "slot": "B"})
    assert await box.firmware.state() == {"state": "none", "report": None}
    await box.firmware.install()
    assert box.busy
    assert await box.firmware.state() == {"state": "running"}
    with pytest.raises(ChopmarkError) as caught:
        await box.firmware.switch("a")
    assert caught.value.code == "already-running"
    task = box.firmware._installing
    assert task is not None
    await task
    assert await box.firmware.state() == {
        "state": "ended",
        "report": {"version": "0.2.0", "slot": "B"},
    }
    assert not box.busy

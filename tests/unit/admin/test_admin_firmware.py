"""The firmware's slots at `chopmark-admin`: what the image's units say, and what becomes of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from chopmark.admin.box import Box
from chopmark.admin.job import Job
from chopmark.admin.programs import Programs
from chopmark.admin.requests import Change, Source
from chopmark.admin.settings import Settings
from chopmark.admin.table import VERBS, parse_request
from chopmark.core.errors import ChopmarkError
from configs import BASE
from rig.authority import Authority

CONTROL = """#!{python}
import pathlib, sys
folder = pathlib.Path({folder!r})
unit = sys.argv[-1].removesuffix(".service").removeprefix("chopmark-")
verb = unit.partition("@")[2] or unit
(folder / "did").open("a").write(sys.argv[1] + " " + unit + "\\n")
said = folder / ("will-say-" + verb)
if said.exists() and sys.argv[1] == "start":
    (folder / (unit.replace("@", "-") + ".json")).write_text(said.read_text())
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


async def ended(job: Job) -> None:
    task = job._task
    assert task is not None
    await task


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


async def test_disk_is_erased_only_once_no_gateway_is_there(box: Box, tmp_path: Path) -> None:
    say(tmp_path, "erase", {"erased": True})
    _, asked = parse_request(b'{"verb": "wipe", "scope": "disk"}')
    with pytest.raises(ChopmarkError) as caught:
        await VERBS["wipe"].run(box, asked)
    assert caught.value.code == "gateway-there"
    box.programs.settings.config.unlink()
    assert await VERBS["wipe"].run(box, asked) == {"erased": True}
    assert (tmp_path / "did").read_text() == "start firmware@erase\n"


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
    assert (await box.firmware.state())["state"] == "running"
    with pytest.raises(ChopmarkError) as caught:
        await box.firmware.switch("a")
    assert caught.value.code == "already-running"
    await ended(box.firmware.installing)
    assert await box.firmware.state() == {
        "state": "ended",
        "report": {"version": "0.2.0", "slot": "B"},
    }
    assert not box.busy


async def test_fetch_goes_on_behind_and_tells_how_far_it_is(box: Box, tmp_path: Path) -> None:
    said = {"version": "0.2.0", "have": 5, "size": 10, "rate": 1}
    assert await box.firmware.fetched() == {"state": "none", "report": None}
    await box.firmware.fetch()
    (tmp_path / "fetch.json").write_text('{"have": 1}\n' + json.dumps(said) + "\n")
    assert await box.firmware.fetched() == {"state": "running", "report": said}
    assert box.busy
    for refused in (box.firmware.install, box.firmware.fetch, box.firmware.look):
        with pytest.raises(ChopmarkError) as caught:
            await refused()
        assert caught.value.code == "already-running"
    await ended(box.firmware.fetching)
    assert (await box.firmware.fetched())["state"] == "ended"
    assert not box.busy


async def test_fetch_is_ended_when_a_technician_says_so(box: Box, tmp_path: Path) -> None:
    await box.firmware.fetch()
    await box.firmware.stop_fetching()
    assert not box.busy
    assert sorted((tmp_path / "did").read_text().splitlines()) == ["start fetch", "stop fetch"]


async def test_nothing_is_fetched_where_there_is_no_image(box: Box, tmp_path: Path) -> None:
    (tmp_path / "image").unlink()
    with pytest.raises(ChopmarkError) as caught:
        await box.firmware.fetch()
    assert caught.value.code == "not-on-this-platform"
    assert not (tmp_path / "did").exists()


def test_source_of_releases_is_set_with_the_ca_in_place(box: Box, tmp_path: Path) -> None:
    asked = Change(firmware=Source(url="https://updates.example/", proxy=("::1", 3128)))
    (tmp_path / "ca").mkdir()
    box.put_firmware_ca(Authority(tmp_path / "ca").path.read_text())
    differences = box.change(asked)["differences"]
    assert '+source = "https://updates.example/"' in differences
    assert f'+ca = "{tmp_path / "firmware-ca.pem"}"' in differences
    assert '+proxy = "[::1]:3128"' in differences
    assert box.change(Change(firmware="none"))["differences"] == ""


def test_source_that_is_none_is_refused_by_root(box: Box) -> None:
    with pytest.raises(ChopmarkError) as caught:
        box.change(Change(firmware=Source(url="https://user@updates.example/")))
    assert caught.value.code == "config-value"


def test_ca_that_is_none_is_not_put_in_place(box: Box, tmp_path: Path) -> None:
    with pytest.raises(ChopmarkError) as caught:
        box.put_firmware_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert caught.value.code == "malformed-certificate"
    assert not (tmp_path / "firmware-ca.pem").exists()

"""Full disks and damaged files: chopmark-admin goes on by itself, or says what to do.

The disk is a small file system that is really full.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adminbox import AdminBox
from chopmark.admin import box as box_module
from chopmark.admin import rollback
from chopmark.admin.box import Box
from chopmark.admin.programs import Programs
from chopmark.admin.requests import Change
from chopmark.admin.settings import Settings
from chopmark.core.errors import InternalError
from configs import BASE
from integration.link_party import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
AFTER = BASE.replace('jurisdiction = "HK"', 'jurisdiction = "MO"')


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", 0) as file:
            while True:
                file.write(b"x" * 4096)

    def empty(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "etc"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    try:
        (folder / "gateway.toml").write_text(BASE)
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
async def box(
    tmp_path: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Box]:
    for module in (box_module, rollback):
        monkeypatch.setattr(module, "AGAIN", 0.05)
    me, control = str(os.geteuid()), tmp_path / "control"
    control.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n')
    control.chmod(0o755)
    settings = Settings(
        console=me,
        daemon=me,
        config=disk.folder / "gateway.toml",
        folder=tmp_path / "own",
        control=(str(control),),
    )
    made = Box(Programs(settings))
    made.change(Change(jurisdiction="MO"))
    yield made
    await made.close()


def stuck(box: Box) -> str | None:
    told = box.config_state()["stuck"]
    return None if told is None else str(told["code"])


@as_root
async def test_commit_on_a_full_disk_changes_nothing_and_waits_for_nothing(
    box: Box, disk: SmallDisk, tmp_path: Path
) -> None:
    disk.fill()
    with pytest.raises(InternalError) as caught:
        await box.commit(300)
    assert caught.value.code == "write-failed"
    assert (box.candidates.applied, stuck(box), box.busy) == (None, None, False)
    assert not (tmp_path / "told").exists(), "the gateway was restarted for nothing"
    disk.empty()
    await box.commit(300)
    assert (disk.folder / "gateway.toml").read_text() == AFTER


@as_root
async def test_change_that_a_full_disk_keeps_is_taken_back_once_there_is_room(
    box: Box, disk: SmallDisk
) -> None:
    await box.commit(0)
    disk.fill()
    await until(lambda: stuck(box) == "rollback-stuck")
    assert box.busy, "an idle service would end, and nobody would try again"
    assert (disk.folder / "gateway.toml").read_text() == AFTER
    disk.empty()
    await until(lambda: not box.busy)
    assert (disk.folder / "gateway.toml").read_text() == BASE
    assert (box.candidates.applied, stuck(box)) == (None, None)


@as_root
async def test_service_that_starts_on_a_full_disk_serves_and_tries_again(
    box: Box, disk: SmallDisk
) -> None:
    await box.commit(300)
    await box.close()
    second = Box(box.programs)
    disk.fill()
    await second.start()
    assert stuck(second) == "rollback-stuck"
    disk.empty()
    await until(lambda: not second.busy)
    assert (disk.folder / "gateway.toml").read_text() == BASE
    await second.close()


@as_root
async def test_change_that_is_stuck_may_be_kept(box: Box, disk: SmallDisk) -> None:
    await box.commit(0)
    disk.fill()
    await until(lambda: stuck(box) == "rollback-stuck")
    async with box.lock:
        await box.confirm()
    await asyncio.sleep(0)
    assert (stuck(box), box.busy, box.candidates.applied) == (None, False, None)
    assert (disk.folder / "gateway.toml").read_text() == AFTER


def test_damaged_note_of_a_change_keeps_nobody_out_and_is_told(tmp_path: Path) -> None:
    box = AdminBox(tmp_path)
    box.config.write_text(AFTER)
    box.own.mkdir()
    (box.own / "commit.json").write_bytes(b'{"before": "[gate')
    (box.own / "candidate.json").write_bytes(b"\xff")
    (box.own / "wipe.json.part").write_bytes(b"")
    box.start()
    try:
        state = box.do("config-state")
        assert (state["stuck"]["code"], state["seconds_left"]) == ("commit-damaged", None)
        assert (box.own / "commit.damaged").read_bytes() == b'{"before": "[gate'
        assert box.config.read_text() == AFTER
        box.do("config-change", jurisdiction="HK")
        box.do("config-confirm")
        assert box.do("config-state")["stuck"] is None
    finally:
        box.close()

"""The image's program for the two slots: what it finds, what it refuses, without a box."""

import json
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.errors import ChopmarkError
from chopmark.ledger.schema import VERSION
from imagebuild.description import FOLDER

GOOD = "ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n"


class Box:
    """The program with a STAND-IN of the box: its files in a folder, its programs noting words."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, grub: str = GOOD) -> None:
        self.folder = folder
        loader = SourceFileLoader("firmware", str(FOLDER / "root/usr/lib/chopmark/firmware"))
        spec = spec_from_loader("firmware", loader)
        assert spec is not None
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        self.firmware: Any = module_from_spec(spec)
        loader.exec_module(self.firmware)
        self.update = self.firmware.update
        (folder / "cmdline").write_text("ro quiet rauc.slot=A console=tty0\n")
        monkeypatch.setattr(self.update, "CMDLINE", folder / "cmdline")
        monkeypatch.setattr(self.update, "NOTED", folder / "rauc")
        monkeypatch.setattr(self.update, "LEDGER", folder / "log.db")
        monkeypatch.setattr(self.firmware, "BLOCKS", folder / "block")
        known = dict(line.split("=", 1) for line in grub.splitlines())
        monkeypatch.setattr(self.firmware, "environment", lambda: known)
        self.ran: list[list[str]] = []
        monkeypatch.setattr(self.firmware.subprocess, "run", self._run)

    def _run(self, command: list[str], **_: object) -> Any:
        self.ran.append(command)

        class Done:
            returncode, stdout, stderr = 0, "", ""

        return Done

    def note(self, slot: str, **about: object) -> None:
        (self.folder / "rauc").mkdir(exist_ok=True)
        told = {"version": "0.0.9", "ledger": VERSION, **about}
        (self.folder / f"rauc/slot-{slot}.json").write_text(json.dumps(told))


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


def test_look_tells_which_runs_and_which_is_due(box: Box) -> None:
    box.note("B")
    told = box.firmware.look()
    assert (told["running"], told["next"]) == ("A", "A")
    assert told["slots"]["B"]["version"] == "0.0.9"
    assert told["slots"]["A"]["ledger"] == VERSION


def test_slot_is_switched_to(box: Box) -> None:
    box.note("B")
    assert box.firmware.switch("B") == {"next": "B"}
    assert box.ran == [["/usr/bin/rauc", "status", "mark-active", "other"]]


def test_slot_in_which_nothing_was_installed_is_refused(box: Box) -> None:
    with pytest.raises(ChopmarkError, match="nothing was ever installed"):
        box.firmware.switch("B")
    assert box.ran == []


def test_slot_that_cannot_read_the_ledger_is_refused(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.note("B", ledger=VERSION - 1)
    monkeypatch.setattr(box.update, "ledger_format", lambda: VERSION)
    with pytest.raises(ChopmarkError, match="knows ledgers up to"):
        box.firmware.switch("B")
    assert box.ran == []


def test_slot_that_did_not_come_up_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path, monkeypatch, GOOD.replace("B_TRY=0", "B_TRY=3"))
    box.note("B")
    with pytest.raises(ChopmarkError, match="has not come up"):
        box.firmware.switch("B")


@pytest.mark.parametrize("trial", [True, False])
def test_only_a_slot_on_trial_is_started_again_where_the_gateway_fails(
    box: Box, *, trial: bool
) -> None:
    box.note("A", trial=trial)
    assert box.firmware.failed()["trial"] is trial
    assert box.ran == ([["/usr/bin/systemctl", "--no-block", "reboot"]] if trial else [])


def test_slot_that_is_good_is_on_trial_no_more(box: Box) -> None:
    box.note("A", trial=True)
    box.firmware.good()
    box.firmware.failed()
    assert box.ran == []


def put(box: Box, name: str, where: str, told: str = "") -> None:
    device = box.folder / "devices" / where / name
    device.mkdir(parents=True)
    (device / "uevent").write_text(told)
    (box.folder / "block").mkdir(exist_ok=True)
    (box.folder / "block" / name).symlink_to(device)


def test_stick_is_a_disk_at_usb_and_never_the_boxs_own(box: Box) -> None:
    put(box, "sdb", "pci0/usb2/2-1/block")
    put(box, "sda", "pci0/ata1/block")
    assert list(box.firmware.sticks()) == ["/dev/sdb"]


def test_partition_of_a_box_that_starts_from_usb_is_no_stick(box: Box) -> None:
    put(box, "sda1", "pci0/usb1/block/sda", "PARTNAME=data\n")
    put(box, "sdb1", "pci0/usb2/block/sdb", "PARTNAME=UPDATES\n")
    assert list(box.firmware.sticks()) == ["/dev/sdb1"]


def test_box_without_a_stick_says_so(box: Box) -> None:
    (box.folder / "block").mkdir()
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.install()
    assert caught.value.code == "no-stick"

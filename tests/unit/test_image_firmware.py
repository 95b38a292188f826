"""The image's program for the two slots: what it finds, what it refuses, without a box."""

import json
import os
import sqlite3
import sys
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from chopmark.console.words.numbers import number
from chopmark.core.errors import ChopmarkError
from chopmark.ledger.schema import VERSION
from imagebuild.description import FOLDER
from releaseserver import SORT, Signer

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
        (folder / "block").mkdir()
        self.signer, self.fetched = Signer(), folder / "fetched"
        (folder / "note.vkey").write_text(self.signer.verifier.encode() + "\n")
        (folder / "system.conf").write_text(f"[system]\ncompatible={SORT}\n")
        monkeypatch.setattr(self.update, "KEY", folder / "note.vkey")
        monkeypatch.setattr(self.update, "SYSTEM", folder / "system.conf")
        monkeypatch.setattr(self.firmware, "FETCHED", self.fetched)
        self.received = folder / "received"
        monkeypatch.setattr(self.firmware, "RECEIVED", self.received)
        known = dict(line.split("=", 1) for line in grub.splitlines())
        monkeypatch.setattr(self.firmware, "environment", lambda: known)
        self.ran: list[list[str]] = []
        monkeypatch.setattr(self.firmware.subprocess, "run", self._run)

    def _run(self, command: list[str], **_: object) -> Any:
        self.ran.append(command)
        if command[1:2] == ["install"]:
            self.installed = Path(command[2])
            self.seen = self.installed.read_bytes(), self.installed.parent.stat().st_mode & 0o777

        class Done:
            returncode, stdout, stderr = 0, "", ""

        return Done

    def fetch(self, data: bytes = b"bundle", version: str = "9.0", note: bytes = b"") -> None:
        """As chopmark-fetch.service leaves it."""
        self.put_release(self.fetched, data, version, note)

    def put_release(
        self, folder: Path, data: bytes = b"bundle", version: str = "9.0", note: bytes = b""
    ) -> None:
        folder.mkdir()
        (folder / "release.raucb").write_bytes(data)
        made = note or self.signer.note(sha256(b"bundle").hexdigest(), version)
        (folder / "release.note").write_bytes(made)

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


def test_slot_is_switched_to_and_is_on_trial_again(box: Box) -> None:
    box.note("B")
    assert box.firmware.switch("B") == {"next": "B"}
    assert box.update.noted("B") == {"version": "0.0.9", "ledger": VERSION, "trial": True}
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


def test_slot_of_which_an_update_broke_off_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path, monkeypatch, GOOD.replace("B_OK=1", "B_OK=0"))
    box.note("B", trial=True)
    with pytest.raises(ChopmarkError, match="broke off"):
        box.firmware.switch("B")
    assert box.ran == []


def test_slot_whose_tries_are_spent_is_not_told_as_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grub = GOOD.replace("ORDER=A B", "ORDER=B A").replace("B_TRY=0", "B_TRY=3")
    assert Box(tmp_path, monkeypatch, grub).firmware.look()["next"] == "A"


def test_disk_is_marked_as_new_before_its_keys_go_and_the_box_starts_again(box: Box) -> None:
    """Power may go in between: what has the mark is made anew, whatever opens it."""
    assert box.firmware.erase() == {"erased": True}
    words = [" ".join(command[1:3]) for command in box.ran]
    assert words[:3] == ["isLuks /run/chopmark-disk/data", "config --label", "erase --batch-mode"]
    assert box.ran[3][-2:] == ["/usr/bin/systemctl", "reboot"]


def test_disk_that_was_never_encrypted_is_not_erased(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain:
        returncode, stdout, stderr = 1, "", ""

    monkeypatch.setattr(box.firmware.subprocess, "run", lambda *_, **__: Plain)
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.erase()
    assert caught.value.code == "not-on-this-platform"


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
    assert box.ran == [["/usr/bin/rauc", "status", "mark-good"]]


def test_update_that_brought_the_ledger_to_its_own_format_is_not_left(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release before it would not start any more: no gateway at all is worse."""
    box.note("A", trial=True)
    box.note("B", ledger=VERSION - 1)
    monkeypatch.setattr(box.update, "ledger_format", lambda: VERSION)
    assert box.firmware.failed() == {"slot": "A", "trial": True, "stays": True}
    assert box.ran == [[*box.firmware.EDIT, "set", "B_OK=0"]]
    assert box.update.noted("A")["trial"] is False, "`slot-watch late` would start it again"


@pytest.mark.parametrize(
    ("tries", "about", "change"),
    [
        (3, {"trial": True}, "B_OK=0"),
        (3, {"trial": False}, "B_TRY=0"),
        (0, {"ledger": VERSION - 1}, "B_OK=0"),
        (0, {"trial": False}, None),
        (2, {"trial": True}, None),
        (3, None, None),
    ],
    ids=["failed update", "power cuts", "older ledger", "good", "on trial", "nothing known"],
)
def test_good_slot_says_what_becomes_of_the_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tries: int,
    about: dict[str, object] | None,
    change: str | None,
) -> None:
    box = Box(tmp_path, monkeypatch, GOOD.replace("B_TRY=0", f"B_TRY={tries}"))
    if about is not None:
        box.note("B", **about)
    monkeypatch.setattr(box.update, "ledger_format", lambda: VERSION)
    box.firmware.good()
    wanted = [] if change is None else [[*box.firmware.EDIT, "set", change]]
    assert box.ran[1:] == wanted


def test_update_is_on_trial_before_its_slot_is_written(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(command: list[str], **more: object) -> Any:
        seen.append(box.update.noted("B"))
        return box._run(command, **more)

    monkeypatch.setattr(box.firmware.subprocess, "run", run)
    box.fetch()
    box.firmware.install()
    assert [one["trial"] for one in seen] == [True]


def test_bundle_that_rauc_refuses_leaves_what_was_noted_of_the_slot(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        returncode, stdout, stderr = 1, "", "signature verification failed"

    box.note("B")
    monkeypatch.setattr(box.firmware.subprocess, "run", lambda *_, **__: Refused)
    before = box.update.noted("B")
    box.fetch()
    with pytest.raises(ChopmarkError, match="signature verification failed"):
        box.firmware.install()
    assert box.update.noted("B") == before


def test_format_of_the_ledger_is_read_from_the_ledger(box: Box) -> None:
    assert box.update.ledger_format() == 0
    with sqlite3.connect(box.folder / "log.db") as database:
        database.execute("PRAGMA user_version = 7")
    database.close()
    assert box.update.ledger_format() == 7


def test_update_over_a_damaged_ledger_is_refused_in_words(box: Box) -> None:
    (box.folder / "log.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(ChopmarkError, match="cannot be read"):
        box.update.check_ledger("9.0", 99)


def put(box: Box, name: str, where: str, told: str = "", size: int = 2048) -> None:
    device = box.folder / "devices" / where / name
    device.mkdir(parents=True)
    (device / "uevent").write_text(told)
    (device / "size").write_text(f"{size}\n")
    (box.folder / "block" / name).symlink_to(device)


def test_stick_is_a_disk_at_usb_and_never_the_boxs_own(box: Box) -> None:
    put(box, "sdb", "pci0/usb2/2-1/block")
    put(box, "sda", "pci0/ata1/block")
    assert list(box.firmware.sticks()) == ["/dev/sdb"]


def test_reader_without_a_card_is_no_stick(box: Box) -> None:
    put(box, "sdb", "pci0/usb2/2-1/block", size=0)
    assert list(box.firmware.sticks()) == []


def test_partition_of_a_box_that_starts_from_usb_is_no_stick(box: Box) -> None:
    put(box, "sda1", "pci0/usb1/block/sda", "PARTNAME=data\n")
    put(box, "sdb1", "pci0/usb2/block/sdb", "PARTNAME=UPDATES\n")
    assert list(box.firmware.sticks()) == ["/dev/sdb1"]


def test_box_without_a_stick_says_so(box: Box) -> None:
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.install()
    assert caught.value.code == "no-stick"


def test_release_that_was_fetched_is_installed_from_a_copy_of_roots(box: Box) -> None:
    box.fetch()
    assert box.firmware.look()["fetched"] == "9.0"
    assert box.firmware.install() == {"version": "9.0", "slot": "B"}
    assert box.seen == (b"bundle", 0o700)
    assert box.fetched not in box.installed.parents
    assert not box.installed.exists(), "the copy goes"
    assert list(box.fetched.iterdir()) == [], "what was fetched goes, once it is installed"
    assert box.firmware.look()["fetched"] is None


def test_bundle_that_is_changed_while_it_is_installed_changes_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.fetch()
    check = box.update.check

    def swapped(bundle: Path, note: Path) -> Any:
        found = check(bundle, note)
        (box.fetched / "release.raucb").write_bytes(b"another")
        return found

    monkeypatch.setattr(box.update, "check", swapped)
    box.firmware.install()
    assert box.seen[0] == b"bundle"


def test_stick_comes_before_what_was_fetched(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.fetch()
    put(box, "sdb", "pci0/usb2/2-1/block")
    monkeypatch.setattr(box.firmware, "STICK", box.folder / "stick")
    with pytest.raises(ChopmarkError, match="0 updates are on the stick"):
        box.firmware.install()


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"data": b"another"}, "firmware-refused"),
        ({"version": "0.0.1"}, "firmware-older"),
        ({"note": Signer().note(sha256(b"bundle").hexdigest(), "9.0")}, "firmware-refused"),
    ],
    ids=["another bundle", "an older release", "a forged note"],
)
def test_release_that_was_fetched_is_checked_again_by_root(
    box: Box, about: dict[str, Any], code: str
) -> None:
    box.fetch(**about)
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.install()
    assert caught.value.code == code
    assert box.ran == []
    assert not (box.folder / "rauc/copies").exists()
    assert list(box.fetched.iterdir()) == [], "it would be refused again: fetch it anew"


def test_what_was_fetched_and_is_no_plain_file_is_not_opened(box: Box) -> None:
    box.fetch()
    (box.fetched / "release.raucb").unlink()
    (box.fetched / "release.raucb").symlink_to(box.folder / "note.vkey")
    with pytest.raises(OSError, match="symbolic links"):
        box.firmware.install()
    box.fetched.rmdir()
    box.fetch()
    (box.fetched / "release.raucb").unlink()
    os.mkfifo(box.fetched / "release.raucb")
    with pytest.raises(ChopmarkError, match="no plain file"):
        box.firmware.install()
    assert box.ran == []
    assert not (box.folder / "rauc/copies").exists()
    assert (box.folder / "note.vkey").exists()


def test_folder_that_is_a_link_is_not_followed(box: Box) -> None:
    box.fetch()
    box.fetched.rename(box.folder / "elsewhere")
    box.fetched.symlink_to(box.folder / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        box.firmware.install()
    assert len(list((box.folder / "elsewhere").iterdir())) == 2


def test_note_of_another_key_is_refused_with_the_number_of_the_page(box: Box) -> None:
    note = box.folder / "RELEASE.note"
    note.write_bytes(Signer().note("0" * 64))
    with pytest.raises(ChopmarkError) as caught:
        box.update.check(box.folder / "RELEASE.raucb", note)
    assert (number(caught.value.code), "signature" in caught.value.message) == ("E-1910", True)


def test_release_that_came_over_the_line_is_installed_before_one_that_was_fetched(box: Box) -> None:
    box.fetch()
    box.put_release(box.received, version="8.0")
    assert box.firmware.look()["fetched"] == "8.0"
    assert box.firmware.install()["version"] == "8.0"
    assert list(box.received.iterdir()) == []
    assert box.firmware.install()["version"] == "9.0"


def test_half_of_a_release_that_came_over_the_line_is_passed_over(box: Box) -> None:
    box.put_release(box.received)
    (box.received / "release.raucb").unlink()
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.install()
    assert caught.value.code == "no-stick"
    assert (box.received / "release.note").exists()


def test_older_release_that_came_over_the_line_is_refused_and_goes(box: Box) -> None:
    """Who has taken over the console could bring one that was well signed once."""
    box.put_release(box.received, version="0.0.1")
    with pytest.raises(ChopmarkError) as caught:
        box.firmware.install()
    assert caught.value.code == "firmware-older"
    assert box.ran == []
    assert list(box.received.iterdir()) == []

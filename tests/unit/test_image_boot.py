"""Which slot and which partitions a box starts from, by the boot loader and the initial root.

GRUB's script is run by `sh` here, as a STAND-IN for GRUB: what it uses of the language is the same
but for `set`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from imagebuild.description import FOLDER
from imagebuild.disk import FACTORY
from leftout import leave_out

ROOT = FOLDER / "root"
EDIT = shutil.which("grub-editenv")


def start(known: dict[str, str]) -> dict[str, str]:
    """The variables after one start, and the slot that is started."""
    text = (FOLDER / "boot/grub.cfg").read_text().partition("menuentry")[0]
    text = text.replace("load_env\n", "".join(f"{key}='{value}'\n" for key, value in known.items()))
    text = re.sub(r"^(regexp|export|save_env) .*$", ":", text, flags=re.MULTILINE)
    text = re.sub(r"\bset (\w+=)", r"\1", text)
    text += "".join(f'echo {key}="${key}"\n' for key in (*FACTORY, "slot"))
    done = subprocess.run(["sh", "-u", "-c", text], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def starts(count: int, **known: str) -> list[str]:
    """Slots of so many starts of which none ends well."""
    values, slots = {**FACTORY, **known}, []
    for _ in range(count):
        found = start(values)
        slots.append(found.pop("slot"))
        values = found
    return slots


def test_new_box_starts_slot_a_whatever_befalls_it() -> None:
    assert starts(7) == ["A"] * 7


def test_update_that_never_comes_up_gives_way_after_three_starts() -> None:
    assert starts(4, ORDER="B A", B_OK="1") == ["B", "B", "B", "A"]


def test_box_whose_slots_have_spent_their_tries_goes_on_with_the_first_of_the_order() -> None:
    assert starts(2, ORDER="B A", B_OK="1", A_TRY="3", B_TRY="3") == ["B", "B"]


def test_update_that_was_found_bad_is_not_started_where_the_other_has_spent_its_tries() -> None:
    assert starts(2, ORDER="B A", A_TRY="3", B_TRY="3", B_OK="0") == ["A", "A"]


def test_box_without_a_good_slot_tries_both_by_turns() -> None:
    assert starts(7, A_OK="0", B_OK="0") == ["A", "A", "A", "B", "B", "B", "A"]


def find_part(folder: Path, devices: dict[str, str], tries: int) -> str:
    """What the initial root finds as `system-a`, of devices and where they hang."""
    for name, where in devices.items():
        device = folder / "devices" / where / name
        device.mkdir(parents=True)
        (device / "uevent").write_text(f"DEVNAME={name}\nPARTNAME=system-a\n")
        (folder / "class/block").mkdir(parents=True, exist_ok=True)
        (folder / "class/block" / name).symlink_to(device)
    text = (FOLDER / "boot/init").read_text()
    found = re.search(r"^find_part\(\) \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    script = found[0].replace("/sys/", f"{folder}/") + f"\ntries={tries}\nfind_part system-a\n"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_stick_has_no_say_in_what_a_box_starts(tmp_path: Path) -> None:
    devices = {"nvme0n1p4": "pci0/nvme/nvme0", "ada4": "pci0/usb1/1-1/host0"}
    assert find_part(tmp_path, devices, 0) == "/dev/nvme0n1p4"


@pytest.mark.parametrize(("tries", "found"), [(0, ""), (50, "/dev/sda4")])
def test_box_whose_own_disk_is_at_usb_starts_after_a_while(
    tmp_path: Path, tries: int, found: str
) -> None:
    assert find_part(tmp_path, {"sda4": "pci0/usb1/1-1/host0"}, tries) == found


def test_partitions_are_named_on_the_disk_of_the_root_alone(tmp_path: Path) -> None:
    for name, disk, part in (
        ("vda4", "vda", "system-a"),
        ("vda6", "vda", "data"),
        ("sda1", "sda", "data"),
    ):
        device = tmp_path / "devices" / disk / name
        device.mkdir(parents=True)
        (device / "uevent").write_text(f"DEVNAME={name}\nPARTNAME={part}\n")
        (tmp_path / "class/block").mkdir(parents=True, exist_ok=True)
        (tmp_path / "class/block" / name).symlink_to(device)
    text = (ROOT / "usr/lib/chopmark/data-up").read_text()
    found = re.search(r"^name_parts\(\) \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    script = found[0].replace("/sys/", f"{tmp_path}/")
    script = f"PLACES={tmp_path}/places\n{script}\nname_parts /dev/vda4"
    subprocess.run(["sh", "-euc", script], check=True)
    places = {path.name: str(path.readlink()) for path in (tmp_path / "places").iterdir()}
    assert places == {"system-a": "/dev/vda4", "data": "/dev/vda6"}


def edit(folder: Path, *words: str, trace: Path | None = None) -> str:
    """Our `grub-editenv` on `grubenv` of a folder."""
    if EDIT is None:
        leave_out("grub-editenv is not installed (./setup.sh image)")
    text = (ROOT / "usr/local/bin/grub-editenv").read_text()
    for place, ours in (
        ("/usr/bin/grub-editenv", EDIT),
        ("/run/", f"{folder}/"),
        ("/var/", f"{folder}/"),
    ):
        text = text.replace(place, ours)
    script = folder / "edit"
    script.write_text(text.replace("/proc/cmdline", f"{folder}/cmdline"))
    (folder / "cmdline").write_text("quiet rauc.slot=B\n")
    command = ["sh", str(script), str(folder / "grubenv"), *words]
    if trace is not None:
        command = ["strace", "-f", "-o", str(trace), "-e", "trace=openat", *command]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def grubenv(tmp_path: Path) -> Path:
    if EDIT is None:
        leave_out("grub-editenv is not installed (./setup.sh image)")
    path = tmp_path / "grubenv"
    subprocess.run([EDIT, path, "create"], check=True)
    subprocess.run(
        [EDIT, path, "set", *(f"{key}={value}" for key, value in FACTORY.items())], check=True
    )
    return path


def test_boot_loaders_variables_are_changed_in_their_place(tmp_path: Path, grubenv: Path) -> None:
    before = grubenv.stat().st_ino
    edit(tmp_path, "set", "B_OK=1", "ORDER=B A")
    said = dict(line.split("=", 1) for line in edit(tmp_path, "list").splitlines())
    assert said == {**FACTORY, "B_OK": "1", "ORDER": "B A"}
    assert (grubenv.stat().st_ino, grubenv.stat().st_size) == (before, 1024)
    assert not list(tmp_path.glob("grubenv.*"))


def test_boot_loaders_variables_are_never_emptied_on_the_way(tmp_path: Path, grubenv: Path) -> None:
    if shutil.which("strace") is None:
        leave_out("strace is not installed (./setup.sh)")
    edit(tmp_path, "set", "B_OK=1", trace=tmp_path / "trace")
    opened = [
        line for line in (tmp_path / "trace").read_text().splitlines() if f'"{grubenv}"' in line
    ]
    assert any("O_WRONLY" in line or "O_RDWR" in line for line in opened), opened
    assert not any("O_TRUNC" in line for line in opened), opened


@pytest.mark.parametrize("known", [True, False])
def test_variables_that_cannot_be_read_are_made_anew_for_the_slot_that_runs(
    tmp_path: Path, *, known: bool
) -> None:
    (tmp_path / "grubenv").write_bytes(b"")
    (tmp_path / "lib/rauc").mkdir(parents=True)
    if known:
        (tmp_path / "lib/rauc/slot-A.json").touch()
    said = dict(line.split("=", 1) for line in edit(tmp_path, "list").splitlines())
    wanted = {"ORDER": "B A", "B_OK": "1", "B_TRY": "0", "A_OK": str(int(known)), "A_TRY": "0"}
    assert said == wanted
    assert (tmp_path / "grubenv").stat().st_size == 1024


def test_nobody_but_root_may_command_the_updater() -> None:
    path = ROOT / "usr/share/dbus-1/system.d/de.pengutronix.rauc.conf"
    tree = ET.parse(path)  # noqa: S314 - our own file
    default = tree.find("policy[@context='default']")
    assert default is not None
    assert [one.tag for one in default] == ["deny"]
    assert default[0].attrib == {"send_destination": "de.pengutronix.rauc"}
    allowed = [one.attrib for one in tree.findall("policy") if one.find("allow") is not None]
    assert allowed == [{"user": "root"}]


@pytest.mark.parametrize(
    ("verb", "trial", "done"),
    [
        ("early", False, "set A_TRY=0"),
        ("early", True, ""),
        ("late", True, "reboot"),
        ("late", False, ""),
    ],
)
def test_slot_is_watched_without_anything_of_the_release(
    tmp_path: Path, verb: str, done: str, *, trial: bool
) -> None:
    text = (ROOT / "usr/lib/chopmark/slot-watch").read_text()
    (tmp_path / "slot-A.json").write_text(f'{{"version": "1", "trial": {str(trial).lower()}}}')
    (tmp_path / "cmdline").write_text("rauc.slot=A quiet")
    for program in ("systemctl", "grub-editenv"):
        path = tmp_path / program
        path.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/done\n')
        path.chmod(0o755)
    for place, ours in (
        ("/var/lib/rauc/", f"{tmp_path}/"),
        ("/proc/cmdline", f"{tmp_path}/cmdline"),
        ("/usr/local/bin/", f"{tmp_path}/"),
    ):
        text = text.replace(place, ours)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", text, "slot-watch", verb], env=environment, check=True)
    said = (tmp_path / "done").read_text() if (tmp_path / "done").exists() else ""
    assert done in said
    assert bool(said) is bool(done)

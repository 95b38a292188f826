"""The units: systemd finds no fault with them, and the console's is as confined as it can be."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from leftout import leave_out

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(path.name for path in FOLDER.glob("chopmark*.*") if path.is_file())
DROP_INS = sorted(path.name for path in FOLDER.glob("chopmark.service.d/*.conf"))
OF_THE_MODULE = sorted(path.name for path in FOLDER.glob("chopmark-hsm.service.d/*.conf"))
MOST = {
    "chopmark.service": 1.2,
    "chopmark-console@.service": 0.5,
    "chopmark-admin.service": 1.7,
    "chopmark-backup.service": 0.5,
    "chopmark-clock.service": 0.6,
    "chopmark-diagnose@.service": 1.3,
    "chopmark-fetch.service": 1.2,
    "chopmark-fsck.service": 0.5,
    "chopmark-health.service": 0.5,
    "chopmark-hsm.service": 0.7,
    "chopmark-pin@.service": 0.3,
    "chopmark-recover.service": 1.3,
}
"""As much exposure as `systemd-analyze security` may find of each service."""
MOST_WITH_DROP_IN = 1.7
"""Of the daemon with what a make of HSM needs."""


def analyze(*words: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        leave_out("systemd-analyze is not installed (apt install systemd)")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with programs that are there on this machine."""
    for path in FOLDER.glob("chopmark*.*"):
        if path.is_file():
            text = re.sub(r"/opt/chopmark/bin/\S+", "/bin/true", path.read_text())
            (tmp_path / path.name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_good(units: Path, unit: str) -> None:
    name = unit.replace("@.", "@x.")
    (units / unit).rename(units / name)
    said = analyze("verify", "--man=no", str(units / name))
    assert [line for line in said.splitlines() if "chopmark" in line] == []


def test_verifying_finds_a_fault(units: Path) -> None:
    path = units / "chopmark-admin.service"
    path.write_text(path.read_text().replace("PrivateTmp=yes", "PrivateTmps=yes"))
    assert "PrivateTmps" in analyze("verify", "--man=no", str(path))


def exposure(path: Path) -> float:
    said = analyze("security", "--offline=yes", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.endswith(".service")])
def test_unit_is_exposed_no_more_than_it_needs(unit: str, tmp_path: Path) -> None:
    path = tmp_path / unit  # without the drop-ins, which are for some boxes only
    path.write_bytes((FOLDER / unit).read_bytes())
    assert exposure(path) <= MOST[unit]


@pytest.mark.parametrize("drop_in", DROP_INS)
def test_daemon_with_a_drop_in_is_good_and_still_confined(units: Path, drop_in: str) -> None:
    path, folder = units / "chopmark.service", units / "chopmark.service.d"
    folder.mkdir()
    (folder / drop_in).write_bytes((FOLDER / "chopmark.service.d" / drop_in).read_bytes())
    said = analyze("verify", "--man=no", str(path))
    assert [line for line in said.splitlines() if "chopmark" in line] == []
    assert exposure(path) <= MOST_WITH_DROP_IN


@pytest.mark.parametrize("drop_in", OF_THE_MODULE)
def test_module_kept_apart_with_a_drop_in_is_good_and_still_confined(
    units: Path, drop_in: str
) -> None:
    path, folder = units / "chopmark-hsm.service", units / "chopmark-hsm.service.d"
    folder.mkdir()
    (folder / drop_in).write_bytes((FOLDER / folder.name / drop_in).read_bytes())
    said = analyze("verify", "--man=no", str(path))
    assert [line for line in said.splitlines() if "chopmark" in line] == []
    assert exposure(path) <= MOST_WITH_DROP_IN


def test_drop_ins_of_the_module_have_the_names_of_the_daemons() -> None:
    """Who has one of the daemon's finds its like for the module kept apart, or takes the same."""
    assert OF_THE_MODULE
    assert set(OF_THE_MODULE) <= set(DROP_INS)


def test_devices_and_groups_of_drop_ins_are_those_that_udev_makes() -> None:
    rules = FOLDER.parent / "firmware-config/root/etc/udev/rules.d/60-chopmark-hsm.rules"
    made = rules.read_text()
    text = (FOLDER / "chopmark.service.d/usb-hsm.conf").read_text()
    (device,) = re.findall(r"^DeviceAllow=/dev/(\S+) rw$", text, re.MULTILINE)
    (group,) = re.findall(r"^SupplementaryGroups=(\S+)$", text, re.MULTILINE)
    assert f'SYMLINK+="{device}"' in made
    assert f'GROUP="{group}"' in made
    users = (FOLDER / "sysusers.d/chopmark-hsm.conf").read_text()
    assert f"u {group} " in users


def test_presets_name_units_that_there_are() -> None:
    text = (FOLDER / "presets/80-chopmark.preset").read_text()
    named = re.findall(r"^(?:enable|disable) (\S+)$", text, re.MULTILINE)
    assert named
    assert set(named) <= set(UNITS)
    wanted = {unit for unit in UNITS if "[Install]" in (FOLDER / unit).read_text()}
    assert set(named) == wanted, "what can be enabled has a preset"


def test_daemon_waits_for_no_network_and_no_time() -> None:
    """A box whose cable is out verifies all the same."""
    lines = (FOLDER / "chopmark.service").read_text().splitlines()
    words = {
        word for line in lines if line.startswith(("After=", "Wants=")) for word in line.split()
    }
    assert not words & {"network-online.target", "time-sync.target"}
    for scheduled in ("backup", "fsck"):
        unit = (FOLDER / f"chopmark-{scheduled}.service").read_text().splitlines()
        assert {"Nice=19", "IOSchedulingClass=idle"} <= set(unit)
        timer = (FOLDER / f"chopmark-{scheduled}.timer").read_text()
        assert "RandomizedDelaySec=" in timer


def test_users_and_folders_are_made_as_the_units_have_them(tmp_path: Path) -> None:
    programs = [shutil.which(name) for name in ("systemd-sysusers", "systemd-tmpfiles")]
    if None in programs or os.geteuid() != 0:
        leave_out("systemd-sysusers and systemd-tmpfiles are needed, as root")
    (tmp_path / "etc").mkdir()
    for program, words in zip(programs, (["sysusers.d"], ["tmpfiles.d", "--create"]), strict=True):
        folder, *more = words
        files = sorted(map(str, (FOLDER / folder).glob("*.conf")))
        command = [str(program), f"--root={tmp_path}", *more, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    users = (tmp_path / "etc/passwd").read_text()
    (uid,) = (int(row.split(":")[2]) for row in users.split("\n") if row.startswith("chopmark:"))
    for path, mode, owner in (
        ("run/chopmark", 0o750, uid),
        ("var/lib/chopmark", 0o700, uid),
        ("etc/chopmark/credentials", 0o700, 0),
    ):
        found = (tmp_path / path).stat()
        assert (found.st_mode & 0o777, found.st_uid) == (mode, owner), path


def test_console_has_no_network_and_what_has_it_has_no_secrets() -> None:
    console = (FOLDER / "chopmark-console@.service").read_text()
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"} <= set(console.splitlines())
    tests = (FOLDER / "chopmark-diagnose@.service").read_text()
    assert "LoadCredential" not in tests
    fetch = (FOLDER / "chopmark-fetch.service").read_text()
    assert re.findall(r"^LoadCredential\w*=(\S+?):", fetch, re.MULTILINE) == ["firmware-key"]
    for secret in ("/var/lib/chopmark", "/etc/chopmark/credentials", "/run/chopmark-hsm"):
        assert f"-{secret}" in tests
        assert f"-{secret}" in fetch


def test_nothing_is_fetched_but_when_somebody_asks() -> None:
    """No timer, no path and no target starts it."""
    assert "[Install]" not in (FOLDER / "chopmark-fetch.service").read_text()
    others = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".md"]
    others.remove(FOLDER / "chopmark-fetch.service")
    assert not [path for path in others if b"chopmark-fetch" in path.read_bytes()]

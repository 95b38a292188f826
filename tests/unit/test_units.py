"""The units: systemd finds no fault with them, and the console's is as confined as it can be."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from leftout import leave_out

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(path.name for path in FOLDER.glob("chopmark*.*") if path.is_file())
CONSOLE = 0.5
"""As much exposure as `systemd-analyze security` may find of the console."""


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


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("chopmark-console@.service", CONSOLE),
        ("chopmark-diagnose@.service", 1.3),
        ("chopmark-recover.service", 1.3),
        ("chopmark-admin.service", 1.7),
    ],
)
def test_unit_is_exposed_no_more_than_it_needs(unit: str, most: float) -> None:
    said = analyze("security", "--offline=yes", "--no-pager", str(FOLDER / unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= most


def test_console_has_no_network_and_what_has_it_has_no_secrets() -> None:
    console = (FOLDER / "chopmark-console@.service").read_text()
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"} <= set(console.splitlines())
    tests = (FOLDER / "chopmark-diagnose@.service").read_text()
    assert "LoadCredential" not in tests
    for secret in ("/var/lib/chopmark", "/etc/chopmark/credentials", "/run/chopmark-hsm"):
        assert f"-{secret}" in tests

import os
import stat
import subprocess
from pathlib import Path

import pytest

from rig.token import provision_token

PROVISION = Path(__file__).parents[2] / "softhsm" / "provision.py"


def test_provisioned_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    token = provision_token(tmp_path / "hsm", "hk-1")
    assert stat.S_IMODE((tmp_path / "hsm").stat().st_mode) == 0o700
    for path in (tmp_path / "hsm").rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    assert (token.module, token.label) == ("/usr/lib/softhsm/libsofthsm2.so", "hk-1")


def test_pins_are_random_and_bare(tmp_path: Path) -> None:
    pins = []
    for name in ("one", "two"):
        provision_token(tmp_path / name, "hk-1")
        pins += [(tmp_path / name / file).read_bytes() for file in ("hsm-pin", "so-pin")]
    assert len(set(pins)) == 4
    assert all(len(pin) == 32 and pin.isalnum() for pin in pins)


def test_pins_are_in_no_argument_and_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    shim = tmp_path / "bin" / "softhsm2-util"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\n{{ echo "$@"; env; }} > {seen}\nPATH=/usr/bin\nexec softhsm2-util "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    token = provision_token(tmp_path / "hsm", "hk-1")
    text = seen.read_text()
    assert "--init-token" in text
    assert token.read_pin() not in text
    assert (token.credentials / "so-pin").read_text() not in text


def test_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    token = provision_token(tmp_path / "hsm", "hk-1")
    pin = token.read_pin()
    with pytest.raises(RuntimeError, match="exists already"):
        provision_token(tmp_path / "hsm", "hk-1")
    assert token.read_pin() == pin


def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "bin" / "softhsm2-util"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    with pytest.raises(RuntimeError, match="no such luck"):
        provision_token(tmp_path / "hsm", "hk-1")
    assert not (tmp_path / "hsm").exists()


@pytest.mark.parametrize("label", ["", "x" * 33])
def test_impossible_labels_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(RuntimeError, match="1 to 32 bytes"):
        provision_token(tmp_path / "hsm", label)


def test_usage_is_told() -> None:
    done = subprocess.run(["python3", PROVISION], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage" in done.stderr

"""A fault that cannot be tried is skipped with its reason, and in CI that is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import needs
import pytest

_HERE = Path(__file__).parent
_TEST = """
import needs

def test_fault():
    needs.check("this machine has no faults")
"""


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_skip_is_a_failure_in_ci_only(ci: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((_HERE / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = faults\n")
    path = os.pathsep.join([str(_HERE), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        env=os.environ | {"CI": ci, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert "this machine has no faults" in done.stdout


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert needs.namespaces.__wrapped__() == "needs root for network namespaces"
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert needs.strace.__wrapped__() == "strace is not installed"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert needs.namespaces.__wrapped__() == "ip is not installed"

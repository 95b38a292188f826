"""`make demo ONCE=1`, as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rig.chain import PACKAGES
from rig.patience import PATIENCE

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo" / "demo.py"
README = ROOT / "README.md"


def read_readme() -> list[str]:
    """The lines that the README says one sees."""
    block = README.read_text().split("<!-- demo: ")[1].split("<!-- /demo -->")[0]
    return block.split("```")[1].strip("\n").splitlines()


def plain(line: str) -> str:
    """A line without what differs from run to run."""
    return re.sub(r"[0-9-]{10}T[0-9:.]{12}Z", "TIME", line)


def run_demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), "--once", *arguments],
        env=os.environ | {"TMPDIR": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE,
    )


def test_demo_shows_every_verdict_and_leaves_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    done = run_demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("VALID", "MISMATCH", "UNKNOWN", "REVOKED"):
        assert word in done.stdout
    assert list(folder.iterdir()) == []
    shown = {plain(line) for line in done.stdout.splitlines()}
    assert [line for line in read_readme() if plain(line) not in shown] == []


@pytest.mark.skipif(not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh`")
def test_demo_with_a_chain_shows_the_anchor_and_names_the_stand_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    done = run_demo(folder, "--anchor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "STAND-IN for FISCO BCOS" in done.stdout
    assert re.search(r"│ 1 +[0-9]+ +[0-9]+ +good", done.stdout)
    assert "│ complete" in done.stdout
    assert list(folder.iterdir()) == []


def test_demo_without_the_document_says_so(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--document", str(tmp_path / "nothing.pdf"))
    assert done.returncode != 0
    assert "nothing.pdf" in done.stderr

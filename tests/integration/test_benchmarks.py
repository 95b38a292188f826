"""The harness of the benchmarks measures every row; how fast this machine is does not matter."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = pytest.mark.timeout(900)
Run = tuple[str, list[dict[str, Any]], Path]
"""What a run prints and writes, and the folder in which it worked."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bench")
    rows, work = folder / "rows.json", folder / "work"
    work.mkdir()
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--scale", "2000", "--json", str(rows)]
    done = subprocess.run(
        command,
        env=os.environ | {"TMPDIR": str(work)},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(rows.read_text()), work


def test_every_row_has_a_value_beside_its_limit(run: Run) -> None:
    _, rows, _ = run
    assert not [row for row in rows if "problem" in row]
    assert all(row["value"] > 0 and row["limit"] > 0 for row in rows)
    assert all(row["ratio"] == row["value"] / row["limit"] for row in rows)


def test_rows_are_those_that_the_documentation_explains(run: Run) -> None:
    _, rows, _ = run
    page = (BENCHMARKS.parent / "docs" / "performance.md").read_text()
    for row in rows:
        assert f"| `{row['name']}` " in page
        assert set(row) == {"name", "value", "unit", "limit", "ratio", "goal", "met"}


def test_table_shows_every_row(run: Run) -> None:
    table, rows, _ = run
    assert all(f" {row['name']} " in table for row in rows)
    assert "not measured" not in table


def test_nothing_is_left_behind(run: Run) -> None:
    assert not list(run[2].iterdir())

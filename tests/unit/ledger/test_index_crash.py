"""The digest index after a crash at any step: what it says it has, it has."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chopmark.ledger import tail as tail_module
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.run import UNFINISHED
from ledgers import digest

WRITER = """
import sys
from pathlib import Path
from chopmark.ledger import tail
from chopmark.ledger.index import DigestIndex
from ledgers import digest

tail.CHUNK = 100
index = DigestIndex(Path(sys.argv[1]))
while index.wait_for_room():
    start = index.position
    index.put_many(start, [digest(number) for number in range(start, start + 50)])
    print(index.position, flush=True)
"""


def check(folder: Path) -> int:
    """Open what is there, and find each digest again that it claims to have; tells how many."""
    with closing(DigestIndex(folder)) as index:
        position = index.position
        assert index.settle(lambda: position)
        assert all(index.find(digest(number)) == [number] for number in range(position))
        return position


def test_killed_index_has_what_it_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process is killed in the middle, and goes on where it was, again and again."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    reached = 0
    for number in range(4):
        goal = reached + 4000 + 700 * number  # more than memory takes
        command = [sys.executable, "-c", WRITER, str(tmp_path / "index")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            put = 0
            while put < goal:
                put = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()
            whole = rest[: rest.rfind(b"\n") + 1].split()  # the last line may be cut
        assert process.returncode == -signal.SIGKILL
        before, reached = reached, check(tmp_path / "index")
        assert before < reached
        assert reached <= max([put, *map(int, whole)]) + 50
    assert "damaged" not in caplog.text


class Camera:
    """Takes a copy of a folder before each step that changes it: what a crash there leaves."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.copies: list[Path] = []
        self._folder = folder
        for owner, name in ((os, "write"), (os, "fsync"), (Path, "rename"), (Path, "unlink")):
            self._watch(owner, name, monkeypatch)

    def _watch(self, owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(owner, name)

        def step(*values: Any, **named: Any) -> Any:
            self.steps.append(name)
            copy = self._folder.with_name(f"{len(self.copies)}")
            shutil.copytree(self._folder, copy)
            self.copies.append(copy)
            return real(*values, **named)

        monkeypatch.setattr(owner, name, step)


def film(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Camera:
    """What happens on the disk while an index is filled, and its files are merged."""
    monkeypatch.setattr(tail_module, "CHUNK", 20)
    with monkeypatch.context() as patch, closing(DigestIndex(folder)) as index:
        camera = Camera(folder, patch)
        for start in range(0, 400, 20):
            assert index.wait_for_room()
            index.put_many(start, [digest(number) for number in range(start, start + 20)])
        with index._parts.changed:
            assert index._parts.changed.wait_for(lambda: not index._has_work(), 30)
    return camera


def test_crash_at_any_step_leaves_an_index_that_has_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    camera = film(tmp_path / "index", monkeypatch)
    assert len(camera.copies) > 30
    assert any(copy.glob(f"*{UNFINISHED}") for copy in camera.copies)
    reached = [check(copy) for copy in camera.copies]
    assert reached == sorted(reached)
    assert caplog.text == ""
    assert not any(file for copy in camera.copies for file in copy.glob(f"*{UNFINISHED}"))


def test_file_is_safe_before_it_takes_its_name_and_before_its_parts_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = film(tmp_path / "index", monkeypatch)
    order = " ".join(camera.steps)
    assert "unlink" in order
    for at, step in enumerate(camera.steps):
        if step == "rename":
            assert camera.steps[at - 1] == "fsync"
            assert camera.steps[at + 1] == "fsync"
        if step == "unlink":
            assert camera.steps[at - 1] in {"fsync", "unlink"}

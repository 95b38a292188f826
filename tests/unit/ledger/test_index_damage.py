"""The digest index on damaged files, and beside ledgers that are not its own."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from chopmark.core.errors import InternalError, TryAgainError
from chopmark.ledger import tail as tail_module
from chopmark.ledger.packed import read_batch
from chopmark.ledger.run import run_name, write_run
from ledgers import digest
from smallindex import DIGESTS, put_all, reopened, spans

CHUNK = 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of few keys, so that few digests make many of them."""
    monkeypatch.setattr(tail_module, "CHUNK", CHUNK)
    monkeypatch.setattr(tail_module, "UNSORTED", 8)


def filled(folder: Path) -> None:
    """An index of three files of different sizes."""
    folder.mkdir()
    for start, end in ((0, 600), (600, 800), (800, 870)):
        batch = read_batch(start, DIGESTS[start:end])
        keys = np.sort(batch.words | (batch.entries - np.uint64(start)))
        write_run(folder, start, end, [keys])


def garble(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: os.truncate(path, path.stat().st_size - 8),
    "no run": lambda path: path.write_bytes(b"gone " * 1000),
    "footer": lambda path: garble(path, -5),
    "version": lambda path: garble(path, -36),
    "first keys": lambda path: garble(path, -45),
    "name": lambda path: path.rename(path.with_name(run_name(900, 950))),
}


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_and_what_follows_is_removed_with_one_warning(
    folder: Path, which: int, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder)
    start = spans(folder)[which][0]
    DAMAGE[damage](sorted(folder.iterdir())[which])
    with caplog.at_level(logging.WARNING), closing(reopened(folder)) as index:
        assert index.position == start
        assert all(index.find(digest(n)) == [n] for n in range(start))
        put_all(index, DIGESTS)
        assert all(index.find(digest(n)) == [n] for n in range(1000))
    # That the last file is not there looks like an index that lags: nothing to warn of.
    warned = damage != "missing" or which != -1
    assert caplog.text.count("is rebuilt") == warned
    with closing(reopened(folder)) as again:
        assert again.position == 1000


def test_garbled_keys_are_found_when_read_and_never_believed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder)
    garble(min(folder.iterdir()), 1000)
    behind: list[int] = []
    with caplog.at_level(logging.WARNING), closing(reopened(folder)) as index:
        index.on_behind = lambda: behind.append(index.position)
        index.put_many(870, DIGESTS[870:900])
        answers = 0
        for n in range(900):
            with suppress(TryAgainError):
                assert index.find(digest(n)) == [n]
                answers += 1
        assert answers < 900
        assert behind == [0]
        put_all(index, DIGESTS)
        assert index.settle(lambda: 1000)
        assert all(index.find(digest(n)) == [n] for n in range(1000))
    assert caplog.text.count("is rebuilt") == 1


def test_garbled_keys_are_not_merged_into_good_ones(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder)
    last = max(folder.iterdir())
    garble(last, 3)
    with caplog.at_level(logging.WARNING), closing(reopened(folder)) as index:
        fallen = threading.Event()
        index.on_behind = fallen.set
        put_all(index, DIGESTS * 20, CHUNK)
        assert fallen.wait(30)
        put_all(index, DIGESTS * 20, CHUNK)
        assert index.settle(lambda: 20_000)
        assert all(index.find(digest(n)) == list(range(n, 20_000, 1000)) for n in range(0, 1000, 9))
    assert "is damaged" in caplog.text


def test_index_of_another_ledger_begins_anew(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder)
    with caplog.at_level(logging.WARNING), closing(reopened(folder)) as index:
        index.check(870, digest)
        assert index.position == 870
        index.check(870, lambda n: digest(n + 1))
        assert index.position == 0
    assert caplog.text.count("another ledger") == 1
    assert list(folder.iterdir()) == []


def test_index_ahead_of_its_ledger_begins_anew(folder: Path) -> None:
    filled(folder)
    with closing(reopened(folder)) as index:
        index.check(800, digest)
        assert index.position == 0


def test_ledger_that_cannot_be_read_is_not_the_index_s_fault(folder: Path) -> None:
    def refuse(_: int) -> bytes:
        raise InternalError("damaged-ledger", "no")

    filled(folder)
    with closing(reopened(folder)) as index:
        index.check(870, refuse)
        assert index.position == 870

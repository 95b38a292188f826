import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.errors import InternalError
from chopmark.ledger import index as index_module
from chopmark.ledger.index import SqliteIndex
from ledgers import attestations as some
from ledgers import digest, make_store, opened, sign

DIGESTS: list[bytes | None] = [digest(number) for number in range(100)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def index(path: Path) -> Iterator[SqliteIndex]:
    made = SqliteIndex(path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits in memory for company."""
    monkeypatch.setattr(index_module, "PATIENCE", 0.01)


class Blocked:
    """Holds the index's writing thread before each transaction until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.gate = threading.Event()
        self._flush: Callable[..., None] = SqliteIndex._flush
        # A plain function, so that it is given the index.
        flush = lambda index, at: self._wait(index, at)  # noqa: E731, PLW0108 - see above
        monkeypatch.setattr(SqliteIndex, "_flush", flush)

    def _wait(self, index: SqliteIndex, position: int) -> None:
        self.reached.set()
        assert self.gate.wait(30)
        self._flush(index, position)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocked]:
    made = Blocked(monkeypatch)
    yield made
    made.gate.set()


def written(path: Path) -> tuple[int, int]:
    """Position and number of rows on disk."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT count(*) FROM digest").fetchone()[0]
        return db.execute("SELECT position FROM state").fetchone()[0], rows


def test_finds_what_was_put(index: SqliteIndex) -> None:
    index.put_many(0, DIGESTS)
    index.put_many(100, DIGESTS[:10])
    assert index.position == 110
    assert index.find(digest(3)) == [3, 103]
    assert index.find(digest(50)) == [50]
    assert index.find(digest(1000)) == []


def test_entry_without_a_digest_counts_but_is_not_found(index: SqliteIndex, path: Path) -> None:
    index.put_many(0, [None, digest(1), None])
    index.put_many(3, [None] * 5)
    index.close()
    assert written(path) == (8, 1)
    with closing(SqliteIndex(path)) as again:
        assert again.position == 8


def test_finds_the_same_in_memory_in_flight_and_on_disk(path: Path, blocked: Blocked) -> None:
    index = SqliteIndex(path)
    index.put_many(0, [digest(1)])
    assert blocked.reached.wait(30)
    index.put_many(1, [digest(1)])
    assert index._flushing.count
    assert index._tail.count
    assert index.find(digest(1)) == [0, 1]
    blocked.gate.set()
    index.close()
    assert written(path) == (2, 2)
    with closing(SqliteIndex(path)) as again:
        again.put_many(2, [digest(1)])
        assert again.find(digest(1)) == [0, 1, 2]


def test_finds_the_newest_of_a_digest_that_was_put_a_million_times(path: Path) -> None:
    index = SqliteIndex(path)
    for start in range(0, 1_000_000, 50_000):
        index.put_many(start, [digest(1)] * 50_000)
    newest = list(range(1_000_000 - index_module.MAX_FOUND, 1_000_000))
    assert index.find(digest(1)) == newest
    assert index.find(digest(1), below=10, limit=3) == [7, 8, 9]
    index.close()
    with closing(SqliteIndex(path)) as again:
        assert again.find(digest(1)) == newest
        assert again.find(digest(1), below=500_000, limit=2) == [499_998, 499_999]


def test_close_writes_all(path: Path) -> None:
    index = SqliteIndex(path)
    count = 3 * index_module._ROWS + 17
    index.put_many(0, [digest(number) for number in range(count)])
    index.close()
    assert written(path) == (count, count)


def test_same_entries_may_be_put_again(path: Path) -> None:
    for _ in range(2):
        index = SqliteIndex(path)
        index.put_many(0, DIGESTS)
        index.close()
    assert written(path) == (100, 100)


def test_finds_everything_while_it_is_being_filled(index: SqliteIndex) -> None:
    done, lost = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            known = index.position
            lost.extend(n for n in range(0, known, 97) if index.find(digest(n)) != [n])

    looker = threading.Thread(target=look)
    looker.start()
    for start in range(0, 6000, 100):
        index.put_many(start, [digest(number) for number in range(start, start + 100)])
    done.set()
    looker.join()
    assert lost == []


def test_full_memory_waits_and_then_gives_up(
    path: Path, blocked: Blocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MAX_TAIL", 100)
    monkeypatch.setattr(index_module, "STALLED", 0.01)
    index = SqliteIndex(path)
    index.put_many(0, DIGESTS)
    with pytest.raises(InternalError) as caught:
        index.put_many(100, DIGESTS)
    assert caught.value.code == "index-stalled"
    blocked.gate.set()
    monkeypatch.setattr(index_module, "STALLED", 30)
    index.put_many(100, DIGESTS)
    index.close()
    assert written(path) == (200, 200)


def test_entries_without_digests_never_stall(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer may fill its log with entries that mean nothing: that must not stop anybody."""
    monkeypatch.setattr(index_module, "MAX_TAIL", 10)
    monkeypatch.setattr(index_module, "STALLED", 0.0)
    index = SqliteIndex(path)
    for start in range(0, 200, 5):
        index.put_many(start, [None] * 5)
    index.close()
    assert written(path) == (200, 0)


class Flaky:
    """Lets some transactions of the index fail as SQLite would."""

    def __init__(self, index: SqliteIndex, failures: int, code: int) -> None:
        self._flush = index._flush
        self.failures = failures
        self._code = code
        self.failed = threading.Event()
        index._flush = self.flush  # type: ignore[method-assign]

    def flush(self, position: int) -> None:
        if self.failures:
            self.failures -= 1
            self.failed.set()
            error = sqlite3.OperationalError("no")
            error.sqlite_errorcode = self._code
            raise error
        self._flush(position)


def test_disk_that_refuses_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(index_module, "RETRY", 0.0)
    index = SqliteIndex(path)
    flaky = Flaky(index, 3, sqlite3.SQLITE_FULL)
    with caplog.at_level(logging.WARNING):
        index.put_many(0, DIGESTS)
        assert flaky.failed.wait(30)
        assert index.find(digest(7)) == [7]
        with index._changed:
            assert index._changed.wait_for(lambda: index._count == 0, 30)
    index.close()
    assert written(path) == (100, 100)
    assert "cannot be written" in caplog.text


def test_index_found_damaged_while_writing_is_built_anew_at_the_next_start(path: Path) -> None:
    index = SqliteIndex(path)
    flaky = Flaky(index, 1000, sqlite3.SQLITE_CORRUPT)
    index.put_many(0, DIGESTS)
    assert flaky.failed.wait(30)
    index.close()
    with closing(SqliteIndex(path)) as again:
        assert again.position == 0


def test_close_does_not_wait_for_a_disk_that_refuses(path: Path) -> None:
    index = SqliteIndex(path)
    flaky = Flaky(index, 1000, sqlite3.SQLITE_FULL)
    index.put_many(0, DIGESTS)
    assert flaky.failed.wait(30)
    index.close()
    assert written(path) == (0, 0)


def test_index_that_cannot_be_read_is_our_own_fault(index: SqliteIndex) -> None:
    index._read.execute("DROP TABLE digest")
    with pytest.raises(InternalError) as caught:
        index.find(digest(1))
    assert caught.value.code == "damaged-index"


@pytest.mark.parametrize(
    "content", [b"", b"no database at all, " * 300, b"SQLite format 3\0" + b"\xff" * 4080]
)
def test_damaged_file_begins_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with closing(SqliteIndex(path)) as index:
        assert index.position == 0
        index.put_many(0, DIGESTS)
        assert index.find(digest(5)) == [5]


@pytest.mark.parametrize("statement", ["DROP TABLE state", "PRAGMA user_version=9"])
def test_index_of_another_make_begins_anew(path: Path, statement: str) -> None:
    index = SqliteIndex(path)
    index.put_many(0, DIGESTS)
    index.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement)
    with closing(SqliteIndex(path)) as again:
        assert again.position == 0
        assert again.find(digest(5)) == []


def test_index_that_is_merely_busy_is_not_thrown_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = SqliteIndex(path)
    index.put_many(0, DIGESTS)
    index.close()

    def connect(_path: Path) -> Any:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(index_module, "_connect", connect)
    with pytest.raises(InternalError) as caught:
        SqliteIndex(path)
    assert caught.value.code == "damaged-index"
    assert written(path) == (100, 100)


# Of a log: the index follows the entries


def remove(path: Path) -> None:
    path.unlink()


def corrupt(path: Path) -> None:
    path.write_bytes(b"gone " * 1000)


def set_back(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM digest WHERE entry >= 100")
        db.execute("UPDATE state SET position = 100")


@pytest.mark.parametrize("damage", [remove, corrupt, set_back])
async def test_index_is_filled_from_the_entries_at_start(
    tmp_path: Path, damage: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.ledger.log._CHUNK", 64)
    store = make_store(tmp_path / "log.db", some(300))
    sign(store)
    store.close()
    async with opened(tmp_path):
        pass
    assert written(tmp_path / "log.index") == (300, 300)
    damage(tmp_path / "log.index")
    async with opened(tmp_path) as log:
        for number in (0, 99, 100, 299):
            assert [i for i, _ in log.find(digest(number))] == [number]
    assert written(tmp_path / "log.index") == (300, 300)


async def test_index_ahead_of_its_ledger_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path / "log.db", some(5)).close()
    index = SqliteIndex(tmp_path / "log.index")
    index.put_many(0, DIGESTS[:6])
    index.close()
    with pytest.raises(InternalError) as caught:
        async with opened(tmp_path):
            pass
    assert caught.value.code == "foreign-index"
    assert "index" not in {thread.name for thread in threading.enumerate()}

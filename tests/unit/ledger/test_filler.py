"""A log and its index: filled at start, in the background, after damage, beside a writer."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from chopmark.core.columns import frame_entries
from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.ledger import filler as filler_module
from chopmark.ledger import index as index_module
from chopmark.ledger import tail as tail_module
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import Store
from ledgers import attestations as some
from ledgers import digest, make_store, opened, sign
from mutations import flipped
from rig.patience import PATIENCE

SIZE = 1000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is much here."""
    monkeypatch.setattr(filler_module, "CHUNK", 30)
    monkeypatch.setattr(filler_module, "SHORT", 100)
    monkeypatch.setattr(tail_module, "CHUNK", 64)
    monkeypatch.setattr(index_module, "RETRY", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signed log without an index."""
    store = make_store(tmp_path / "log.db", some(SIZE))
    sign(store)
    store.close()
    return tmp_path


class Slow:
    """Holds the reading of entries for the index in the background until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self._read: Callable[..., Any] = Reader.digests
        # A plain function, so that it is given the reader.
        read = lambda reader, start, end: self.read(reader, start, end)  # noqa: E731, PLW0108 - see above
        monkeypatch.setattr(Reader, "digests", read)

    def read(self, reader: Reader, start: int, end: int) -> list[bytes | None]:
        if threading.current_thread().name == "index-fill" and start >= 300:
            assert self.gate.wait(30)
        found: list[bytes | None] = self._read(reader, start, end)
        return found


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - it happens on another thread
            await asyncio.sleep(0.005)


async def found(log: Log, number: int) -> list[int]:
    """Where the log says a document is; waits while the index is being rebuilt."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(TryAgainError):
                entries = await log.read(lambda *_: log.find(digest(number)))
                return [index for index, _ in entries]
            await asyncio.sleep(0.005)


def append(log: Log, numbers: range) -> Callable[[Store], None]:
    """Append on the writer's thread, and sign."""
    entries = some(len(numbers), numbers.start)

    def call(store: Store) -> None:
        log.append_now([frame_entries(entries)])
        sign(store)

    return call


async def test_short_gap_is_filled_before_the_log_is_open(tmp_path: Path) -> None:
    store = make_store(tmp_path / "log.db", some(90))
    sign(store)
    store.close()
    async with opened(tmp_path) as log:
        assert log.index.is_whole
        assert [i for i, _ in log.find(digest(89))] == [89]


async def test_index_that_is_up_to_date_answers_at_once(folder: Path) -> None:
    async with opened(folder) as log:
        await found(log, 0)
    async with opened(folder) as log:
        assert log.index.is_whole
        assert [[i for i, _ in log.find(digest(n))] for n in (0, 999, 1000)] == [[0], [999], []]


async def test_long_gap_is_filled_while_everything_else_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    async with opened(folder) as log:
        await until(lambda: log.index.position >= 300)
        with pytest.raises(TryAgainError) as caught:
            await log.read(lambda *_: log.find(digest(1)))
        assert caught.value.code == "index-rebuilding"
        assert caught.value.hint == "300 of 1,000 entries are done (30 %): ask again"
        assert caught.value.retry_after
        await log.write(append(log, range(SIZE, SIZE + 50)))  # goes on meanwhile
        assert log.signed_size == SIZE + 50
        assert (await log.package(0))[1]
        assert not log.index.is_whole
        slow.gate.set()
        for number in (0, 299, 300, 999, 1000, 1049):
            assert await found(log, number) == [number]
        assert log.index.position == SIZE + 50
        await log.write(append(log, range(SIZE + 50, SIZE + 60)))
        assert [i for i, _ in log.find(digest(1059))] == [1059]


async def test_log_can_be_closed_while_its_index_is_filled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    async with opened(folder) as log:
        await until(lambda: log.index.position >= 300)
        slow.gate.set()
    assert not {"index", "index-fill"} & {thread.name for thread in threading.enumerate()}
    async with opened(folder) as log:  # what was done is not done again
        assert log.index.position >= 300
        assert await found(log, 999) == [999]


async def test_log_can_be_closed_while_its_index_waits_for_a_disk_that_is_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_module, "MAX_TAILS", 2)
    monkeypatch.setattr(index_module, "write_run", refuse)
    async with opened(folder) as log:
        await until(lambda: log.index.position >= 128)
        await log.write(append(log, range(SIZE, SIZE + 50)))  # the writer is not held up
        with pytest.raises(TryAgainError):
            log.find(digest(1))
    assert "index-fill" not in {thread.name for thread in threading.enumerate()}


async def test_what_memory_did_not_take_is_filled_in_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses for a while: nobody waits, nothing is lost, and then look-ups answer."""
    full = threading.Event()
    write = index_module.write_run

    def refuse(*values: Any) -> Any:
        if full.is_set():
            raise OSError(28, "No space left on device")
        return write(*values)

    monkeypatch.setattr(index_module, "MAX_TAILS", 3)
    monkeypatch.setattr(index_module, "write_run", refuse)
    async with opened(folder) as log:
        await found(log, 0)
        full.set()
        for start in range(SIZE, SIZE + 600, 50):
            await log.write(append(log, range(start, start + 50)))
        assert log.index.position < SIZE + 600
        with pytest.raises(TryAgainError):
            log.find(digest(1))
        full.clear()
        for number in (0, 1000, 1300, 1599):
            assert await found(log, number) == [number]
        assert log.index.position == SIZE + 600


async def test_writer_and_filler_never_lose_an_entry_between_them(folder: Path) -> None:
    async with opened(folder) as log:
        for start in range(SIZE, SIZE + 500, 5):
            await log.write(append(log, range(start, start + 5)))
        for number in range(0, SIZE + 500, 7):
            assert await found(log, number) == [number]
        assert log.index.position == SIZE + 500


def test_what_was_left_out_just_before_it_is_whole_is_not_forgotten(tmp_path: Path) -> None:
    """The log grows, and its entries find no room, while the filler asks how far there is to go."""
    index = DigestIndex(tmp_path / "index")
    index.put_many(0, [digest(0)])

    def size() -> int:
        index.put_many(2, [digest(2)])
        return 3

    assert not index.settle(size)
    assert not index.is_whole
    index.close()


def remove(path: Path) -> None:
    rmtree(path)


def garble(path: Path) -> None:
    for file in path.iterdir():
        file.write_bytes(b"gone " * 1000)


def set_back(path: Path) -> None:
    for file in sorted(path.iterdir())[1:]:
        file.unlink()


def flip(path: Path) -> None:
    file = min(path.iterdir())
    file.write_bytes(flipped(file.read_bytes(), 8 * 400))


def exchange(path: Path) -> None:
    """The index of another ledger."""
    rmtree(path)
    index = DigestIndex(path)
    index.put_many(0, [digest(number + 5) for number in range(700)])
    index.close()


@pytest.mark.parametrize("damage", [remove, garble, set_back, flip, exchange])
async def test_index_is_rebuilt_from_the_entries(
    folder: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(folder) as log:
        await found(log, 0)
    damage(folder / "log.index")
    with caplog.at_level(logging.WARNING):
        async with opened(folder) as log:
            for number in range(SIZE):
                assert await found(log, number) == [number]
    assert caplog.text.count("is rebuilt") == (damage in (garble, flip, exchange))
    async with opened(folder) as log:
        assert log.index.is_whole


async def test_index_of_a_longer_ledger_is_rebuilt(folder: Path) -> None:
    index = DigestIndex(folder / "log.index")
    index.put_many(0, [digest(number) for number in range(SIZE + 1)])
    index.close()
    async with opened(folder) as log:
        assert await found(log, 999) == [999]
        assert log.index.position == SIZE


async def test_ledger_that_is_damaged_is_named_instead_of_rebuilding_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InternalError("damaged-ledger", "bundle 3 is damaged", hint="fsck")

    monkeypatch.setattr(Reader, "digests", refuse)
    async with opened(folder) as log:

        def code() -> str:
            with pytest.raises(ChopmarkError) as caught:
                log.find(digest(1))
            return caught.value.code

        await until(lambda: code() == "damaged-ledger")
        assert log.index.problem is not None

"""The digest index by itself: look-ups, memory, files, merging, full disks."""

import errno
import logging
import os
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import InternalError, TryAgainError
from chopmark.ledger import index as index_module
from chopmark.ledger import run as run_module
from chopmark.ledger import tail as tail_module
from chopmark.ledger.chain import FAN, choose_merge
from chopmark.ledger.index import MAX_FOUND, DigestIndex
from chopmark.ledger.index_check import IndexCheck
from chopmark.ledger.packed import SPAN, newest, read_batch, read_word
from chopmark.ledger.run import BLOCK, Run, merge_runs, write_run
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


@pytest.fixture
def index(folder: Path) -> Iterator[DigestIndex]:
    with closing(DigestIndex(folder)) as made:
        made.settle(lambda: 0)
        yield made


def wait_until_written(index: DigestIndex) -> None:
    """Until nothing is left to write or to merge."""
    with index._parts.changed:
        assert index._parts.changed.wait_for(lambda: not index._has_work(), 30)


def test_finds_what_was_put(index: DigestIndex) -> None:
    index.put_many(0, DIGESTS[:100])
    index.put_many(100, DIGESTS[:10])
    assert index.position == 110
    assert index.find(digest(3)) == [3, 103]
    assert index.find(digest(50)) == [50]
    assert index.find(digest(5000)) == []


def test_nothing_was_put(index: DigestIndex) -> None:
    assert index.position == 0
    assert index.find(digest(1)) == []
    index.put_many(0, [])
    assert index.position == 0


def test_entry_without_a_digest_counts_but_is_not_found(folder: Path) -> None:
    index = reopened(folder)
    index.put_many(0, [None, digest(1), None])
    index.put_many(3, [None] * 500)
    assert index.find(digest(1)) == [1]
    assert index.find(bytes(32)) == []
    index.close()
    with closing(reopened(folder)) as again:
        assert again.position == 503
        assert again.find(digest(1)) == [1]
        assert again.find(bytes(32)) == []


def test_same_entries_may_be_put_again(index: DigestIndex) -> None:
    for start in (0, 0, 50, 90):
        index.put_many(start, DIGESTS[start:100])
    assert index.position == 100
    index.put_many(90, DIGESTS[90:200])
    assert [index.find(digest(n)) for n in (0, 95, 99, 100, 199)] == [[0], [95], [99], [100], [199]]


def test_digest_of_another_length_is_our_own_fault(index: DigestIndex) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        index.put_many(0, [b"short"])


def test_finds_everything_in_memory_in_files_and_after_opening_again(folder: Path) -> None:
    index = reopened(folder)
    put_all(index, DIGESTS)
    assert all(index.find(digest(n)) == [n] for n in range(1000))
    wait_until_written(index)
    assert all(index.find(digest(n)) == [n] for n in range(1000))
    index.close()
    with closing(reopened(folder)) as again:
        assert again.position == 1000
        assert all(again.find(digest(n)) == [n] for n in range(1000))
        assert [again.find(digest(n)) for n in range(2000, 3000)] == [[]] * 1000


def test_files_are_few_and_follow_each_other(folder: Path) -> None:
    index = reopened(folder)
    put_all(index, [digest(number) for number in range(10_000)])
    wait_until_written(index)
    index.close()
    ends = [0, *(end for _, end in spans(folder))]
    assert ends[-1] == 10_000
    assert [start for start, _ in spans(folder)] == ends[:-1]
    assert len(ends) < 16


def collide(number: int) -> bytes:
    """A digest that shares eight bytes with all others that this makes."""
    return b"\xff" * 8 + digest(number)[8:]


def test_digests_that_share_their_first_bytes_are_all_given(index: DigestIndex) -> None:
    put_all(index, [collide(number) for number in range(200)])
    assert index.find(collide(7)) == list(range(200))
    assert index.find(b"\xff" * 7 + b"\xfe" + bytes(24)) == list(range(200))  # five bytes count
    assert index.find(b"\xff" * 4 + b"\xfe" * 28) == []


def test_finds_the_newest_of_a_digest_that_was_put_very_often(folder: Path) -> None:
    index = reopened(folder)
    put_all(index, [digest(1)] * 10_000, 100)
    for one in (index, None):
        found = one or reopened(folder)
        assert found.find(digest(1)) == list(range(10_000 - MAX_FOUND, 10_000))
        assert found.find(digest(1), below=10, limit=3) == [7, 8, 9]
        assert found.find(digest(1), below=5000, limit=2) == [4998, 4999]
        assert found.find(digest(1), below=3) == [0, 1, 2]
        assert found.find(digest(1), below=0) == []
        assert found.find(digest(1), limit=4 * BLOCK) == list(range(10_000 - 4 * BLOCK, 10_000))
        found.close()


def test_pages_lead_to_every_entry(index: DigestIndex) -> None:
    put_all(index, [collide(n) if n % 3 else digest(n) for n in range(2000)])
    seen: list[int] = []
    below = 2000
    while page := index.find(collide(0), below, 50):
        assert len(page) <= 50
        seen = page + seen
        below = page[0]
    assert seen == [n for n in range(2000) if n % 3]


def test_any_order_of_putting_and_looking_is_right(folder: Path) -> None:
    """Against a dictionary: few different digests, with gaps, in batches of any size."""
    for seed in range(20):
        chance = random.Random(seed)  # noqa: S311 - the same tests each time
        known: dict[bytes, list[int]] = defaultdict(list)
        with closing(reopened(folder.with_name(str(seed)))) as index:
            for _ in range(60):
                start = index.position
                batch = [
                    None if chance.random() < 0.2 else digest(chance.randrange(30))
                    for _ in range(chance.randrange(1, 90))
                ]
                assert index.wait_for_room()
                index.put_many(start, batch)
                for entry, one in enumerate(batch, start):
                    if one is not None:
                        known[one].append(entry)
                asked, below = digest(chance.randrange(40)), chance.randrange(1, start + 100)
                limit = chance.randrange(1, 20)
                expected = [entry for entry in known[asked] if entry < below][-limit:]
                assert index.find(asked, below, limit) == expected


def test_finds_everything_while_it_is_being_filled(index: DigestIndex) -> None:
    done, lost = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            known = index.position
            lost.extend(n for n in range(0, known, 97) if index.find(digest(n)) != [n])

    looker = threading.Thread(target=look)
    looker.start()
    put_all(index, [digest(number) for number in range(6000)], 100)
    done.set()
    looker.join()
    assert lost == []


# Numbers and files


def test_key_is_five_bytes_of_digest_and_place() -> None:
    batch = read_batch(7, [b"\x01\x02\x03\x04\x05\xff" + bytes(26), None, b"\xff" * 32])
    assert batch.words.tolist() == [0x0102030405000000, 0xFFFFFFFFFF000000]
    assert batch.entries.tolist() == [7, 9]
    assert read_word(b"\xff" * 32) == 0xFFFFFFFFFF000000


def test_newest_of_the_highest_word() -> None:
    keys = np.array([read_word(b"\xff" * 32) + SPAN - 1], np.uint64)
    assert newest(keys.data, read_word(b"\xff" * 32), SPAN, 5) == [SPAN - 1]
    assert newest(keys.data, read_word(b"\xff" * 32), SPAN - 1, 5) == []


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK])
def test_run_gives_back_what_was_written(tmp_path: Path, count: int) -> None:
    keys = np.sort(np.array([read_word(digest(n)) + n for n in range(count)], np.uint64))
    cut = count // 3
    run = write_run(tmp_path, 0, 2000, [keys[:cut], keys[cut:]])
    assert (run.start, run.end, run.count) == (0, 2000, count)
    assert [key for part in run.all_keys() for key in part.tolist()] == keys.tolist()
    assert all(run.find(read_word(digest(n)), 2000, 5) == [n] for n in range(count))
    assert run.find(read_word(digest(9999)), 2000, 5) == []


def test_tail_of_entries_without_digests_ends_where_its_file_must(folder: Path) -> None:
    """However many: a run counts entries in 24 bits."""
    tail = tail_module.Tail(5)
    assert tail.add(read_batch(5, []), 5 + 2 * SPAN) == 0
    assert tail.end == 5 + SPAN
    assert tail.is_full
    del folder


@given(st.lists(st.integers(1, 2_000_000), min_size=1, max_size=60))
def test_merging_ends_with_few_files(sizes: list[int]) -> None:
    spans: list[tuple[int, int]] = []
    position = 0
    for size in sizes:
        spans.append((position, position + size))
        position += size
        while (chosen := choose_merge(spans)) is not None:
            merged = spans[chosen]
            assert len(merged) > 1
            spans[chosen] = [(merged[0][0], merged[-1][1])]
            assert spans[chosen][0][1] - spans[chosen][0][0] <= SPAN
    assert spans[0][0] == 0
    assert spans[-1][1] == position
    assert len(spans) <= (FAN - 1) * 12 + 2 * (1 + position // SPAN)


WORDS = [read_word(one) for one in (bytes(32), digest(1), digest(2), b"\xff" * 32)]


@given(
    st.lists(
        st.lists(st.none() | st.sampled_from(WORDS), min_size=1, max_size=40),
        min_size=1,
        max_size=5,
    )
)
def test_merged_run_has_all_keys_in_order(lists: list[list[int | None]]) -> None:
    """In slices as small as can be, with keys that crowd at the ends."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as name:
        patch.setattr(run_module, "BLOCK", 3)
        patch.setattr(run_module, "SLICE", 2)
        runs, start = [], 0
        for words in lists:
            keys = [word + place for place, word in enumerate(words) if word is not None]
            end = start + len(words)
            runs.append(write_run(Path(name), start, end, [np.array(sorted(keys), np.uint64)]))
            start = end
        merged = merge_runs(Path(name), runs, lambda: None)
        everything = [word for words in lists for word in words]
        expected = sorted(w + place for place, w in enumerate(everything) if w is not None)
        assert [key for part in merged.all_keys() for key in part.tolist()] == expected
        for word in WORDS:
            places = [place for place, one in enumerate(everything) if one == word]
            assert merged.find(word, SPAN, 1000) == places
            assert merged.find(word, 20, 5) == [place for place in places if place < 20][-5:]


def test_check_beside_a_writer_finds_nothing(folder: Path) -> None:
    digests = [digest(number) for number in range(8000)]
    index = reopened(folder)
    seen = set[int]()

    def put() -> None:
        while index.position < 8000 or (len(seen) < 2 and index.position < 1_000_000):
            start = index.position
            while len(digests) < start + 100:
                digests.append(digest(len(digests)))
            assert index.wait_for_room()
            index.put_many(start, digests[start : start + 100])

    writer = threading.Thread(target=put)
    writer.start()
    while writer.is_alive():
        check = IndexCheck(folder)
        check.add(0, digests[:100])
        check.add(100, digests[100 : max(100, check.position)])
        assert check.problems == []
        seen.add(check.position)
    writer.join()
    index.close()
    assert len(seen) > 1


# Full memory and full disks


class Held:
    """Lets nothing be written until it is let go, or makes the disk refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.refuse = 0
        self._write: Callable[..., Run] = write_run
        monkeypatch.setattr(index_module, "write_run", self.write)

    def write(self, *values: Any) -> Run:
        self.reached.set()
        assert self.gate.wait(30)
        if self.refuse:
            self.refuse -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(*values)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(monkeypatch)
    yield made
    made.gate.set()


def test_finds_the_same_in_memory_in_flight_and_in_a_file(folder: Path, held: Held) -> None:
    index = reopened(folder)
    index.put_many(0, [digest(1)] * CHUNK)
    assert held.reached.wait(30)
    index.put_many(CHUNK, [digest(1)])
    assert index.find(digest(1)) == list(range(CHUNK + 1))
    held.gate.set()
    wait_until_written(index)
    assert index.find(digest(1)) == list(range(CHUNK + 1))
    index.close()


def test_full_memory_leaves_out_what_comes_and_says_so(
    folder: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MAX_TAILS", 2)
    behind: list[int] = []
    with closing(reopened(folder)) as index:
        index.on_behind = lambda: behind.append(index.position)
        index.put_many(0, DIGESTS[: 2 * CHUNK])
        assert index.find(digest(5)) == [5]
        assert behind == []
        for start in (2 * CHUNK, 3 * CHUNK):  # returns at once; nobody waits
            index.put_many(start, DIGESTS[start : start + CHUNK])
        assert behind == [2 * CHUNK] * 2
        index.settle(lambda: 4 * CHUNK)
        with pytest.raises(TryAgainError, match="being rebuilt") as caught:
            index.find(digest(5))
        assert caught.value.code == "index-rebuilding"
        assert caught.value.hint == "128 of 256 entries are done (50 %): ask again"
        assert caught.value.retry_after
        held.gate.set()
        assert index.wait_for_room()
        index.put_many(2 * CHUNK, DIGESTS[2 * CHUNK : 3 * CHUNK])
        assert not index.settle(lambda: 4 * CHUNK)
        assert index.settle(lambda: 3 * CHUNK)
        assert index.find(digest(3 * CHUNK - 1)) == [3 * CHUNK - 1]


def test_merging_does_not_hold_up_what_comes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large merge is going on, memory is emptied into files of their own."""
    monkeypatch.setattr(run_module, "SLICE", 1)
    monkeypatch.setattr(index_module, "MAX_TAILS", 2)
    merging, gate = threading.Event(), threading.Event()
    merge = index_module.merge_runs

    def held_merge(where: Path, runs: Sequence[Run], pause: Callable[[], None]) -> Run:
        def slowly() -> None:
            merging.set()
            while not gate.wait(0.001):
                pause()
            pause()

        return merge(where, runs, slowly)

    monkeypatch.setattr(index_module, "merge_runs", held_merge)
    with closing(reopened(folder)) as index:
        put_all(index, DIGESTS[: 4 * CHUNK], CHUNK)
        for start in range(4 * CHUNK, 12 * CHUNK, CHUNK):
            put_all(index, DIGESTS[: start + CHUNK])
        assert merging.wait(30)
        put_all(index, DIGESTS)
        assert all(index.find(digest(n)) == [n] for n in range(1000))
        gate.set()
        wait_until_written(index)
        assert all(index.find(digest(n)) == [n] for n in range(1000))


def test_gap_is_never_closed_over(index: DigestIndex) -> None:
    index.put_many(0, DIGESTS[:10])
    index.put_many(11, DIGESTS[11:20])
    assert index.position == 10
    with pytest.raises(TryAgainError):
        index.find(digest(1))


def test_disk_that_refuses_is_tried_again(
    folder: Path, held: Held, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(index_module, "RETRY", 0.01)
    held.refuse = 3
    held.gate.set()
    with caplog.at_level(logging.WARNING), closing(reopened(folder)) as index:
        put_all(index, DIGESTS)
        assert all(index.find(digest(n)) == [n] for n in range(1000))
        wait_until_written(index)
        assert held.refuse == 0
        assert index.find(digest(7)) == [7]
    assert caplog.text.count("cannot be written") == 1
    with closing(reopened(folder)) as again:
        assert again.position == 1000


def test_close_does_not_wait_for_a_disk_that_refuses(folder: Path, held: Held) -> None:
    held.refuse = 1_000_000
    held.gate.set()
    index = reopened(folder)
    index.put_many(0, DIGESTS)
    index.close()
    assert list(folder.iterdir()) == []


def test_disk_that_fills_up_while_a_file_is_written_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.mkdir()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        write_run(folder, 0, 1, [])
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_used_is_said_to_be(folder: Path) -> None:
    folder.write_bytes(b"")
    with pytest.raises(InternalError) as caught:
        DigestIndex(folder)
    assert caught.value.code == "damaged-index"


def test_failure_to_fill_is_told_until_it_is_whole(index: DigestIndex) -> None:
    index.put_many(5, DIGESTS[5:10])
    index.fail(InternalError("damaged-ledger", "bundle 3 is damaged", hint="fsck"))
    with pytest.raises(InternalError, match="bundle 3") as caught:
        index.find(digest(1))
    assert caught.value.hint == "fsck"
    index.put_many(0, DIGESTS[:10])
    assert index.settle(lambda: 10)
    assert index.find(digest(1)) == [1]

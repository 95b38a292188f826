import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.draft import Draft
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import InternalError, MalformedError, RefusedError, TryAgainError
from chopmark.core.policy import Policy
from chopmark.core.proof import verify_proof
from chopmark.ledger import sequencer as module
from chopmark.ledger.fsck import check_store
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.seeds import KeptSeed, Sealed, find_seed, write_seeds
from chopmark.ledger.sequencer import MAX_BATCH, MAX_INTAKE, Sequencer
from chopmark.ledger.store import LogState, Store
from chopmark.ledger.waits import BOUNDS, Waits
from ledgers import KEYS, LOG, NOW, ORIGIN, Clock, SoftSigner, append, digest, make_store, opened
from ledgers import attestations as some

LONG = 30.0
"""Seconds that nothing here should take."""


class Desk:
    """A sequencer over a real log, with a signer and a clock that the test moves."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.signer = SoftSigner()
        self.clock = Clock()
        self.sequencer = Sequencer(log, self.signer, self.clock)
        self.record = self.sequencer.record
        self.signed = self.sequencer.wait_signed

    async def entries(self) -> list[bytes]:
        size = self.log.state.size
        return await self.log.read(lambda reader, _: reader.entries(0, size) if size else [])


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(desk.sequencer.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as log:
        made = Desk(log)
        yield made
        await log.write(lambda _: None)
    assert check_store(tmp_path / "log.db", tmp_path / "log.index", *KEYS) == []


@contextmanager
def holding_the_writer(log: Log) -> Iterator[threading.Event]:
    """Keep the writer's thread busy; gives the event that tells that it is."""
    gate, busy = threading.Event(), threading.Event()

    def hold(_store: Store) -> None:
        busy.set()
        gate.wait(LONG)

    task = asyncio.ensure_future(log.write(hold))
    try:
        yield busy
    finally:
        gate.set()
        task.add_done_callback(lambda done: done.exception())


def drafts(*numbers: int) -> list[Draft]:
    return [Draft(digest(number), "bank-statement") for number in numbers]


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until it holds."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def appending() -> bool:
    """Whether a batch has left the queue and is not recorded yet."""
    return any(task.get_name() == "sequencer-batch" for task in asyncio.all_tasks())


async def test_start_signs_the_empty_log(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
    assert [head.size for head in desk.signer.heads] == [0]


async def test_answer_tells_where_the_entries_are(desk: Desk) -> None:
    async with running(desk):
        first = await desk.record(drafts(1, 2), LONG)
        second = await desk.record([Draft(digest(3), "kyc", digest(4), NOW + 5)], LONG)
        assert (first.start, first.count, first.made_at) == (0, 2, NOW)
        assert (second.start, second.count) == (2, 1)
        assert await desk.signed(2, LONG)
        proof = await desk.log.read(lambda reader, state: reader.proof(2, state))
    proven = verify_proof(proof, Policy((LOG.vkey,)))
    entry = parse_entry(proven.extra.entry)
    assert entry == Draft(digest(3), "kyc", digest(4), NOW + 5).made_at(NOW)


async def test_blinded_entries_say_the_minute_and_others_when_they_were_made(desk: Desk) -> None:
    desk.clock.now = NOW + 30_500
    hidden = [Draft(digest(number), "kyc", blinded=True) for number in (1, 2)]
    async with running(desk):
        plain = await desk.record(drafts(0), LONG)
        blinded = await desk.record(hidden, LONG)
        mixed = await desk.record([*drafts(3), *hidden[:1], *drafts(4)], LONG)
        entries = [parse_entry(entry) for entry in await desk.entries()]
    assert (plain.made_at, blinded.made_at, mixed.made_at) == (NOW + 30_500, NOW, NOW + 30_500)
    made = [entry.made_at for entry in entries if isinstance(entry, Attestation)]
    assert made == [NOW + 30_500, NOW, NOW, NOW + 30_500, NOW, NOW + 30_500]


async def test_blinded_entries_are_not_found_by_what_stands_in_them(desk: Desk) -> None:
    async with running(desk):
        await desk.record([Draft(digest(1), "kyc", blinded=True), *drafts(2)], LONG)
        await desk.signed(1, LONG)
        found = [await desk.log.read(lambda *_, n=n: desk.log.find(digest(n))) for n in (1, 2)]
    assert [len(one) for one in found] == [0, 1]


async def test_seed_is_stored_with_its_entries_or_not_at_all(desk: Desk) -> None:
    sealed = Sealed(7, b"box", 3, NOW)
    async with running(desk):
        await desk.record(drafts(0), LONG)
        await desk.record(drafts(1, 2), LONG, sealed=sealed)
        with pytest.raises(MalformedError):
            await desk.record([Draft(b"short", "k")], LONG, sealed=sealed)

    def read(reader: Reader, _state: LogState) -> list[KeptSeed | None]:
        return [reader.look(find_seed, index) for index in range(4)]

    kept = KeptSeed(1, 2, sealed)
    assert await desk.log.read(read) == [None, kept, kept, None]
    assert kept.number(2) == 4


async def test_seeds_of_what_a_recovery_has_lost_give_way(desk: Desk) -> None:
    left = [KeptSeed(start, 5, Sealed(7, b"old", 0, NOW)) for start in (0, 2)]
    await desk.log.write(lambda store: store.change(lambda db: write_seeds(db, left)))
    sealed = Sealed(7, b"new", 0, NOW)
    async with running(desk):
        await desk.record(drafts(0), LONG)
        await desk.record(drafts(1, 2, 3), LONG, sealed=sealed)
    found = [
        await desk.log.read(lambda reader, _, at=at: reader.look(find_seed, at))
        for at in range(1, 4)
    ]
    assert found == [KeptSeed(1, 3, sealed)] * 3


async def test_wait_of_the_oldest_entry_is_counted_once_for_each_head(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        assert desk.sequencer.waits == Waits(), "the head of the empty log is waited for by nobody"
        desk.signer.away = True
        await desk.record(drafts(1, 2), LONG)
        await until(lambda: desk.sequencer.stalled is not None)
        assert sum(desk.sequencer.waits.buckets) == 0
        desk.signer.away = False
        assert await desk.signed(1, LONG)
    waits = desk.sequencer.waits
    assert sum(waits.buckets) == 1
    assert waits.seconds > 0


def test_waits_count_from_the_first_arrival_to_the_head() -> None:
    waits = Waits()
    waits.appended(7.0)
    waits.appended(5.0)
    since = waits.take()
    assert (since, waits.take()) == (5.0, None)
    waits.appended(9.0)
    waits.appended(5.0)  # the head was not signed
    waits.signed(waits.take(), 5.02)
    waits.signed(None, 9.0)
    assert [count for count in waits.buckets if count] == [1]
    assert waits.buckets[BOUNDS.index(0.025)] == 1
    waits.signed(0.0, 3600.0)
    assert waits.buckets[-1] == 1


async def test_answers_come_only_after_the_entries_are_durable(desk: Desk) -> None:
    async with running(desk):
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            task = asyncio.create_task(desk.record(drafts(1), LONG))
            done, _ = await asyncio.wait({task}, timeout=0.02)
            assert not done
        recorded = await task
        assert Store(desk.log._store.path).size == recorded.start + 1


async def test_head_is_signed_once_for_all_that_arrived_meanwhile(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        desk.signer.gate.clear()
        desk.signer.asked.clear()
        first = await desk.record(drafts(0), LONG)
        await desk.signer.asked.wait()
        for number in range(1, 50):
            await desk.record(drafts(number), LONG)
        assert not await desk.signed(first.start, 0)
        desk.signer.gate.set()
        assert await desk.signed(49, LONG)
    assert [head.size for head in desk.signer.heads] == [0, 1, 50]


async def test_what_arrives_during_an_append_goes_into_one_transaction(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            tasks = [asyncio.create_task(desk.record(drafts(n), LONG)) for n in range(40)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert desk.sequencer.counters.appends <= 2
        assert desk.sequencer.counters.entries == 40
        assert len(await desk.entries()) == 40


async def test_runs_keep_the_order_of_their_arrival(desk: Desk) -> None:
    async with running(desk):
        tasks = [asyncio.create_task(desk.record(drafts(n, n + 1), LONG)) for n in range(0, 40, 2)]
        recorded = await asyncio.gather(*tasks)
        assert [one.start for one in recorded] == list(range(0, 40, 2))
        shas = [parse_entry(entry).sha256 for entry in await desk.entries()]  # type: ignore[union-attr]
        assert shas == [digest(number) for number in range(40)]


async def test_deadline_before_the_append_means_not_recorded(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            begun = asyncio.create_task(desk.record(drafts(1), LONG))
            await until(appending)
            with pytest.raises(TryAgainError) as caught:
                await desk.record(drafts(2), 0.01)
        assert caught.value.code == "not-recorded"
        assert (await begun).start == 0
        await desk.record(drafts(3), LONG)
        shas = [parse_entry(entry).sha256 for entry in await desk.entries()]  # type: ignore[union-attr]
        assert shas == [digest(1), digest(3)]


async def test_deadline_during_the_append_gives_the_answer(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            task = asyncio.create_task(desk.record(drafts(1), 0.01))
            done, _ = await asyncio.wait({task}, timeout=0.1)
            assert not done
        assert (await task).start == 0


async def test_caller_that_leaves_in_time_has_nothing_recorded(desk: Desk) -> None:
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            first = asyncio.create_task(desk.record(drafts(1), LONG))
            await until(appending)
            second = asyncio.create_task(desk.record(drafts(2), LONG))
            await asyncio.sleep(0)
            for task in (first, second):
                task.cancel()
            await asyncio.wait({first, second})
        await desk.record(drafts(3), LONG)
        shas = [parse_entry(entry).sha256 for entry in await desk.entries()]  # type: ignore[union-attr]
        assert shas == [digest(1), digest(3)], "what had begun is recorded, what had not is not"


async def test_queue_is_bounded_by_entries(desk: Desk) -> None:
    whole = drafts(0) * MAX_BATCH
    tasks = [asyncio.create_task(desk.record(whole, LONG)) for _ in range(MAX_INTAKE // MAX_BATCH)]
    await asyncio.sleep(0)
    with pytest.raises(TryAgainError) as caught:
        await desk.record(drafts(1), LONG)
    assert caught.value.code == "queue-full"
    assert caught.value.retry_after
    tasks[0].cancel()
    async with running(desk):
        await asyncio.wait(tasks)
        assert (await desk.record(drafts(1), LONG)).start == MAX_INTAKE - MAX_BATCH


async def test_nothing_is_appended_until_there_is_room_and_the_queue_fills_up(desk: Desk) -> None:
    room = asyncio.Event()

    async def wait() -> None:
        await room.wait()

    desk.sequencer.room = wait
    async with running(desk):
        whole = drafts(0) * MAX_BATCH
        waiting = asyncio.create_task(desk.record(drafts(1), LONG))
        await asyncio.sleep(0)
        filling = [asyncio.create_task(desk.record(whole, LONG)) for _ in range(3)]
        with pytest.raises(TryAgainError) as late:
            await desk.record(drafts(2), 0.001)
        assert late.value.code == "not-recorded"
        filling.append(asyncio.create_task(desk.record(whole[:-2], LONG)))
        await asyncio.sleep(0)
        with pytest.raises(TryAgainError) as full:
            await desk.record(drafts(3), LONG)
        assert (full.value.code, full.value.retry_after) == ("queue-full", 1)
        assert desk.log.state.size == 0
        room.set()
        assert (await waiting).start == 0
        await asyncio.gather(*filling)
    assert desk.log.state.size == MAX_INTAKE - 1


async def test_run_larger_than_a_batch_is_refused(desk: Desk) -> None:
    with pytest.raises(RefusedError) as caught:
        await desk.record(drafts(0) * (MAX_BATCH + 1), LONG)
    assert caught.value.code == "too-many"


@pytest.mark.parametrize(
    "bad",
    [
        Draft(b"short", "kyc"),
        Draft(digest(1), "Not a kind"),
        Draft(digest(1), "kyc", b"short"),
        Draft(digest(1), "kyc", valid_until=-1),
        Draft(digest(1), "kyc", supersedes=2**63),
        (-1, 0),
        (0, 2**64),
    ],
)
async def test_what_is_no_entry_is_refused_and_disturbs_nobody(desk: Desk, bad: Any) -> None:
    good = [asyncio.create_task(desk.record(drafts(n), LONG)) for n in (1, 2)]
    await asyncio.sleep(0)
    wrong = asyncio.create_task(desk.record([*drafts(8), bad], LONG))
    await asyncio.sleep(0)
    good.append(asyncio.create_task(desk.record(drafts(3), LONG)))
    async with running(desk):
        with pytest.raises(MalformedError):
            await wrong
        assert [(await task).start for task in good] == [0, 1, 2]
        with pytest.raises(MalformedError):
            await desk.record([bad], LONG)
        assert await desk.signed(2, LONG)


async def test_absent_hsm_stalls_and_heals(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    async with running(desk):
        await desk.record(drafts(1), LONG)
        await until(lambda: desk.log.state.head.size == 1)
        desk.signer.away = True
        recorded = await desk.record(drafts(2), LONG)
        await until(lambda: desk.sequencer.stalled is not None)
        for _ in range(3):
            with pytest.raises(TryAgainError) as caught:
                await desk.record(drafts(3), LONG)
        assert caught.value.code == "hsm-away"
        assert not await desk.signed(recorded.start, 0.01)
        desk.signer.away = False
        assert await desk.signed(recorded.start, LONG)
        assert desk.sequencer.stalled is None
        assert (await desk.record(drafts(4), LONG)).start == 2


async def test_refusals_while_stalled_do_not_gather_in_memory(desk: Desk) -> None:
    desk.signer.away = True
    async with running(desk):
        await until(lambda: desk.sequencer.stalled is not None)
        for _ in range(50):
            with pytest.raises(TryAgainError):
                await desk.record(drafts(1), LONG)
        depth, trace = 0, desk.sequencer._stalled.__traceback__  # type: ignore[union-attr]
        while trace is not None:
            depth, trace = depth + 1, trace.tb_next
        assert depth < 10


async def test_head_that_the_disk_refuses_is_signed_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    refusals = 3
    move = Store.move_head

    def refuse(store: Store, *head: Any) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise TryAgainError("not-recorded", "the disk is full")
        move(store, *head)

    monkeypatch.setattr(Store, "move_head", refuse)
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
    assert refusals < 0


async def test_disk_that_refuses_records_nothing_and_heals(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Store._write_tiles
    async with running(desk):
        await desk.record(drafts(1), LONG)

        def refuse(*_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(Store, "_write_tiles", refuse)
        for _ in range(2):
            with pytest.raises(TryAgainError) as caught:
                await desk.record(drafts(2), LONG)
            assert caught.value.code == "not-recorded"
        monkeypatch.setattr(Store, "_write_tiles", write)
        assert (await desk.record(drafts(3), LONG)).start == 1


async def test_refusal_is_asked_for_before_anything_is_queued(desk: Desk) -> None:
    waiting: list[int] = []

    def refuse(entries: int) -> TryAgainError | None:
        waiting.append(entries)
        return TryAgainError("storage-full", "no room") if entries > 3 else None

    desk.sequencer.refuse = refuse
    first = asyncio.create_task(desk.record(drafts(1, 2), LONG))
    await asyncio.sleep(0)
    assert desk.sequencer.waiting == 2
    with pytest.raises(TryAgainError) as caught:
        await desk.record(drafts(1, 2), LONG)
    assert caught.value.code == "storage-full"
    assert (waiting, desk.sequencer.waiting) == ([2, 4], 2)
    async with running(desk):
        assert (await first).count == 2
        with pytest.raises(TryAgainError):
            await desk.record(drafts(1, 2, 3, 4), LONG)
        assert (await desk.record(drafts(1, 2, 3), LONG)).start == 2


async def test_what_was_appended_is_signed_though_nothing_more_is_taken(desk: Desk) -> None:
    async with running(desk):
        recorded = await desk.record(drafts(1, 2, 3, 4, 5), LONG)
        desk.sequencer.refuse = lambda _: TryAgainError("storage-full", "no room")
        assert await desk.signed(recorded.start + 4, LONG)


async def test_unknown_commit_ends_the_sequencer_and_tells_the_callers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InternalError("commit-unknown", "a commit failed")

    desk.signer.away = True
    task = asyncio.create_task(desk.sequencer.run())
    monkeypatch.setattr(Store, "append", fail)
    with pytest.raises(InternalError) as caught:
        await desk.record(drafts(1), LONG)
    assert caught.value.code == "commit-unknown"
    with pytest.raises(ExceptionGroup) as group:
        await task
    assert group.group_contains(InternalError, depth=1)


async def test_unknown_commit_of_anybody_ends_who_watches_the_disk(desk: Desk) -> None:
    def fail(_store: Store) -> None:
        raise InternalError("commit-unknown", "a commit failed")

    watching = asyncio.create_task(desk.log.watch())
    with pytest.raises(InternalError):
        await desk.log.write(fail)
    with pytest.raises(InternalError) as caught:
        await watching
    assert caught.value.code == "commit-unknown"


async def test_write_that_is_known_to_have_failed_ends_nobody(desk: Desk) -> None:
    def refuse(_store: Store) -> None:
        raise TryAgainError("storage-full", "no room")

    watching = asyncio.create_task(desk.log.watch())
    with pytest.raises(TryAgainError):
        await desk.log.write(refuse)
    await desk.log.write(lambda _: None)
    assert not watching.done()
    watching.cancel()


async def test_stop_answers_all_who_wait(desk: Desk) -> None:
    async with running(desk) as task:
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            begun = asyncio.create_task(desk.record(drafts(1), LONG))
            await until(appending)
            waiting = asyncio.create_task(desk.record(drafts(2), LONG))
            await asyncio.sleep(0)
            task.cancel()
        assert (await begun).start == 0, "it was recorded, and its caller is told so"
        for late in (waiting, asyncio.create_task(desk.record(drafts(3), LONG))):
            with pytest.raises(TryAgainError) as caught:
                await late
            assert caught.value.code == "not-recorded"
    assert desk.log.state.size == 1


async def test_time_never_goes_back(desk: Desk) -> None:
    async with running(desk):
        times = []
        for change in (0, 5, -3_600_000, 1, 3_700_000):
            desk.clock.now += change
            times.append((await desk.record(drafts(change), LONG)).made_at)
    assert times == [NOW, NOW + 5, NOW + 5, NOW + 5, NOW + 100_006]
    assert times == sorted(times)


async def test_time_never_goes_back_over_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        desk = Desk(log)
        async with running(desk):
            await desk.record(drafts(1), LONG)
    async with opened(tmp_path) as log:
        desk = Desk(log)
        desk.clock.now -= 10_000
        async with running(desk):
            assert (await desk.record(drafts(2), LONG)).made_at == NOW


async def test_start_signs_what_was_appended_and_not_signed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "log.db", some(300))
    append(store, some(3, start=300))
    store.close()
    async with opened(tmp_path) as log:
        desk = Desk(log)
        async with running(desk):
            assert await desk.signed(302, LONG)
            assert log.find(digest(301)) == [(301, some(1, start=301)[0])]
        assert [(head.origin, head.size) for head in desk.signer.heads] == [(ORIGIN, 303)]
    assert check_store(tmp_path / "log.db", tmp_path / "log.index", *KEYS) == []


async def test_revocations_are_recorded_among_attestations(desk: Desk) -> None:
    async with running(desk):
        await desk.record(drafts(1, 2), LONG)
        revoked = await desk.record([(1, 4)], LONG)
        assert await desk.signed(revoked.start, LONG)
        found = await desk.log.read(lambda reader, state: reader.references(1, state.head.size))
    assert found == ((2, 4, NOW), -1)


async def test_each_head_is_told_of(desk: Desk) -> None:
    told: list[int] = []
    desk.sequencer.on_head = lambda: told.append(desk.log.signed_size)
    async with running(desk):
        await desk.record(drafts(1), LONG)
        await until(lambda: told[-1:] == [1])
    assert desk.sequencer.counters.heads == len(told)


async def test_abandoned_failures_are_no_warnings(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    monkeypatch.setattr(Store, "_write_tiles", lambda *_: (_ for _ in ()).throw(sqlite3.Error()))
    async with running(desk):
        await until(lambda: desk.log.state.note is not None)
        with holding_the_writer(desk.log) as busy:
            await asyncio.to_thread(busy.wait, LONG)
            task = asyncio.create_task(desk.record(drafts(1), LONG))
            await until(appending)
            task.cancel()
            await asyncio.wait({task})
        await desk.log.write(lambda _: None)
    del task
    gc.collect()
    assert complaints == []

"""The audit log of a running gateway, on a real ledger signed by a key in software."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chopmark.api.identity import CALLER, Caller
from chopmark.api.refusals import MOST_NAMES, Names
from chopmark.core.audit import Day, Record, parse_record
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import InternalError, RefusedError, TryAgainError
from chopmark.ledger import audit as table
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.log import Log
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.store import Store
from chopmark.service import auditing as module
from chopmark.service.auditing import MAX_ALIKE, MAX_PENDING, MAX_TOLD, Auditing, noted
from ledgers import NOW, Clock, SoftSigner, opened
from rig.patience import PATIENCE

DAY = 86_400_000


class Desk:
    """An audit log over a real ledger."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.path, self.log = folder / "log.db", log
        self.clock, self.signer = Clock(), SoftSigner()
        self.sequencer = Sequencer(log, self.signer, self.clock)
        salts = count()
        salt = lambda size: sha256(b"%d" % next(salts)).digest()[:size]  # noqa: E731
        self.refused: Counter[str] = Counter()
        self.audit = Auditing(log, self.sequencer, self.clock, salt, "c0ffee")
        self.audit.refused = lambda: self.refused

    async def records(self) -> list[Record]:
        rows, _ = await self.read(partial(table.read_records, date=None, after=-1, limit=9999))
        return [parse_record(row.record) for row in rows]

    async def days(self) -> list[table.Logged]:
        return await self.read(table.read_days)

    async def read(self, call: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self.log.read(lambda reader, _: reader.look(call))

    async def roots(self) -> list[bytes]:
        size = self.log.state.size
        entries = await self.log.read(lambda reader, _: reader.entries(0, size) if size else [])
        found = [parse_entry(entry) for entry in entries]
        return [one.value for one in found if isinstance(one, Commitment) and one.type == 5]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as log:
        made = Desk(tmp_path, log)
        async with running(made.sequencer.run()):
            yield made
    assert check_audit(made.path).findings == []


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_noted_is_durable_at_once_and_in_order(desk: Desk) -> None:
    async with running(desk.audit.run()):
        await wait_for(desk, 1)
        desk.audit.note("backup.taken", actor="unix uid=0", outcome="no-room", size=5, to="é" * 200)
        desk.clock.now += 1
        desk.audit.note("roster.adopted", version=-3)
        await wait_for(desk, 3)
    started, backup, roster = await desk.records()
    assert (started.action, started.about["before"]) == ("daemon.started", "nothing")
    about = {"size": 5, "to": "é" * 128}
    assert backup == Record(NOW, "unix uid=0", "backup.taken", "no-room", about)
    assert (roster.time, roster.about) == (NOW + 1, {"version": 0})


async def wait_for(desk: Desk, count: int) -> None:
    await until(desk.records, count)


async def until(read: Callable[[], Awaitable[list[Any]]], count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(await read()) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_start_says_how_the_run_before_ended_and_that_the_configuration_changed(
    desk: Desk,
) -> None:
    async with running(desk.audit.run()):
        await wait_for(desk, 1)
    again = Auditing(desk.log, desk.sequencer, desk.clock, desk.audit.random, "c0ffee")
    async with running(again.run()):
        await wait_for(desk, 2)
    await again.stop()
    third = Auditing(desk.log, desk.sequencer, desk.clock, desk.audit.random, "decaf")
    async with running(third.run()):
        await wait_for(desk, 5)
    found = [(one.action, one.about.get("before")) for one in await desk.records()]
    assert found == [
        ("daemon.started", "nothing"),
        ("daemon.started", "cut-off"),
        ("daemon.stopped", None),
        ("daemon.started", "stopped"),
        ("config.changed", "c0ffee"),
    ]


async def test_day_that_is_over_is_logged_once_with_its_value(desk: Desk) -> None:
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    await desk.audit.close_days()
    assert await desk.roots() == []
    desk.clock.now += DAY
    for _ in range(3):
        await desk.audit.close_days()
    (day,) = await desk.days()
    assert await desk.roots() == [day.day.value()]
    assert day.entry == 0


async def test_day_that_ended_while_we_were_off_is_logged_at_the_start(desk: Desk) -> None:
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    desk.clock.now += 9 * DAY
    async with running(desk.audit.run()):
        await until(desk.roots, 1)
        await wait_for(desk, 2)
    assert [one.day.count for one in await desk.days()] == [1]


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_crash_between_entry_and_mark_makes_no_second_entry(
    desk: Desk, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    desk.clock.now += DAY
    real = table.mark_logged

    def crash(db: sqlite3.Connection, number: int, entry: int) -> None:
        if cut == "after":
            real(db, number, entry)
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "mark_logged", crash)
    with pytest.raises(KeyboardInterrupt):
        await desk.audit.close_days()
    monkeypatch.undo()
    assert check_audit(desk.path).findings == []
    await desk.audit.close_days()
    (day,) = await desk.days()
    assert await desk.roots() == [day.day.value()]
    assert day.entry == 0


async def test_root_waits_while_the_ledger_refuses_and_is_told_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    desk.clock.now += DAY
    full = TryAgainError("storage-full", "the disk is full")
    desk.sequencer.refuse = lambda _: full
    for _ in range(3):
        await desk.audit.close_days()
    assert caplog.text.count("the disk is full") == 1
    assert [one.entry for one in await desk.days()] == [None]
    desk.sequencer.refuse = lambda _: None
    await desk.audit.close_days()
    assert [one.entry for one in await desk.days()] == [0]


async def test_outages_that_come_and_go_are_told_once_a_minute_and_none_is_missed(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = TryAgainError("storage-full", "the disk is full")
    for _ in range(3):
        desk.audit.note("hsm.changed")
        await desk.audit.write()
        desk.clock.now += DAY
        desk.sequencer.refuse = lambda _: full
        await desk.audit.close_days()
        desk.sequencer.refuse = lambda _: None
        await desk.audit.close_days()
    assert caplog.text.count("the disk is full") == 1
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    desk.clock.now += DAY
    desk.sequencer.refuse = lambda _: full
    await desk.audit.close_days()
    monkeypatch.setattr(desk.audit, "_quiet_until", 0.0)  # a minute later, and it still lasts
    await desk.audit.close_days()
    assert caplog.text.count("the disk is full") == 2


async def test_refusal_that_is_no_resumption_is_no_entry(desk: Desk) -> None:
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    desk.clock.now += DAY
    desk.sequencer.refuse = lambda _: RefusedError("standing", "not now")
    await desk.audit.close_days()
    assert await desk.roots() == []
    desk.sequencer.refuse = lambda _: InternalError("commit-unknown", "nobody knows")
    with pytest.raises(InternalError):
        await desk.audit.close_days()


async def test_records_wait_while_the_disk_refuses(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise TryAgainError("storage-full", "no room")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "change", refuse)
        desk.audit.note("hsm.changed")
        for _ in range(3):
            await desk.audit.write()
    assert caplog.text.count("no room") == 1
    await desk.audit.write()
    assert [one.action for one in await desk.records()] == ["hsm.changed"]


async def test_too_many_of_a_kind_are_counted(desk: Desk) -> None:
    for _ in range(MAX_ALIKE + 7):
        desk.audit.note("revocation")
    desk.audit.note("hsm.changed")
    await desk.audit.stop()
    actions = Counter(one.action for one in await desk.records())
    assert actions == {"revocation": MAX_ALIKE, "hsm.changed": 1, "audit.beyond": 1} | {
        "daemon.stopped": 1
    }
    beyond = next(one for one in await desk.records() if one.action == "audit.beyond")
    assert beyond.about == {"revocation": 7}


async def test_what_waits_for_the_disk_is_bounded(desk: Desk) -> None:
    for number in range(MAX_PENDING + 50):
        desk.audit.note(f"action{number}")
    await desk.audit.write()
    assert len(await desk.records()) == MAX_PENDING


async def test_refusals_are_told_by_cause_and_counted_from_the_last_time(desk: Desk) -> None:
    desk.refused.update({"overloaded": 3, "foreign-host": 1})
    desk.audit._tell_counts()
    desk.refused.update({f"cause-{n}": 100 - n for n in range(MAX_TOLD + 2)})
    desk.audit._tell_counts()
    desk.audit._tell_counts()
    await desk.audit.write()
    first, second = await desk.records()
    assert (first.action, first.about) == ("requests.refused", {"overloaded": 3, "foreign-host": 1})
    assert len(second.about) == MAX_TOLD + 1
    assert second.about["other"] == 85 + 84


async def test_refusals_are_told_of_each_client_and_once_only(desk: Desk) -> None:
    names = Names()
    desk.audit.named = names.take
    desk.refused.update({"role-missing": 3, "no-handshake": 2})
    for client in ("cert branch", "cert branch", "uid 7"):
        names.count(client, "role-missing")
    desk.audit._tell_counts()
    desk.audit._tell_counts()
    await desk.audit.write()
    told = [(one.action, one.actor, one.about) for one in await desk.records()]
    assert told == [
        ("requests.refused", "cert branch", {"role-missing": 2}),
        ("requests.refused", "uid 7", {"role-missing": 1}),
        ("requests.refused", "gateway", {"no-handshake": 2}),
    ]


async def test_names_of_refused_clients_are_bounded(desk: Desk) -> None:
    names = Names()
    desk.audit.named = names.take
    for number in range(3 * MOST_NAMES):
        names.count(f"unknown CN={number}", "unknown-client")
    desk.audit._tell_counts()
    await desk.audit.write()
    records = await desk.records()
    assert len(records) == MOST_NAMES + 1
    assert (records[-1].actor, records[-1].about) == ("others", {"unknown-client": 2 * MOST_NAMES})


async def test_watched_state_is_noted_when_it_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.001)
    state = "ready"
    reasons = {"away": "unplugged"}
    desk.audit.watch("hsm", lambda: state, "ready", lambda: reasons.get(state))
    desk.audit.watch("fork", lambda: "found", "none", peer="hk-1")
    desk.audit.watch("fork", lambda: "none", "none", peer="mo-1")
    async with running(desk.audit.run()):
        await wait_for(desk, 2)
        for state in ("away", "ready"):
            await wait_for(desk, 3 if state == "away" else 4)
    found = [(one.action, dict(one.about)) for one in (await desk.records())[1:]]
    assert found == [
        ("fork.changed", {"before": "none", "after": "found", "peer": "hk-1"}),
        ("hsm.changed", {"before": "ready", "after": "away", "reason": "unplugged"}),
        ("hsm.changed", {"before": "away", "after": "ready"}),
    ]


async def test_act_of_a_caller_is_durable_with_its_outcome_when_it_is_answered(desk: Desk) -> None:
    async def done() -> int:
        return 7

    async def refused() -> int:
        raise RefusedError("no-such-attestation", "there is none")

    async def slow() -> int:
        await asyncio.sleep(3600)
        return 0

    CALLER.set(Caller("uid 1000", frozenset(), frozenset(), machine=True))
    async with running(desk.audit.run()):
        await wait_for(desk, 1)
        assert await noted(desk.audit, "revocation", done(), index=1) == 7
        assert (await desk.records())[-1].outcome == "done"
        with pytest.raises(RefusedError):
            await noted(desk.audit, "revocation", refused(), index=2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await noted(desk.audit, "revocation", slow(), index=3)
        await desk.audit.settle()
        found = [(one.actor, one.outcome, one.about) for one in (await desk.records())[1:]]
    actor = "uid 1000"
    assert found == [
        (actor, "done", {"index": 1}),
        (actor, "no-such-attestation", {"index": 2}),
        (actor, "broken-off", {"index": 3}),
    ]


async def test_what_cannot_be_a_record_is_logged_and_harms_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.audit.note("Not A Code")
    desk.audit.note("hsm.changed", actor="")
    await desk.audit.write()
    assert "Not A Code" in caplog.text
    assert [one.actor for one in await desk.records()] == ["unknown"]


async def test_clock_before_1970_is_the_first_day(desk: Desk) -> None:
    desk.clock.now = -5
    desk.audit.note("hsm.changed")
    await desk.audit.write()
    await desk.audit.close_days()
    assert [one.time for one in await desk.records()] == [0]


def test_request_name_is_as_long_as_those_of_clients() -> None:
    day = Day(0, "2026-11-22", 0, 1, bytes(32), bytes(32))
    assert len(day.value()[:16]) == 16

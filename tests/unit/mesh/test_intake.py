import asyncio
from collections.abc import Callable

import pytest

from chopmark.core.errors import RefusedError
from chopmark.mesh.broker import Message
from chopmark.mesh.intake import Intake
from chopmark.mesh.topics import Topic
from meshes import FakeLog, live, running
from rig.patience import PATIENCE

SZ = "bank-sz.example/sz-1"
ENTRIES, HEAD = Topic("sz-1", "entries"), Topic("sz-1", "checkpoint")


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(SZ, "sz-1")


@pytest.fixture
def intake(log: FakeLog) -> Intake:
    return Intake(log)


def taken(intake: Intake, topic: Topic, payload: bytes) -> Message:
    message = Message("t", payload, None, retain=False, mid=1, release=lambda: None)
    intake.take_live(topic, message)
    return message


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_live_package_that_continues_the_log_is_acknowledged_once_it_is_durable(
    log: FakeLog, intake: Intake
) -> None:
    first, second = (taken(intake, ENTRIES, live(SZ, at, at + 10)) for at in (0, 10))
    assert not first.acknowledged
    assert not second.acknowledged
    async with running(intake.run()):
        await until(lambda: first.acknowledged and second.acknowledged)
    assert log.size == 20


async def test_live_package_behind_a_hole_is_acknowledged_at_once_and_kept(
    log: FakeLog, intake: Intake
) -> None:
    behind = taken(intake, ENTRIES, live(SZ, 20, 30))
    assert behind.acknowledged
    async with running(intake.run()):
        await until(lambda: log.missing == 30)
        assert intake.unverified.runs() == [(20, 30)]
        taken(intake, ENTRIES, live(SZ, 0, 20))
        await until(lambda: log.size == 30)


async def test_package_that_says_that_it_lies_far_ahead_hides_no_hole(
    log: FakeLog, intake: Intake
) -> None:
    foreign = live("bank-xx.example/xx-9", 2**50, 2**50 + 10)
    async with running(intake.run()):
        taken(intake, ENTRIES, foreign)
        await until(lambda: log.ingested and not intake.unverified.runs())
        taken(intake, ENTRIES, live(SZ, 20, 30))
        await until(lambda: log.missing)


async def test_notes_without_end_do_not_hold_up_packages(log: FakeLog, intake: Intake) -> None:
    """Whenever one was looked at there is another one, of another witness."""
    shown = 0
    observe = log.observe_head

    async def flood(note: bytes) -> None:
        nonlocal shown
        shown += 1
        if log.size < 10 and shown < 1000:
            if shown == 3:
                taken(intake, ENTRIES, live(SZ, 0, 10))
            taken(intake, Topic("sz-1", "cosignature", f"w-{shown % 2}"), b"note %d" % shown)
        await observe(note)

    log.observe_head = flood  # type: ignore[method-assign]
    taken(intake, Topic("sz-1", "cosignature", "w-0"), b"note 0")
    async with running(intake.run()):
        await until(lambda: log.size == 10)
    assert shown < 10


async def test_note_that_another_ousted_is_looked_at_when_it_is_told_again(
    log: FakeLog, intake: Intake
) -> None:
    observed: list[bytes] = []

    async def observe(note: bytes) -> None:
        observed.append(note)

    log.observe_announced = observe  # type: ignore[method-assign]
    first, junk = taken(intake, HEAD, b"a head"), taken(intake, HEAD, b"junk")
    assert first.acknowledged
    async with running(intake.run()):
        await until(lambda: junk.acknowledged)
        again, copy = taken(intake, HEAD, b"a head"), taken(intake, HEAD, b"junk")
        assert copy.acknowledged
        await until(lambda: again.acknowledged)
    assert observed == [b"junk", b"a head"]


async def test_what_is_no_package_is_counted_and_acknowledged(log: FakeLog, intake: Intake) -> None:
    assert taken(intake, ENTRIES, b"junk").acknowledged
    assert [error.code for error in log.dropped] == ["malformed-package"]


async def test_newest_note_counts_and_the_older_is_acknowledged(
    log: FakeLog, intake: Intake
) -> None:
    older, newer = taken(intake, HEAD, b"head 1"), taken(intake, HEAD, b"head 2")
    assert older.acknowledged
    assert not newer.acknowledged
    async with running(intake.run()):
        await until(lambda: newer.acknowledged)
    assert log.observed == [("announced", b"head 2")]


async def test_next_head_does_not_oust_the_one_that_bears_cosignatures(
    log: FakeLog, intake: Intake
) -> None:
    cosigned = "bank.example/sz-1\n5\nroot\n\n— a AAAA\n— b BBBB\n".encode()
    announced = "bank.example/sz-1\n6\nroot\n\n— a AAAA\n".encode()
    first, second = taken(intake, HEAD, cosigned), taken(intake, HEAD, announced)
    async with running(intake.run()):
        await until(lambda: first.acknowledged and second.acknowledged)
    assert sorted(log.observed) == [("announced", cosigned), ("announced", announced)]


async def test_bad_note_is_dropped_and_acknowledged(log: FakeLog, intake: Intake) -> None:
    log.failures = [RefusedError("bad-signature", "not good")]
    message = taken(intake, HEAD, b"head 1")
    async with running(intake.run()):
        await until(lambda: message.acknowledged)
    assert [error.code for error in log.dropped] == ["bad-signature"]


async def test_second_copy_is_known_by_its_content(log: FakeLog, intake: Intake) -> None:
    taken(intake, ENTRIES, live(SZ, 0, 10))
    assert taken(intake, ENTRIES, live(SZ, 0, 10)).acknowledged
    taken(intake, ENTRIES, live(SZ, 0, 10, head=20))
    async with running(intake.run()):
        await until(lambda: log.size == 10)
    assert intake.duplicates == 1


async def test_log_in_conflict_keeps_nothing(log: FakeLog, intake: Intake) -> None:
    log.conflict = "two histories"
    taken(intake, ENTRIES, live(SZ, 500, 510))
    async with running(intake.run()):
        await until(lambda: not intake.unverified.bytes)

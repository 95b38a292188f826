"""What becomes of a batch that fails, idles, or is sent or read too fast."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from litestar.exceptions import LitestarException

from batchcalls import Call, batch, line, settled, until
from chopmark.api.limits import ApiLimits
from chopmark.core.draft import Draft, Drafts
from chopmark.core.errors import TryAgainError
from fakegateway import FakeGateway
from rig.patience import PATIENCE


async def test_gateway_failing_midway_fails_the_lines_that_remain() -> None:
    gateway = FakeGateway()

    def fail(drafts: Sequence[Draft | Drafts]) -> None:
        if any((100).to_bytes(32, "big") in draft.sha256 for draft in drafts):
            raise TryAgainError("hsm-away", "the HSM is away")

    gateway.fail_record = fail
    body = b"".join(line(i) for i in range(1000)) + b"junk\n"
    answers = await batch(gateway, body, limits=ApiLimits(group=50, in_flight=1))
    assert [answer.get("index") for answer in answers[:100]] == list(range(100))
    assert {answer["error"]["code"] for answer in answers[100:]} == {"hsm-away"}
    assert [answer["error"]["line"] for answer in answers[100:]] == list(range(101, 1002))
    assert len(gateway.leaves) == 100


async def test_full_disk_is_told_in_each_line_with_what_to_do() -> None:
    gateway = FakeGateway()

    def fail(_: Sequence[Draft]) -> None:
        raise TryAgainError("storage-full", "the disk is full", hint="free space", retry_after=30)

    gateway.fail_record = fail
    answers = await batch(gateway, b"".join(line(i) for i in range(10)))
    error = {"code": "storage-full", "message": "the disk is full", "hint": "free space"}
    assert answers == [{"error": error | {"line": number}} for number in range(1, 11)]


HASTY = ApiLimits(idle=0.2)


async def test_idle_batch_ends_with_an_error_line() -> None:
    call = Call(FakeGateway(), HASTY)
    call.feed(line(0) + line(1) + b'{"sha2')
    async with asyncio.timeout(PATIENCE):
        await call.run()
    *good, last = call.lines()
    assert [answer["index"] for answer in good] == [0, 1]
    assert (last["error"]["code"], last["error"]["line"]) == ("batch-idle", 3)


async def test_idle_batch_that_never_said_anything_ends_too() -> None:
    call = Call(FakeGateway(), HASTY)
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert call.lines()[0]["error"]["line"] == 1


async def test_bytes_without_a_whole_line_do_not_keep_a_batch_open() -> None:
    call = Call(FakeGateway(), HASTY)
    running = asyncio.create_task(call.run())
    while not running.done():
        call.feed(b" ")
        await asyncio.sleep(0.01)
    assert call.lines()[-1]["error"]["code"] == "batch-idle"


async def test_batch_is_not_idle_while_its_lines_are_recorded() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway, ApiLimits(idle=0.05))
    call.feed(line(0), more=False)
    running = asyncio.create_task(call.run())
    await asyncio.sleep(0.3)
    assert not running.done()
    gateway.gate.set()
    await running
    assert [answer["index"] for answer in call.lines()] == [0]


async def test_batch_that_moves_now_and_then_stays_open() -> None:
    call = Call(FakeGateway(), ApiLimits(idle=2.0))
    running = asyncio.create_task(call.run())
    for number in range(10):
        call.feed(line(number), more=number < 9)
        await asyncio.sleep(0.05)
    await running
    assert [answer["index"] for answer in call.lines()] == list(range(10))


async def test_idle_batch_whose_answers_are_not_read_is_left_to_the_server() -> None:
    call = Call(FakeGateway(), HASTY)
    call.reading.clear()
    call.feed(line(0))
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert not call.ended


async def test_groups_in_flight_tell_each_its_own_fate() -> None:
    gateway = FakeGateway()
    failed = []

    def fail_first(_: Sequence[Draft | Drafts]) -> None:
        if not failed:
            failed.append(1)
            raise TryAgainError("not-recorded", "the deadline passed")

    gateway.fail_record = fail_first
    gateway.gate.clear()
    call = Call(gateway, ApiLimits(group=10))
    call.feed(b"".join(line(i) for i in range(100)), more=False)
    running = asyncio.create_task(call.run())
    await until(lambda: gateway.recording == 4)
    gateway.gate.set()
    await running
    answers = call.lines()
    assert all("error" in answer for answer in answers[:10])
    assert [answer["index"] for answer in answers[10:40]] == list(range(30))
    assert all("error" in answer for answer in answers[40:])
    assert len(gateway.leaves) == 30


async def test_batch_waits_for_room_in_the_queue() -> None:
    gateway = FakeGateway()
    turned_away = []

    def fail_thrice(_: Sequence[Draft | Drafts]) -> None:
        if len(turned_away) < 3:
            turned_away.append(1)
            raise TryAgainError("queue-full", "too much at once")

    gateway.fail_record = fail_thrice
    answers = await batch(gateway, line(1) + line(2))
    assert [answer["index"] for answer in answers] == [0, 1]
    assert len(turned_away) == 3


async def test_batch_does_not_wait_for_room_for_ever() -> None:
    gateway = FakeGateway()

    def fail(_: Sequence[Draft | Drafts]) -> None:
        raise TryAgainError("queue-full", "too much at once")

    gateway.fail_record = fail
    answers = await batch(gateway, line(1), "wait=0", limits=ApiLimits(least_record=0.1))
    assert answers[0]["error"]["code"] == "queue-full"


async def test_unexpected_failure_breaks_the_answer_off() -> None:
    gateway = FakeGateway()

    def fail(_: Sequence[Draft | Drafts]) -> None:
        if gateway.leaves:
            raise ZeroDivisionError

    gateway.fail_record = fail
    call = Call(gateway, ApiLimits(group=1, in_flight=1))
    call.feed(line(1) + line(2) + line(3), more=False)
    with pytest.raises(LitestarException):
        await call.run()
    assert call.status == 200
    assert not call.ended


async def test_unexpected_failure_before_the_answer_is_a_500() -> None:
    gateway = FakeGateway()

    def fail(_: Sequence[Draft | Drafts]) -> None:
        raise ZeroDivisionError

    gateway.fail_record = fail
    call = Call(gateway)
    call.feed(line(1), more=False)
    await call.run()
    assert (call.status, json.loads(call.output)["code"]) == (500, "internal-error")


async def test_next_group_is_read_while_others_are_recorded() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway, ApiLimits(group=10, in_flight=3))
    call.feed(b"".join(line(i) for i in range(1000)))
    running = asyncio.create_task(call.run())
    await until(lambda: gateway.recording == 3)
    gateway.gate.set()
    call.feed(b"", more=False)
    await running
    assert gateway.most_recording == 3
    assert [answer["index"] for answer in call.lines()] == list(range(1000))


async def test_what_arrives_meanwhile_is_one_group() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway, ApiLimits(in_flight=1))
    call.feed(line(0))
    running = asyncio.create_task(call.run())
    await until(lambda: gateway.recording == 1)
    for number in range(1, 4):
        call.feed(line(number))
    await until(lambda: call.received == 4)
    gateway.gate.set()
    call.feed(b"", more=False)
    await running
    assert gateway.groups == [1, 3]


async def test_slow_gateway_stops_the_reading() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway, ApiLimits(group=1, in_flight=2))
    for number in range(1000):
        call.feed(line(number))
    running = asyncio.create_task(call.run())
    await settled(call)
    assert call.received < 20
    gateway.gate.set()
    call.feed(b"", more=False)
    await running
    assert len(call.lines()) == 1000


@pytest.mark.parametrize("query", ["", "proofs=1"])
async def test_client_that_does_not_read_stops_the_reading(query: str) -> None:
    gateway = FakeGateway()
    call = Call(gateway, ApiLimits(group=1, backlog=50))
    call.reading.clear()
    for number in range(1000):
        call.feed(line(number))
    running = asyncio.create_task(call.run(query))
    await settled(call)
    assert call.received < 80
    assert len(gateway.leaves) <= 50
    call.reading.set()
    call.feed(b"", more=False)
    await running
    assert len(call.lines()) == 1000


async def test_bad_lines_count_for_what_they_weigh() -> None:
    call = Call(FakeGateway(), ApiLimits(group=10, backlog=50))
    call.reading.clear()
    for _ in range(1000):
        call.feed(b"junk\n" * 10)
    running = asyncio.create_task(call.run())
    await settled(call)
    assert call.received < 20
    call.reading.set()
    call.feed(b"", more=False)
    await running
    assert len(call.lines()) == 10_000


async def test_group_of_bad_lines_larger_than_the_backlog_passes() -> None:
    answers = await batch(FakeGateway(), b"\n" * 5000, limits=ApiLimits(backlog=1))
    assert len(answers) == 5000


async def test_client_that_hangs_up_midway_drops_what_is_not_recorded() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway)
    call.feed(line(0))
    running = asyncio.create_task(call.run())
    await until(lambda: gateway.recording == 1)
    call.hang_up()
    async with asyncio.timeout(PATIENCE):
        await running
    assert gateway.cancelled == 1
    assert not gateway.leaves


async def test_client_that_hangs_up_after_its_body_ends_the_batch() -> None:
    gateway = FakeGateway()
    gateway.signer.clear()
    call = Call(gateway)
    call.feed(line(0), more=False)
    running = asyncio.create_task(call.run())
    await until(lambda: len(gateway.leaves) == 1)
    call.hang_up()
    async with asyncio.timeout(PATIENCE):
        await running
    assert not call.ended


async def test_no_task_is_left_behind() -> None:
    before = asyncio.all_tasks()
    await batch(FakeGateway(), line(1) + b"junk\n")
    assert asyncio.all_tasks() == before

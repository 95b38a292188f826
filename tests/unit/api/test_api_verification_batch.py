import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from asgicall import AsgiCall
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Asked
from chopmark.core.draft import Draft
from chopmark.core.errors import TryAgainError
from fakegateway import FakeGateway
from rig.patience import PATIENCE

PATH = "/v1/verifications:batch"
GROUP = ApiLimits().verification_group


def hexed(number: int) -> str:
    return f"{number:064x}"


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


async def gateway_with(count: int) -> FakeGateway:
    gateway = FakeGateway()
    drafts = [Draft(number.to_bytes(32, "big"), "document") for number in range(count)]
    for draft in drafts:
        gateway.check_draft(draft)
    if drafts:
        await gateway.record(drafts, 1)
    return gateway


async def verified(
    gateway: FakeGateway, body: bytes, limits: ApiLimits | None = None
) -> list[dict[str, Any]]:
    call = AsgiCall(gateway, PATH, limits or ApiLimits())
    call.feed(body, more=False)
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert (call.status, call.ended) == (200, True)
    assert call.headers[b"content-type"] == b"application/x-ndjson"
    return [json.loads(one) for one in bytes(call.output).splitlines()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- the condition is not ours to signal
            await asyncio.sleep(0)


async def test_each_line_gets_its_verdict_in_order() -> None:
    gateway = await gateway_with(150)
    body = b"".join(line(sha256=hexed(number)) for number in range(300))
    verdicts = await verified(gateway, body)
    assert [one["verdict"] for one in verdicts] == ["valid"] * 150 + ["unknown"] * 150
    found = [one["attestations"][0]["index"] for one in verdicts[:150]]
    assert found == list(range(150))
    assert gateway.most_verifying == GROUP


async def test_lines_take_what_a_single_verification_takes() -> None:
    gateway = FakeGateway()
    more = {"expect_issuer": "hk-1", "expect_kind": "diploma", "max_age": 60}
    await verified(
        gateway,
        line(sha256=hexed(1), sm3=hexed(2), **more)
        + line(digests={"sha256": hexed(1), "sm3": hexed(2)}, **more)
        + line(reference="bank-hk.example/hk-1#7")
        + line(proof="no proof"),
    )
    flat, nested, reference, proof = gateway.asked
    assert flat == nested
    assert flat.question.expect_issuer == "hk-1"
    assert (flat.question.expect_kind, flat.question.max_age) == ("diploma", 60)
    assert reference.reference == ("bank-hk.example/hk-1", 7)
    assert proof.proof == b"no proof"


@pytest.mark.parametrize(
    ("bad", "code", "says"),
    [
        (b"\n", "malformed-line", "JSON"),
        (b"{\n", "malformed-line", "JSON"),
        (b"[]\n", "malformed-line", "object"),
        (b'{"sha256":"\xff"}\n', "malformed-line", ""),
        (line(sha256="AB"), "malformed-line", "64 lower-case"),
        (line(sm3=hexed(1)), "malformed-line", "sha256"),
        (line(sha256=hexed(1), digests={"sha256": hexed(1)}), "malformed-line", "digests"),
        (line(sha256=hexed(1), wait=1), "malformed-line", "wait"),
        (line(expect_issuer="hk-1"), "malformed-request", "missing"),
        (line(reference="hk-1"), "malformed-reference", "reference"),
        (line(proof="x" * 200_000), "malformed-line", "longer than"),
    ],
)
async def test_bad_line_is_told_by_its_number_and_disturbs_no_other(
    bad: bytes, code: str, says: str
) -> None:
    gateway = await gateway_with(1)
    good = line(sha256=hexed(0))
    before, fault, after = await verified(gateway, good + bad + good)
    assert before == after
    assert before["verdict"] == "valid"
    assert (fault["error"]["code"], fault["error"]["line"]) == (code, 2)
    assert says in fault["error"]["message"]


async def test_last_line_may_lack_its_line_feed_and_an_empty_body_is_no_line() -> None:
    gateway = await gateway_with(1)
    assert len(await verified(gateway, line(sha256=hexed(0)).rstrip())) == 1
    assert await verified(gateway, b"") == []


async def test_verdict_comes_while_more_lines_are_sent() -> None:
    gateway = await gateway_with(1)
    call = AsgiCall(gateway, PATH, ApiLimits())
    running = asyncio.create_task(call.run())
    for number in range(1, 4):
        call.feed(line(sha256=hexed(0)))
        await until(lambda: call.output.count(b"\n") >= number)  # noqa: B023 - waited for at once
    call.feed(b"", more=False)
    await running
    assert call.ended


async def test_client_that_does_not_read_is_not_read_from() -> None:
    gateway = await gateway_with(1)
    call = AsgiCall(gateway, PATH, ApiLimits())
    call.reading.clear()
    running = asyncio.create_task(call.run())
    for _ in range(100):
        call.feed(line(sha256=hexed(0)) * GROUP)
    for _ in range(2000):
        await asyncio.sleep(0)
    assert call.received < 20
    assert len(gateway.asked) <= 2 * GROUP
    call.reading.set()
    call.feed(b"", more=False)
    async with asyncio.timeout(PATIENCE):
        await running
    assert call.output.count(b"\n") == 100 * GROUP


async def test_batch_waits_for_room_where_a_single_request_is_turned_away() -> None:
    gateway = await gateway_with(1)
    left = [3]

    def fail(_: Asked) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise TryAgainError("overloaded", "too much", retry_after=1)

    gateway.fail_verify = fail
    (verdict,) = await verified(gateway, line(sha256=hexed(0)))
    assert verdict["verdict"] == "valid"


async def test_what_fails_for_one_line_fails_for_no_other() -> None:
    gateway = await gateway_with(2)

    def fail(asked: Asked) -> None:
        if asked.digests and asked.digests.sha256 == bytes(32):
            raise TryAgainError("index-rebuilding", "not yet", hint="ask again")

    gateway.fail_verify = fail
    first, second = await verified(gateway, line(sha256=hexed(0)) + line(sha256=hexed(1)))
    error = {"code": "index-rebuilding", "message": "not yet", "line": 1, "hint": "ask again"}
    assert first == {"error": error}
    assert second["verdict"] == "valid"


async def test_idle_batch_is_ended_with_a_line_that_says_so() -> None:
    gateway = await gateway_with(1)
    call = AsgiCall(gateway, PATH, ApiLimits(idle=0.05))
    call.feed(line(sha256=hexed(0)))
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert call.ended
    last = json.loads(bytes(call.output).splitlines()[-1])
    assert (last["error"]["code"], last["error"]["line"]) == ("batch-idle", 2)


async def test_client_that_hangs_up_ends_its_batch() -> None:
    call = AsgiCall(FakeGateway(), PATH, ApiLimits())
    call.feed(line(sha256=hexed(0)))
    call.hang_up()
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert not call.ended


async def test_number_of_batches_is_bounded_and_places_come_free() -> None:
    call = AsgiCall(FakeGateway(), PATH, ApiLimits(verification_batches=1))
    waiting = asyncio.create_task(call.run())
    await asyncio.sleep(0)
    other = AsgiCall(FakeGateway(), PATH, ApiLimits())
    other.app = call.app
    await other.run()
    assert (other.status, other.headers[b"retry-after"]) == (503, b"5")
    assert json.loads(bytes(other.output))["code"] == "overloaded"
    call.feed(b"", more=False)
    await waiting
    third = AsgiCall(FakeGateway(), PATH, ApiLimits())
    third.app = call.app
    third.feed(b"", more=False)
    await third.run()
    assert third.status == 200


async def test_query_is_refused() -> None:
    call = AsgiCall(FakeGateway(), PATH, ApiLimits())
    await call.run("wait=1")
    assert call.status == 400

"""The compact form through the API, in front of the fake gateway."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest

from asgicall import AsgiCall
from chopmark.api.identity import ANY_KIND, CALLER, ROLES, Caller
from chopmark.api.limits import ApiLimits
from chopmark.core.blinding import blind, salt_at
from chopmark.core.compact import (
    MEDIA_TYPE,
    AnswerReader,
    End,
    Failure,
    Header,
    Run,
    Unsigned,
)
from chopmark.core.draft import Draft, Drafts
from chopmark.core.entry import SHA256, Attestation, parse_entry
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError
from fakegateway import HIDDEN, NOW, SEED, WHO, YEAR, YEARLY, FakeGateway
from oneapi import OneApi
from rig.patience import PATIENCE

HEADER = Header(bytes(16), "bank-statement")
LIMITS = ApiLimits(compact_group=4)


def digests(count: int, width: int = 32) -> bytes:
    made = [sha256(b"%d" % number).digest() for number in range(count)]
    return b"".join(digest + bytes(reversed(digest)) * (width // 32 - 1) for digest in made)


class Call(AsgiCall):
    """One request in compact form."""

    def __init__(self, gateway: FakeGateway, offset: int = 0, limits: ApiLimits = LIMITS) -> None:
        super().__init__(gateway, "/v1/attestations:compact", limits)
        self.answer = AnswerReader(offset)

    async def send(self, message: dict[str, Any]) -> None:
        await super().send(message)
        if message["type"] == "http.response.body" and self.status == 200:
            list(self.answer.feed(message["body"]))


async def ask(
    gateway: FakeGateway,
    body: bytes,
    header: Header = HEADER,
    query: str = "",
    limits: ApiLimits = LIMITS,
) -> tuple[list[Run], object]:
    call = Call(gateway, header.offset, limits)
    call.feed(header.encode() + body, more=False)
    async with asyncio.timeout(PATIENCE):
        await call.run(query)
    assert call.status == 200, bytes(call.output)
    assert call.headers[b"content-type"] == MEDIA_TYPE.encode()
    return call.answer.runs, call.answer.finish()


async def until(condition) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 -- any condition
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- the condition is not ours to signal
            await asyncio.sleep(0)


def held(gateway: FakeGateway) -> bytes:
    entries = [parse_entry(leaf) for leaf in gateway.leaves]
    return b"".join(
        entry.sha256 + (entry.sm3 or b"") for entry in entries if isinstance(entry, Attestation)
    )


async def test_digests_are_recorded_in_runs() -> None:
    gateway = FakeGateway()
    runs, last = await ask(gateway, digests(10))
    assert runs == [Run(0, 0, 4, NOW), Run(4, 4, 4, NOW), Run(8, 8, 2, NOW)]
    assert last == End(b"note", (bytes(32),) * 2)
    assert held(gateway) == digests(10)
    entry = parse_entry(gateway.leaves[3])
    assert entry == Attestation(NOW, digests(4)[96:], "bank-statement")


async def test_sm3_and_validity_reach_the_entries() -> None:
    gateway = FakeGateway()
    header = replace(HEADER, with_sm3=True, valid_until=NOW + 5)
    await ask(gateway, digests(6, 64), header)
    assert held(gateway) == digests(6, 64)
    entry = parse_entry(gateway.leaves[5])
    assert isinstance(entry, Attestation)
    assert entry.valid_until == NOW + 5


async def test_runs_tell_the_validity_that_the_catalogue_sets() -> None:
    gateway = FakeGateway()
    header = Header(bytes(16), YEARLY, with_sm3=True)
    runs, _ = await ask(gateway, digests(6, 64), header)
    assert runs == [Run(0, 0, 4, NOW, NOW + YEAR), Run(4, 4, 2, NOW, NOW + YEAR)]
    entry = parse_entry(gateway.leaves[5])
    assert isinstance(entry, Attestation)
    assert entry.valid_until == NOW + YEAR
    again, _ = await ask(gateway, digests(6, 64), header)
    assert again == runs
    assert len(gateway.leaves) == 6


@pytest.mark.parametrize(
    "header", [replace(HEADER, blinded=True), replace(HEADER, kind=HIDDEN)], ids=["asked", "kind"]
)
async def test_runs_of_blinded_digests_have_their_seed(header: Header) -> None:
    gateway = FakeGateway()
    runs, _ = await ask(gateway, digests(6), header)
    assert [run.seed for run in runs] == [SEED, SEED]
    wanted = b"".join(
        blind(salt_at(SEED, n), WHO.origin, SHA256, digests(6)[32 * n : 32 * n + 32])
        for n in range(6)
    )
    assert held(gateway) == wanted
    again, _ = await ask(gateway, digests(6)[32 * 3 :], replace(header, offset=3))
    assert (again[0].first, again[0].count, again[0].seed) == (3, 1, SEED)
    assert len(gateway.leaves) == 6


async def test_body_in_pieces_of_any_size_is_answered_as_it_comes() -> None:
    gateway = FakeGateway()
    call = Call(gateway)
    running = asyncio.create_task(call.run())
    whole = HEADER.encode() + digests(9)
    for at in range(0, len(whole), 7):
        call.feed(whole[at : at + 7])
    await until(lambda: call.answer.next == 9)
    assert call.answer.last is None
    call.feed(b"", more=False)
    await asyncio.wait_for(running, PATIENCE)
    assert isinstance(call.answer.finish(), End)
    assert held(gateway) == digests(9)


async def test_client_may_wait_for_a_run_before_it_sends_more() -> None:
    gateway = FakeGateway()
    call = Call(gateway)
    running = asyncio.create_task(call.run())
    call.feed(HEADER.encode())
    for number in range(3):
        call.feed(digests(3)[32 * number : 32 * number + 32])
        await until(lambda number=number: call.answer.next == number + 1)  # type: ignore[misc]
    call.feed(b"", more=False)
    await asyncio.wait_for(running, PATIENCE)
    assert gateway.groups == [1, 1, 1]


async def test_slow_disk_makes_full_runs_and_stops_the_reading() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway)
    running = asyncio.create_task(call.run())
    call.feed(HEADER.encode() + digests(1))
    await until(lambda: gateway.recording == 1)
    for _ in range(1000):
        call.feed(bytes(320))
    await until(lambda: gateway.recording == LIMITS.compact_in_flight)
    before = call.received
    for _ in range(100):
        await asyncio.sleep(0)
    assert call.received == before
    assert call.received < 20
    gateway.gate.set()
    await until(lambda: call.answer.next > 20)
    call.hang_up()
    await asyncio.wait_for(running, PATIENCE)
    assert set(gateway.groups[1:-1]) == {4}


async def test_client_that_does_not_read_is_not_read_from() -> None:
    gateway = FakeGateway()
    call = Call(gateway)
    call.reading.clear()
    running = asyncio.create_task(call.run())
    call.feed(HEADER.encode())
    for _ in range(1000):
        call.feed(bytes(320))
    await until(lambda: gateway.groups)
    for _ in range(2000):
        await asyncio.sleep(0)
    assert len(gateway.leaves) == 10 * 1000
    call.feed(b"", more=False)
    call.reading.set()
    await asyncio.wait_for(running, PATIENCE)
    assert call.answer.next == 10_000


async def test_client_that_hangs_up_is_dropped() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway)
    running = asyncio.create_task(call.run())
    call.feed(HEADER.encode() + digests(8))
    await until(lambda: gateway.recording == 2)
    call.hang_up()
    await asyncio.wait_for(running, PATIENCE)
    assert gateway.cancelled == 2
    assert gateway.leaves == []


async def test_request_goes_on_where_it_broke_off() -> None:
    gateway = FakeGateway()
    await ask(gateway, digests(6))
    runs, last = await ask(gateway, digests(15)[3 * 32 :], replace(HEADER, offset=3))
    assert [(run.first, run.count) for run in runs] == [(3, 1), (4, 2), (6, 4), (10, 4), (14, 1)]
    assert isinstance(last, End)
    assert held(gateway) == digests(15)


async def test_request_is_its_client_s_alone() -> None:
    gateway = FakeGateway()
    first, _ = await ask(gateway, digests(4))
    token = CALLER.set(Caller("uid 7", ROLES, ANY_KIND, machine=True, door="unix"))
    try:
        assert (await ask(gateway, b""))[0] == []
        other, _ = await ask(gateway, digests(3))
        assert [run.start for run in other] == [4]
        assert (await ask(gateway, b""))[0] == other
    finally:
        CALLER.reset(token)
    assert (await ask(gateway, b""))[0] == first


async def test_request_without_digests_is_answered_with_all_runs() -> None:
    gateway = FakeGateway()
    await ask(gateway, digests(6))
    for offset, counts in ((0, [4, 2]), (5, [1]), (6, [])):
        runs, last = await ask(gateway, b"", replace(HEADER, offset=offset))
        assert [run.count for run in runs] == counts
        assert isinstance(last, End)
    assert len(gateway.leaves) == 6


async def test_request_of_nothing_in_an_empty_log_is_unsigned() -> None:
    assert await ask(FakeGateway(), b"") == ([], Unsigned())


async def test_request_with_another_digest_is_refused() -> None:
    gateway = FakeGateway()
    await ask(gateway, digests(10))
    changed = digests(10)[: 7 * 32] + bytes(32) + digests(10)[8 * 32 :]
    runs, last = await ask(gateway, changed + digests(3))
    assert isinstance(last, Failure)
    assert (last.code, last.retry_after) == ("compact-mismatch", None)
    assert len(runs) == 3
    assert len(gateway.leaves) == 10


async def test_request_in_which_less_is_repeated_than_was_recorded_records_nothing() -> None:
    gateway = FakeGateway()
    await ask(gateway, digests(10))
    runs, last = await ask(gateway, digests(5))
    assert runs[-1].first + runs[-1].count == 10
    assert isinstance(last, End)
    assert len(gateway.leaves) == 10


@pytest.mark.parametrize("repeated", [0, 1])
async def test_body_that_ends_inside_a_digest_keeps_the_whole_ones(repeated: int) -> None:
    gateway = FakeGateway()
    if repeated:
        await ask(gateway, digests(6))
    runs, last = await ask(gateway, digests(6) + bytes(31))
    assert isinstance(last, Failure)
    assert last.code == "malformed-compact"
    assert sum(run.count for run in runs) == 6
    assert held(gateway) == digests(6)


async def test_body_that_ends_inside_a_repeated_digest_is_told() -> None:
    gateway = FakeGateway()
    await ask(gateway, digests(6))
    _, last = await ask(gateway, digests(2) + bytes(31))
    assert isinstance(last, Failure)
    assert last.code == "malformed-compact"


@pytest.mark.parametrize("query", ["wait=0", ""])
async def test_request_that_is_not_signed_in_time_says_so(query: str) -> None:
    gateway = FakeGateway(signing=False)
    runs, last = await ask(gateway, digests(5), query=query)
    assert last == Unsigned()
    assert len(runs) == 2


async def problem(gateway: FakeGateway, body: bytes, query: str = "") -> dict[str, Any]:
    transport = httpx.ASGITransport(OneApi(gateway, LIMITS))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(f"/v1/attestations:compact?{query}", content=body)
    assert answer.headers["content-type"] == "application/problem+json"
    made: dict[str, Any] = answer.json()
    assert made["status"] == answer.status_code
    return made


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed-compact"),
        (HEADER.encode()[:-1], 400, "malformed-compact"),
        (b"\x00\x00\x02\x01", 400, "malformed-compact"),
        (b"\x00\x00\x00\x01\xff", 400, "malformed-cbor"),
        (replace(HEADER, offset=1).encode() + bytes(32), 422, "compact-gap"),
        (Header(bytes(16), "credit-report").encode() + bytes(32), 422, "kind-not-allowed"),
        (Header(bytes(16), "k", NOW).encode() + bytes(32), 422, "already-expired"),
        (Header(bytes(16), YEARLY).encode() + bytes(32), 422, "digest-missing"),
        (HEADER.encode() + bytes(31), 400, "malformed-compact"),
    ],
)
async def test_error_before_the_first_record_is_a_problem(
    body: bytes, status: int, code: str
) -> None:
    gateway = FakeGateway()
    made = await problem(gateway, body)
    assert (made["status"], made["code"]) == (status, code)
    assert gateway.leaves == []
    assert (await problem(gateway, HEADER.encode(), "wait=61"))["status"] == 400


def failing(error: ChopmarkError, after: int, times: int = 10**6) -> FakeGateway:
    """A gateway that fails to record after so many groups, so many times."""
    gateway = FakeGateway()
    left = times

    def fail(_: Sequence[Draft | Drafts]) -> None:
        nonlocal left
        if len(gateway.groups) >= after and left:
            left -= 1
            raise type(error)(
                error.code, error.message, hint=error.hint, retry_after=error.retry_after
            )

    gateway.fail_record = fail
    return gateway


async def test_hsm_that_is_away_is_a_problem_before_and_a_failure_after() -> None:
    away = TryAgainError("hsm-away", "away", retry_after=3)
    gateway = failing(away, 0)
    made = await problem(gateway, HEADER.encode() + digests(10))
    assert (made["status"], made["code"]) == (503, "hsm-away")
    runs, last = await ask(failing(away, 2), digests(100))
    assert last == Failure("hsm-away", "away", "", 3)
    assert [run.count for run in runs] == [4, 4]


async def test_full_queue_is_waited_for_and_nothing_overtakes() -> None:
    gateway = failing(TryAgainError("queue-full", "full", retry_after=1), 2, 1)
    runs, last = await ask(gateway, digests(50))
    assert isinstance(last, End)
    assert sum(run.count for run in runs) == 50
    assert held(gateway) == digests(50)


async def test_queue_that_stays_full_may_be_tried_again() -> None:
    gateway = failing(TryAgainError("queue-full", "full"), 1)
    _, last = await ask(
        gateway, digests(50), limits=replace(LIMITS, compact_record=0.1), query="wait=0"
    )
    assert isinstance(last, Failure)
    assert (last.code, last.retry_after) == ("queue-full", 1)
    assert held(gateway) == digests(4)


async def test_request_that_another_connection_goes_on_with_may_be_tried_again() -> None:
    gateway = failing(RefusedError("request-moved", "moved", hint="from there"), 3)
    runs, last = await ask(gateway, digests(50))
    assert last == Failure("request-moved", "moved", "from there", 1)
    assert sum(run.count for run in runs) == 12


async def test_two_connections_with_one_request_record_each_digest_once() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    calls = [Call(gateway), Call(gateway)]
    running = [asyncio.create_task(call.run()) for call in calls]
    for call in calls:
        call.feed(HEADER.encode() + digests(30), more=False)
    await until(lambda: gateway.recording == 2 * LIMITS.compact_in_flight)
    gateway.gate.set()
    await asyncio.wait_for(asyncio.gather(*running), PATIENCE)
    assert held(gateway) == digests(len(gateway.leaves))
    runs, last = await ask(gateway, digests(30))
    assert isinstance(last, End)
    assert held(gateway) == digests(30)
    assert runs[-1].first + runs[-1].count == 30


async def test_end_that_is_too_large_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.api.compact.MAX_RECORD", 10)
    _, last = await ask(FakeGateway(), digests(5))
    assert isinstance(last, Failure)
    assert last.code == "compact-scattered"


async def test_other_methods_are_refused() -> None:
    transport = httpx.ASGITransport(OneApi(FakeGateway(), LIMITS))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/attestations:compact")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


HASTY = ApiLimits(compact_group=4, idle=0.1)


@pytest.mark.parametrize("rest", [b"", digests(1)[:31]])
async def test_client_that_sends_nothing_more_hears_so(rest: bytes) -> None:
    gateway = FakeGateway()
    call = Call(gateway, limits=HASTY)
    call.feed(HEADER.encode() + digests(3) + rest)
    async with asyncio.timeout(PATIENCE):
        await call.run()
    last = call.answer.last
    assert isinstance(last, Failure)
    assert (last.code, last.retry_after, call.ended) == ("batch-idle", 1, True)
    assert held(gateway) == digests(3)


@pytest.mark.parametrize("begun", [b"", HEADER.encode()[:10]])
async def test_client_that_sends_no_header_is_refused(begun: bytes) -> None:
    call = Call(FakeGateway(), limits=HASTY)
    call.feed(begun)
    async with asyncio.timeout(PATIENCE):
        await call.run()
    assert call.status == 503
    assert b'"batch-idle"' in call.output


async def test_client_is_not_idle_while_its_digests_are_recorded() -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    call = Call(gateway, limits=replace(HASTY, idle=0.01))
    call.feed(HEADER.encode() + digests(4))
    running = asyncio.create_task(call.run())
    await until(lambda: gateway.recording == 1)
    await asyncio.sleep(0.05)  # some times as long as it may be idle
    assert not running.done()
    call.feed(b"", more=False)
    gateway.gate.set()
    async with asyncio.timeout(PATIENCE):
        await running
    assert isinstance(call.answer.finish(), End)

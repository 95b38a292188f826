"""Asking again: nothing is recorded twice, and both clients do it alike."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chopmark.client import bulk, plans
from chopmark.client.async_gateway import AsyncGatewayClient
from chopmark.client.bulk import attest_all
from chopmark.client.gateway import GatewayClient
from chopmark.client.messages import Job, Outcome
from chopmark.client.plans import Call, Patience, Pause, Plan, Ready, Wish, attest, attest_many
from chopmark.core.draft import Draft
from chopmark.core.errors import RefusedError, TryAgainError, UnreachableError
from socketgateway import SocketGateway
from softlog import digests_of

WISH = Wish(1, "signed")
ANSWER = {"origin": "o", "index": 0, "made_at": "then", "state": "signed"}
EXPORT = json.dumps({"origin": "o"}).encode()
LOST = UnreachableError("gateway-unreachable", "gone")
AWAY = TryAgainError("hsm-away", "away", retry_after=3)


def draft(number: int) -> Draft:
    return Draft(digests_of(b"%d" % number).sha256, "kyc")


def walk(plan: Plan[Any], perform: Callable[[Call], bytes]) -> tuple[list[Any], Any]:
    """Carry out a plan: its pauses and outcomes, and what it gives."""
    seen: list[Any] = []
    result: Any = None
    while True:
        try:
            step = plan.throw(result) if isinstance(result, Exception) else plan.send(result)
        except StopIteration as end:
            return seen, end.value
        result = None
        if isinstance(step, Pause):
            seen.append(step.seconds)
        elif isinstance(step, Ready):
            seen += step.outcomes
        else:
            try:
                result = perform(step)
            except Exception as error:  # noqa: BLE001 - the plan sees to it
                result = error


def patience(seconds: float = 100) -> Patience:
    return Patience(seconds, lambda: 0.0)


def test_attestation_is_asked_for_again_with_its_key() -> None:
    results: Iterator[Exception | bytes] = iter([LOST, AWAY, LOST, json.dumps(ANSWER).encode()])
    calls: list[Call] = []

    def perform(call: Call) -> bytes:
        calls.append(call)
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    pauses, attested = walk(attest(draft(1), WISH, "k", patience()), perform)
    assert pauses == [0.1, 3, 1.0]
    assert attested.index == 0
    assert {call.headers["Idempotency-Key"] for call in calls} == {'"k"'}


@pytest.mark.parametrize(
    ("error", "seconds"), [(AWAY, 2), (LOST, 0), (RefusedError("no", "no"), 100)]
)
def test_what_does_not_help_is_not_tried(error: Exception, seconds: float) -> None:
    def perform(_: Call) -> bytes:
        raise error

    with pytest.raises(type(error)):
        walk(attest(draft(1), WISH, "k", patience(seconds)), perform)


class Lines:
    """A gateway that takes lines: of each request so many, and then it fails."""

    def __init__(self, *limits: int | str) -> None:
        self.limits = list(limits)
        self.keys: dict[str, int] = {}
        self.sent: list[int] = []

    def __call__(self, call: Call) -> bytes:
        if call.path == "/v1/export":
            return EXPORT
        assert call.content is not None
        assert call.take is not None
        lines = [json.loads(line) for line in b"".join(call.content).splitlines()]
        self.sent.append(len(lines))
        limit = self.limits.pop(0) if self.limits else len(lines)
        for at, line in enumerate(lines):
            if at == limit:
                raise LOST
            if f"{at}" == limit:
                call.take(b'{"error":{"code":"hsm-away","message":"away"}}\n' * (len(lines) - at))
                break
            index = self.keys.setdefault(line["key"], len(self.keys))
            call.take(json.dumps(ANSWER | {"index": index}).encode() + b"\n")
        return b""


@pytest.mark.parametrize("limits", [(3,), ("3",), (0, 4, "0", "2")])
def test_lines_that_were_not_answered_are_sent_again(limits: tuple[int | str, ...]) -> None:
    gateway = Lines(*limits)
    seen, _ = walk(attest_many(map(draft, range(10)), WISH, 10, patience()), gateway)
    outcomes = [one for one in seen if isinstance(one, Outcome)]
    assert [one.attested and one.attested.index for one in outcomes] == [*range(10)]
    assert len(gateway.keys) == 10
    assert gateway.sent[0] == 10
    assert len(seen) - 10 == len(limits)  # pauses


def test_lines_that_fail_for_too_long_say_so() -> None:
    gateway = Lines("2")
    seen, _ = walk(attest_many(map(draft, range(4)), WISH, 10, patience(0)), gateway)
    assert [one.error and one.error.code for one in seen] == [None, None, "hsm-away", "hsm-away"]


class Full:
    """A gateway without room for more keys, which finds duplicates by the digest."""

    def __init__(self) -> None:
        self.entries: dict[str, int] = {}
        self.sent: list[int] = []
        self.lost = 0

    def __call__(self, call: Call) -> bytes:
        if call.path == "/v1/export":
            return EXPORT
        assert call.content is not None
        assert call.take is not None
        lines = [json.loads(line) for line in b"".join(call.content).splitlines()]
        self.sent.append(sum("key" in line for line in lines))
        for at, line in enumerate(lines):
            if "key" in line:
                call.take(b'{"error":{"code":"too-many-keys","message":"full"}}\n')
                continue
            index = self.entries.setdefault(line["sha256"], len(self.entries))
            if self.lost and at == 1:
                self.lost -= 1
                raise LOST
            call.take(json.dumps(ANSWER | {"index": index}).encode() + b"\n")
        return b""


def test_lines_go_without_keys_where_there_is_no_room_for_them() -> None:
    gateway = Full()
    gateway.lost = 1
    seen, _ = walk(attest_many(map(draft, range(6)), WISH, 3, patience()), gateway)
    outcomes = [one for one in seen if isinstance(one, Outcome)]
    assert [one.attested and one.attested.index for one in outcomes] == [*range(6)]
    assert gateway.sent == [3, 0, 0, 0]
    assert len(gateway.entries) == 6


def test_lines_that_only_a_key_makes_once_keep_it() -> None:
    lines = [draft(0), replace(draft(1), blinded=True), draft(2)]
    gateway = Full()
    seen, _ = walk(attest_many(lines, WISH, 3, patience()), gateway)
    assert [one.error and one.error.code for one in seen] == [None, "too-many-keys", None]
    assert gateway.sent == [3, 1]
    gateway = Full()
    seen, _ = walk(attest_many(lines, Wish(1, "signed", again=True), 3, patience()), gateway)
    assert len(gateway.entries) == 0
    assert [one.error and one.error.code for one in seen] == ["too-many-keys"] * 3


def test_job_with_a_name_makes_the_same_keys() -> None:
    sent: list[list[str]] = []
    for name in ("a", "a", "b"):
        gateway = Lines()
        documents = [digests_of(b"%d" % number) for number in range(5)]
        job = Job(name=name)
        walk(attest_all(documents, job, WISH, patience(), lambda _: None), gateway)
        sent.append([*gateway.keys])
    assert sent[0] == sent[1]
    assert not {*sent[0]} & {*sent[2]}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[SocketGateway]:
    made = SocketGateway(tmp_path)
    yield made
    made.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of twenty, in compact form from ten on."""
    monkeypatch.setattr(bulk, "JOB", 20)
    monkeypatch.setattr(bulk, "FEW", 10)
    monkeypatch.setattr(bulk, "_SHOWN", 7)
    monkeypatch.setattr(plans, "_PAUSES", (0.0,))


@pytest.mark.usefixtures("small")
def test_any_number_goes_in_jobs_and_takes_documents_as_outcomes_are_consumed(
    gateway: SocketGateway,
) -> None:
    told: list[int] = []
    taken = itertools.count()
    documents = (digests_of(b"%d" % next(taken)) for _ in range(45))
    gateway.faults = ["lose", "", "refuse"]
    gateway.retry_after = "0"
    with GatewayClient(gateway.address) as client:
        outcomes = client.attest_all(documents, progress=told.append)
        first = next(outcomes)
        assert next(taken) == 20
        rest = [*outcomes]
    assert first.attested
    assert len(rest) == 44
    assert all(one.attested and one.attested.proof for one in rest)
    assert told == sorted(told)
    assert told[-1] == 45
    assert gateway.batches == [5]


def test_progress_of_lines_is_told_after_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES", 2)
    told: list[int] = []
    documents = [digests_of(b"%d" % number) for number in range(5)]
    walk(attest_all(documents, Job(), WISH, patience(), told.append), Lines())
    assert told == [2, 4, 5]


@pytest.mark.usefixtures("small")
def test_progress_in_compact_form_is_told_after_each_step(
    gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "STEP", 4)
    told: list[int] = []
    documents = [digests_of(b"%d" % number) for number in range(18)]
    with GatewayClient(gateway.address) as client:
        assert all(one.attested for one in client.attest_all(documents, progress=told.append))
    assert told == [4, 8, 12, 16, 18]


@pytest.mark.usefixtures("small")
def test_what_ends_a_job_is_raised_and_is_no_outcome(gateway: SocketGateway) -> None:
    documents = [digests_of(b"%d" % number) for number in range(45)]
    with GatewayClient(gateway.address, patience=0) as client:
        outcomes = client.attest_all(documents, Job(name="month"))
        seen = [next(outcomes)]
        gateway.faults = ["lose"]
        with pytest.raises(UnreachableError):
            seen.extend(outcomes)
    assert len(seen) == 20, "those of the part that was done before"
    assert all(one.attested for one in seen)


@pytest.mark.usefixtures("small")
def test_both_clients_do_it_alike(gateway: SocketGateway) -> None:
    documents = [digests_of(b"%d" % number) for number in range(25)]

    async def attest_async() -> list[Outcome]:
        async with AsyncGatewayClient(gateway.address, patience=0) as client:
            assert (await client.attest(draft(1))).index == 0
            assert (await client.revoke(0, 1))["revokes"] == 0
            assert (await client.status())["origin"] == gateway.log.origin
            assert await client.policy() == gateway.log.policy()
            assert await client.proof("hk-1", 0) == gateway.log.proof(0)
            return [one async for one in client.attest_all(documents, Job("kyc"))]

    made = asyncio.run(attest_async())
    with GatewayClient(gateway.address, patience=0) as client:
        same = [*client.attest_all(documents, Job("kyc"))]
    assert [bool(one.attested and one.attested.proof) for one in made] == [True] * 25
    assert len(same) == 25


def test_async_client_raises_what_a_plan_raises(tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncGatewayClient(f"unix:{tmp_path}/none.sock", patience=0) as client:
            with pytest.raises(UnreachableError, match="No such file"):
                await client.attest(draft(1))
            with pytest.raises(UnreachableError):
                async for _ in client.attest_all([digests_of(b"1")]):
                    pass

    asyncio.run(ask())

"""Requests in compact form: all is recorded once, whatever breaks off on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chopmark.client.compact import CompactRequest
from chopmark.client.gateway import GatewayClient
from chopmark.core.compact import Header
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import (
    MalformedError,
    RefusedError,
    TryAgainError,
    UnreachableError,
    UsageError,
)
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_extra, verify_proof
from compactlog import REQUEST, digests
from socketgateway import Problem, SocketGateway

HEADER = Header(REQUEST, "bank-statement")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[SocketGateway]:
    made = SocketGateway(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(gateway: SocketGateway) -> Iterator[GatewayClient]:
    with GatewayClient(gateway.address, patience=0) as made:
        yield made


@dataclass
class Time:
    """A clock that goes on only while somebody waits."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def request(
    client: GatewayClient, count: int = 30, header: Header = HEADER, recorded: int = 0
) -> tuple[CompactRequest, Time]:
    time = Time()
    data = digests(count, header.width)
    made = CompactRequest(
        client, header, data, recorded=recorded, pause=time.pause, clock=time.clock
    )
    return made, time


def record_all(made: CompactRequest, part: int = 12) -> None:
    while made.record(part):
        pass


def check_proofs(made: CompactRequest, gateway: SocketGateway, width: int = 32) -> None:
    prover = made.prove(1)
    assert prover is not None
    proofs = list(prover.proofs())
    assert len(proofs) == made.total
    policy = parse_policy(gateway.log.policy())
    indexes = [verify_proof(proof, policy).index for proof in proofs]
    assert len(set(indexes)) == made.total
    expected = digests(made.total, width)
    for number, proof in enumerate(proofs):
        entry = parse_entry(parse_extra(proof.extra).entry)
        assert isinstance(entry, Attestation)
        both = entry.sha256 + (entry.sm3 or b"")
        assert both == expected[number * width : (number + 1) * width]
    attested = [one for one in map(parse_entry, gateway.log.entries) if type(one) is Attestation]
    assert len(attested) == made.total


def test_request_goes_in_parts_and_proves_all(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    made, time = request(client)
    record_all(made)
    assert gateway.bodies == [(0, 12), (12, 12), (24, 6)]
    check_proofs(made, gateway)
    assert gateway.bodies[3:] == [(0, 0)]
    assert time.pauses == []


def test_request_with_sm3_and_validity(client: GatewayClient, gateway: SocketGateway) -> None:
    header = Header(REQUEST, "bank-statement", 2**41, with_sm3=True)
    made, _ = request(client, 9, header)
    record_all(made)
    check_proofs(made, gateway, 64)


def test_request_tells_what_is_recorded(client: GatewayClient, gateway: SocketGateway) -> None:
    told: list[int] = []
    CompactRequest(client, HEADER, digests(10), tell=told.append).record()
    assert told == [4, 8, 10]
    assert gateway.bodies == [(0, 10)]


@pytest.mark.parametrize("fault", ["refuse", "cut", "lose", "fail"])
@pytest.mark.parametrize("times", [1, 2])
def test_request_goes_on_by_itself_after(
    client: GatewayClient, gateway: SocketGateway, fault: str, times: int
) -> None:
    gateway.faults = ["", *[fault] * times]
    gateway.retry_after = "3"
    made, time = request(client)
    record_all(made)
    check_proofs(made, gateway)
    assert len(time.pauses) == times
    assert all(pause == 3 for pause in time.pauses) is (fault == "refuse")
    if fault in ("cut", "fail"):
        assert gateway.bodies[2][0] == 20  # from the last run that was answered


@pytest.mark.parametrize("fault", ["refuse", "cut", "lose", "fail"])
def test_request_asks_again_for_the_end(
    client: GatewayClient, gateway: SocketGateway, fault: str
) -> None:
    made, time = request(client)
    record_all(made)
    gateway.faults = [fault]
    check_proofs(made, gateway)
    assert len(time.pauses) == 1


def test_request_gives_up_without_progress_and_says_where_to_go_on(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    gateway.faults = ["", *["refuse"] * 100]
    made, time = request(client)
    assert made.record(12)
    with pytest.raises(TryAgainError, match=f"request {REQUEST.hex()}: 12 of 30 are") as caught:
        made.record(12)
    assert caught.value.code == "hsm-away"
    assert 50 < time.now <= 60
    gateway.faults = []
    later, _ = request(client, recorded=made.recorded)
    record_all(later)
    check_proofs(later, gateway)


def test_request_with_progress_does_not_give_up(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    gateway.faults = ["fail"] * 12
    made, time = request(client, 100)
    record_all(made, 100)
    check_proofs(made, gateway)
    assert time.pauses == [0.1] * 12


def test_request_that_is_refused_is_not_sent_again(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    made, time = request(client, header=Header(REQUEST, "credit-report"))
    with pytest.raises(RefusedError, match="0 of 30") as caught:
        made.record()
    assert (caught.value.code, caught.value.hint) == ("kind-not-allowed", "ask")
    gateway.problem = Problem(400, "malformed-compact", "no")
    with pytest.raises(MalformedError):
        made.prove(1)
    assert time.pauses == []


def test_request_that_the_gateway_has_forgotten_is_an_error(client: GatewayClient) -> None:
    made, _ = request(client, recorded=12)
    with pytest.raises(RefusedError) as caught:
        record_all(made)
    assert caught.value.code == "compact-gap"


def test_request_not_signed_in_time_is_proven_later(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    gateway.signing = False
    made, _ = request(client)
    record_all(made)
    assert made.prove(1) is None
    gateway.signing = True
    check_proofs(made, gateway)


def test_request_takes_no_proofs_from_another_log(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    made, _ = request(client)
    record_all(made)
    gateway.log.entries[5] = gateway.log.entries[6]
    with pytest.raises(RefusedError) as caught:
        made.prove(1)
    assert caught.value.code == "bad-compact"


def test_request_takes_nothing_from_what_is_no_gateway(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    made, time = request(client)
    gateway.faults = ["odd"]
    with pytest.raises(UnreachableError) as caught:
        made.record()
    assert caught.value.code == "bad-answer"
    record_all(made)
    for body in (b"\xff" * 40, b"\x00\x00\x00\x04abcd", b"\x00\x00\x00\x03\xa1\x00\x03" * 2):
        gateway.answer = (200, "text/html", body)
        with pytest.raises(UnreachableError) as caught:
            made.prove(0)
        assert caught.value.code == "bad-answer"
    assert time.pauses == []


def test_request_whose_runs_are_too_few_or_too_many_is_an_error(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    whole, _ = request(client, 30)
    record_all(whole)
    short, _ = request(client, 20, recorded=20)
    with pytest.raises(UnreachableError):
        short.prove(1)
    more, _ = request(client, 40, recorded=30)
    with pytest.raises(UnreachableError):
        more.prove(1)
    gateway.answer = (200, "", b"\x00\x00\x00\x03\xa1\x00\x03")
    with pytest.raises(UnreachableError):
        more.record()


def test_request_without_a_gateway_gives_up_after_its_patience(tmp_path: Path) -> None:
    with GatewayClient(f"unix:{tmp_path}/none.sock", patience=0) as client:
        made, time = request(client)
        with pytest.raises(UnreachableError, match="0 of 30 are recorded"):
            made.record()
        assert len(time.pauses) > 5


@pytest.mark.parametrize(("data", "code"), [(b"", "no-digests"), (bytes(33), "cut-digests")])
def test_request_of_no_whole_digests_is_refused(
    client: GatewayClient, data: bytes, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        CompactRequest(client, HEADER, data)
    assert caught.value.code == code


def test_client_refuses_an_export_without_a_key(
    client: GatewayClient, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = gateway._export() | {"log_vkey": "x"}
    monkeypatch.setattr(gateway, "_export", lambda: export)
    with pytest.raises(UnreachableError):
        client.log_key()

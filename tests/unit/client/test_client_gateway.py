"""The SDK against a gateway's API on a real socket."""

import os
import socket
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from chopmark.client import transport
from chopmark.client.address import find_address, parse_address
from chopmark.client.gateway import GatewayClient
from chopmark.client.messages import Query
from chopmark.client.problem import error_from_line, error_from_problem
from chopmark.core import errors
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, TryAgainError, UnreachableError, UsageError
from socketgateway import Problem, SocketGateway
from softlog import NOW, digests_of


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[SocketGateway]:
    made = SocketGateway(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(gateway: SocketGateway) -> Iterator[GatewayClient]:
    with GatewayClient(gateway.address, patience=0) as made:
        yield made


def draft(number: int, kind: str = "document") -> Draft:
    digests = digests_of(b"%d" % number)
    return Draft(digests.sha256, kind, digests.sm3, valid_until=NOW)


def test_client_attests_and_verifies(client: GatewayClient, gateway: SocketGateway) -> None:
    attested = client.attest(draft(1), wait=1)
    assert (attested.origin, attested.index, attested.signed) == (gateway.log.origin, 0, True)
    assert attested.proof == gateway.log.proof(0)
    assert client.verify(Query(digests_of(b"1")))["verdict"] == "valid"
    assert client.revoke(0, 4)["revokes"] == 0
    assert client.verify(Query(digests_of(b"1")))["verdict"] == "revoked"


def test_client_looks_at_everything(client: GatewayClient, gateway: SocketGateway) -> None:
    client.attest(draft(1))
    assert client.proof("hk-1", 0) == gateway.log.proof(0)
    assert client.status()["size"] == 1
    assert client.peers()[0]["id"] == "sz-1"
    assert client.policy() == gateway.log.policy()
    assert client.export()["id"] == "hk-1"
    assert client.entries("hk-1", -1, 10)["size"] == 1


def test_client_attests_many_in_bounded_batches(
    client: GatewayClient, gateway: SocketGateway
) -> None:
    outcomes = list(client.attest_many(map(draft, range(25)), proofs=True, batch=10))
    assert gateway.batches == [10, 10, 5]
    attested = [outcome.attested for outcome in outcomes]
    assert [one.index for one in attested if one] == list(range(25))
    assert all(one and one.proof for one in attested)


@pytest.mark.usefixtures("gateway")
def test_client_takes_drafts_only_as_outcomes_are_read(client: GatewayClient) -> None:
    taken: list[int] = []

    def drafts() -> Iterator[Draft]:
        for number in range(100):
            taken.append(number)
            yield draft(number)

    stream = client.attest_many(drafts(), batch=10)
    assert len(list(islice(stream, 10))) == 10
    assert len(taken) == 10
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("gateway")
def test_client_refused_line_does_not_disturb_the_others(client: GatewayClient) -> None:
    drafts = [draft(0), draft(1, "credit-report"), draft(2)]
    first, second, third = client.attest_many(drafts)
    assert first.attested
    assert third.attested
    assert second.attested is None
    assert second.error
    assert (second.error.code, second.error.exit_code) == ("kind-not-allowed", 65)


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (400, errors.MalformedError, 65),
        (401, errors.ForbiddenError, 77),
        (403, errors.ForbiddenError, 77),
        (404, errors.MissingError, 66),
        (409, errors.ExistsError, 73),
        (418, errors.RefusedError, 65),
        (422, errors.RefusedError, 65),
        (429, errors.TryAgainError, 75),
        (500, errors.InternalError, 70),
        (502, errors.UnreachableError, 69),
        (503, errors.TryAgainError, 75),
        (507, errors.TryAgainError, 75),
        (504, errors.TryAgainError, 75),
        (599, errors.InternalError, 70),
    ],
)
def test_client_problem_comes_back_as_the_error_it_was(
    client: GatewayClient, gateway: SocketGateway, status: int, kind: type, exit_code: int
) -> None:
    gateway.problem = Problem(status, "some-code", "what is wrong", "what to do")
    with pytest.raises(ChopmarkError) as caught:
        client.status()
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.message, error.hint) == ("some-code", "what is wrong", "what to do")
    assert error.exit_code == exit_code


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("Fri, 1 Jan", None), ("٣", None), ("9" * 9, None)]
)
def test_client_reads_retry_after(
    client: GatewayClient, gateway: SocketGateway, header: str, seconds: int | None
) -> None:
    error = error_from_problem(503, {}, header)
    assert error.retry_after == seconds
    gateway.problem = Problem(503, "hsm-away", "away")
    with pytest.raises(TryAgainError) as caught:
        client.attest(draft(1))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("problem", [None, [], "x", {"code": 5, "detail": None}])
def test_client_problem_of_any_shape_is_an_error(problem: object) -> None:
    assert error_from_problem(503, problem, None).code == "http-503"
    assert error_from_line(problem).message
    for code in ("queue-full", "overloaded", "storage-full"):
        line = {"code": code, "message": "later", "hint": "what to do"}
        assert (error_from_line(line).exit_code, error_from_line(line).hint) == (75, "what to do")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"id": 1}', b"[" * 100_000, b"\xff", b"5"]
)
def test_client_takes_nothing_from_what_is_no_gateway(
    client: GatewayClient, gateway: SocketGateway, body: bytes
) -> None:
    gateway.answer = (200, "text/html", body)
    for call in (
        client.status,
        client.export,
        lambda: client.entries("hk-1", 0, 1),
        lambda: client.attest(draft(1)),
        lambda: client.verify(Query(digests_of(b"1"))),
        lambda: list(client.attest_many([draft(1)])),
        lambda: client.revoke(0, 0),
    ):
        with pytest.raises(UnreachableError):
            call()


def test_client_stream_that_ends_early_is_an_error(
    client: GatewayClient, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gateway._batch
    monkeypatch.setattr(gateway, "_batch", lambda *a, **k: list(whole(*a, **k))[:-1])
    outcomes = client.attest_many(map(draft, range(3)))
    assert [next(outcomes).attested is not None for _ in range(2)] == [True, True]
    with pytest.raises(UnreachableError):
        next(outcomes)


def test_client_answers_are_bounded(
    client: GatewayClient, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 1000)
    gateway.answer = (200, "text/plain", b"x" * 2000)
    with pytest.raises(UnreachableError):
        client.policy()


def test_client_unreachable_says_where_and_what_to_do(tmp_path: Path) -> None:
    none = GatewayClient(f"unix:{tmp_path}/none.sock", patience=0)
    with none as client, pytest.raises(UnreachableError) as caught:
        client.status()
    assert "none.sock: No such file or directory" in caught.value.message
    assert caught.value.exit_code == 69
    assert caught.value.hint
    none = GatewayClient("http://127.0.0.1:9", patience=0)
    with none as client, pytest.raises(UnreachableError, match="refused"):
        client.status()


def test_client_connection_that_breaks_off_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with GatewayClient(f"unix:{path}", patience=0) as client, pytest.raises(UnreachableError):
            client.status()
        thread.join()


def test_client_leaves_no_socket_open_when_a_gateway_that_was_there_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer_once() -> None:
            with server, server.accept()[0] as connection:
                connection.recv(65_536)
                head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
                connection.sendall(head)

        thread = threading.Thread(target=answer_once)
        thread.start()
        with GatewayClient(f"unix:{path}", patience=0) as client:
            client.policy()
            thread.join()
            before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names alone
            with pytest.raises(UnreachableError, match="refused") as caught:
                client.policy()
            assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - names alone
            assert caught.value.code == "gateway-unreachable"


def test_client_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.05)
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        silent = GatewayClient(f"unix:{path}", patience=0)
        with silent as client, pytest.raises(UnreachableError) as caught:
            client.status()
    assert caught.value.code == "gateway-timeout"


def test_client_asks_no_proxy(monkeypatch: pytest.MonkeyPatch, gateway: SocketGateway) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with GatewayClient(gateway.address, patience=0) as other:
        assert other.status()["id"] == "hk-1"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080",
        "http://[::1]:8080/",
        "http://localhost:1",
        "unix:/run/x.sock",
        "https://gateway.bank.example:8443",
        "https://10.0.0.1",
    ],
)
def test_address_is_local_or_secure(text: str) -> None:
    assert parse_address(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unix:a\nb",
        "/run/x.sock",
        "http://bank.example",
        "http://10.0.0.1:80",
        "https://",
        "https://bank.example/v1",
        "ftp://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:80/v1",
        "http://user@127.0.0.1",
        "http://[::1",
        "http://127.0.0.1.example",
    ],
)
def test_address_refuses_what_is_neither_local_nor_secure(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_address_order() -> None:
    assert find_address("unix:a", {"CHOPMARK_GATEWAY": "unix:b"}) == "unix:a"
    assert find_address(None, {"CHOPMARK_GATEWAY": "unix:b"}) == "unix:b"
    assert find_address(None, {}) == "unix:/run/chopmark/api.sock"
    assert find_address(None, dict(os.environ)).startswith(("unix:", "http:"))

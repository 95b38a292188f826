"""Plain requests take the short way, all others the long one, and both are answered alike."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from apiserver import SHA, over_unix, running, until
from chopmark.api import protocol
from chopmark.api.posts import Handler
from chopmark.api.short import Reply, ShortRoutes
from fakegateway import FakeGateway

ATTEST = json.dumps({"digests": {"sha256": SHA}}).encode()
LONG = {"connection": "keep-alive, x"}
"""A header that is not plain, and says nothing that uvicorn would do otherwise."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the handlers of requests that took the short way."""
    names: list[str] = []
    answer = ShortRoutes.answer

    async def count(self: ShortRoutes, handle: Handler, body: bytes) -> Reply:
        names.append(handle.__name__)
        return await answer(self, handle, body)

    monkeypatch.setattr(ShortRoutes, "answer", count)
    return names


async def test_key_of_a_request_goes_with_it_on_both_ways(taken: list[str], tmp_path: Path) -> None:
    gateway = FakeGateway()
    path = tmp_path / "api.sock"
    async with running(gateway, path, None), over_unix(path) as client:
        for headers in ({"idempotency-key": "one"}, {}, {"idempotency-key": "one"} | LONG):
            answer = await client.post("/v1/attestations", content=ATTEST, headers=headers)
            assert answer.status_code == 201
    assert [len(asking.keys) for asking in gateway.askings] == [1, 0, 1]
    assert gateway.askings[0] == gateway.askings[2]
    assert gateway.askings[0].client.startswith("uid ")
    assert taken == ["attest", "attest"]


async def test_key_of_a_request_is_not_the_next_ones(taken: list[str], tmp_path: Path) -> None:
    """A body that is large is read on from the task of its request, and so is what follows."""
    gateway = FakeGateway()
    path = tmp_path / "api.sock"
    large = ATTEST + b" " * 300_000
    async with running(gateway, path, None), connected(path) as (reader, writer):
        writer.write(head("POST", "/v1/attestations", len(large), "idempotency-key: one") + large)
        assert (await read_answer(reader))[0] == 201
        writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST)
        assert (await read_answer(reader))[0] == 201
    assert taken == ["attest"]
    assert [len(asking.keys) for asking in gateway.askings] == [1, 0]


def broken(_: object) -> None:
    raise ZeroDivisionError


@dataclass(frozen=True)
class Case:
    """A request, and how its gateway is."""

    method: str
    path: str
    status: int
    body: bytes = b""
    prepare: Callable[[FakeGateway], None] = field(default=lambda _: None)


def not_ready(gateway: FakeGateway) -> None:
    gateway.reasons = ["the HSM is away"]


def break_record(gateway: FakeGateway) -> None:
    gateway.fail_record = broken


def never_sign(gateway: FakeGateway) -> None:
    gateway.signing = False


async def test_what_is_passed_over_on_neither_way(tmp_path: Path, taken: list[str]) -> None:
    gateway, path = FakeGateway(), tmp_path / "api.sock"
    packed = {"content-encoding": "gzip"}
    async with running(gateway, path, None), over_unix(path) as client:
        for url, headers, status in (("?blinded=true", {}, 400), ("", packed, 415)):
            answer = await client.post(f"/v1/attestations{url}", content=ATTEST, headers=headers)
            assert answer.status_code == status
    assert not taken
    assert not gateway.leaves


CASES = {
    "attested": Case("POST", "/v1/attestations", 201, ATTEST),
    "recorded": Case("POST", "/v1/attestations", 202, ATTEST, never_sign),
    "not JSON": Case("POST", "/v1/attestations", 400, b"{"),
    "no body": Case("POST", "/v1/attestations", 400),
    "unknown field": Case("POST", "/v1/attestations", 400, b'{"digest":{}}'),
    "refused": Case("POST", "/v1/attestations", 422, ATTEST[:-1] + b',"kind":"credit-report"}'),
    "our fault": Case("POST", "/v1/attestations", 500, ATTEST, break_record),
    "nothing to revoke": Case("POST", "/v1/revocations", 422, b'{"index":7,"reason":1}'),
    "unknown": Case("POST", "/v1/verifications", 200, ATTEST),
    "alive": Case("GET", "/healthz", 200),
    "ready": Case("GET", "/readyz", 200),
    "not ready": Case("GET", "/readyz", 503, prepare=not_ready),
}


@pytest.mark.parametrize("name", CASES)
async def test_both_ways_answer_alike(tmp_path: Path, taken: list[str], name: str) -> None:
    case, answers = CASES[name], []
    for headers in ({}, LONG):
        gateway, path = FakeGateway(), tmp_path / "api.sock"
        case.prepare(gateway)
        async with running(gateway, path, None), over_unix(path) as client:
            answers.append(
                await client.request(case.method, case.path, content=case.body, headers=headers)
            )
    short, long = answers
    assert len(taken) == 1
    assert short.status_code == long.status_code == case.status
    assert short.content == long.content
    for answer in answers:
        del answer.headers["date"]
    assert dict(short.headers) == dict(long.headers)


@pytest.mark.parametrize("url", ["/v1/attestations/", "/v1/attestations?"])
async def test_other_spellings_go_the_long_way(tmp_path: Path, taken: list[str], url: str) -> None:
    socket = tmp_path / "api.sock"
    async with running(FakeGateway(), socket, None), over_unix(socket) as client:
        assert (await client.post(url, content=ATTEST)).status_code == 201
    assert not taken


async def test_other_methods_are_refused(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), over_unix(path) as client:
        assert (await client.get("/v1/verifications")).status_code == 405
        assert (await client.post("/healthz")).status_code == 405
    assert not taken


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


def head(method: str, path: str, length: int, *more: str) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "host: x", f"content-length: {length}", *more)
    return "\r\n".join([*lines, "", ""]).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(answer[9:12]), await reader.readexactly(length)


async def test_body_that_comes_in_pieces_is_waited_for(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        for split in (0, 1, len(ATTEST) - 1, len(ATTEST)):
            writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST[:split])
            await asyncio.sleep(0)
            writer.write(ATTEST[split:])
            assert (await read_answer(reader))[0] == 201
    assert set(taken) == {"attest"}


async def test_body_that_is_late_goes_the_long_way(
    tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    went = asyncio.Event()
    go_long = protocol._BoundedProtocol._go_long

    def tell(self: protocol._BoundedProtocol) -> None:
        go_long(self)
        went.set()

    monkeypatch.setattr(protocol._BoundedProtocol, "_go_long", tell)
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        for split in (0, 1, len(ATTEST) - 1):
            writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST[:split])
            await went.wait()
            went.clear()
            writer.write(ATTEST[split:])
            assert (await read_answer(reader))[0] == 201
        assert not taken
        writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST)
        assert (await read_answer(reader))[0] == 201
    assert taken == ["attest"]


async def test_client_that_hangs_up_within_its_body_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    async with running(gateway, path, None), over_unix(path) as client:
        async with connected(path) as (_, writer):
            writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST[:9])
            await writer.drain()
        assert (await client.get("/healthz")).text == "ok"
    assert not gateway.leaves


@pytest.mark.parametrize("size", [65_537, 1_048_577])
async def test_large_body_goes_the_long_way(tmp_path: Path, taken: list[str], size: int) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), over_unix(path) as client:
        answer = await client.post("/v1/verifications", content=ATTEST.ljust(size))
    assert answer.status_code == (413 if size > 1_048_576 else 200)
    assert not taken


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    gateway.gate.clear()
    async with running(gateway, path, None), connected(path) as (reader, writer):
        attest = head("POST", "/v1/attestations", len(ATTEST)) + ATTEST
        writer.write(attest + head("GET", "/healthz", 0) + attest + head("GET", "/readyz", 0))
        await until(lambda: gateway.recording == 1)
        gateway.gate.set()
        answers = [await read_answer(reader) for _ in range(4)]
        assert [status for status, _ in answers] == [201, 200, 201, 200]
        assert [b'"index":0' in answers[0][1], b'"index":1' in answers[2][1]] == [True, True]
        writer.write(head("GET", "/healthz", 0))
        assert await read_answer(reader) == (200, b"ok")
    assert taken == ["attest", "tell_health"]  # what came second waited on the long way


async def test_expectation_is_met(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        writer.write(head("POST", "/v1/attestations", len(ATTEST), "expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(ATTEST)
        assert (await read_answer(reader))[0] == 201
    assert not taken


async def test_chunked_body_goes_the_long_way(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        writer.write(
            b"POST /v1/attestations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(ATTEST), ATTEST)
        )
        assert (await read_answer(reader))[0] == 201
    assert not taken


@pytest.mark.parametrize("version", [b"1.0", b"1.1\r\nconnection: close"])
async def test_connection_that_is_to_close_closes(
    tmp_path: Path, taken: list[str], version: bytes
) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        writer.write(b"GET /healthz HTTP/" + version + b"\r\nhost: x\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nok")
    assert not taken


async def test_junk_after_a_plain_request_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), connected(path) as (reader, writer):
        writer.write(head("GET", "/healthz", 0) + b"\x00\x01 junk\r\n\r\n")
        assert b"HTTP/1.1 400 Bad Request\r\n" in await reader.read()


async def test_foreign_pages_are_refused_on_the_port(taken: list[str]) -> None:
    async with running(FakeGateway(), None, ("127.0.0.1", 0)) as (address,):
        host, _, port = address.removeprefix("http://").partition(":")
        for line in ("host: evil.example", f"host: {host}:{port}\r\norigin: http://evil.example"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /healthz HTTP/1.1\r\n{line}\r\n\r\n".encode())
            assert (await read_answer(reader))[0] == 403
            writer.write(f"GET /healthz HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
            assert (await read_answer(reader))[0] == 200
            writer.close()
            await writer.wait_closed()
    assert taken == ["tell_health"] * 2


async def test_client_that_hangs_up_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    gateway.gate.clear()
    async with running(gateway, path, None), over_unix(path) as client:
        async with connected(path) as (_, writer):
            writer.write(head("POST", "/v1/attestations", len(ATTEST)) + ATTEST)
            await until(lambda: gateway.recording == 1)
        gateway.gate.set()
        await until(lambda: len(gateway.leaves) == 1)  # recorded, though nobody hears of it
        assert (await client.get("/healthz")).text == "ok"


def test_both_ways_work_on_uvloop(tmp_path: Path, taken: list[str]) -> None:
    path = tmp_path / "api.sock"

    async def main() -> list[int]:
        async with running(FakeGateway(), path, ("127.0.0.1", 0)), over_unix(path) as client:
            return [
                (await client.post("/v1/attestations", content=ATTEST, headers=headers)).status_code
                for headers in ({}, LONG)
            ]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == [201, 201]
    assert taken == ["attest"]
    assert not path.exists()

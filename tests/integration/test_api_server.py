import asyncio
import json
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from apiserver import HASTY, LINE, SHA, over_unix, running, until
from chopmark.api.app import create_app
from chopmark.api.limits import ApiLimits
from chopmark.api.refusals import Refusals
from chopmark.api.server import serve
from chopmark.core.draft import PLAINLY, Asking, Draft, Drafts, Recorded
from chopmark.core.errors import ChopmarkError, ConfigurationError, ExistsError
from fakegateway import FakeGateway
from rig.patience import PATIENCE


async def test_both_listeners_serve_at_once(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, ("127.0.0.1", 0)) as addresses:
        assert addresses[1] == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with over_unix(path) as unix, httpx.AsyncClient(base_url=addresses[0]) as tcp:
            first, second = await asyncio.gather(unix.get("/healthz"), tcp.get("/healthz"))
        assert (first.text, second.text) == ("ok", "ok")
        assert "server" not in first.headers
    assert not path.exists()


async def test_host_is_checked_on_tcp_only(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, ("127.0.0.1", 0)) as addresses:
        foreign = {"host": "evil.example"}
        async with over_unix(path) as unix, httpx.AsyncClient(base_url=addresses[0]) as tcp:
            assert (await unix.get("/healthz", headers=foreign)).status_code == 200
            refused = await tcp.get("/healthz", headers=foreign)
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign-host")


async def test_ipv6_loopback_is_served() -> None:
    async with running(FakeGateway(), None, ("::1", 0)) as addresses:
        assert addresses[0].startswith("http://[::1]:")
        async with httpx.AsyncClient(base_url=addresses[0]) as client:
            assert (await client.get("/healthz")).status_code == 200


def leave_dead_socket(path: Path) -> None:
    code = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);s.listen()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.is_socket()


async def test_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    leave_dead_socket(path)
    async with running(FakeGateway(), path, None), over_unix(path) as client:
        assert (await client.get("/healthz")).text == "ok"


async def test_socket_in_use_is_an_error_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None), over_unix(path) as client:
        with pytest.raises(ExistsError) as caught:
            await serve(create_app(FakeGateway()), path, None)
        assert caught.value.code == "socket-in-use"
        assert (await client.get("/healthz")).text == "ok"


async def test_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(ExistsError) as caught:
        await serve(create_app(FakeGateway()), path, None)
    assert caught.value.code == "not-a-socket"
    assert path.read_text() == "precious"


async def test_socket_that_another_process_put_there_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            inode = path.stat().st_ino
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    ("path", "listen", "code"),
    [
        (None, None, "no-listener"),
        (None, ("0.0.0.0", 0), "not-loopback"),  # noqa: S104 -- that it is refused
        (None, ("192.0.2.1", 80), "not-loopback"),
        (None, ("localhost", 80), "not-loopback"),
        ("missing/api.sock", None, "cannot-listen"),
        ("x" * 120, None, "cannot-listen"),
    ],
)
async def test_listener_that_cannot_be(
    tmp_path: Path, path: str | None, listen: tuple[str, int] | None, code: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await serve(create_app(FakeGateway()), tmp_path / path if path else None, listen)
    assert caught.value.code == code


async def test_port_in_use_is_an_error_and_leaves_no_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(ChopmarkError) as caught:
            await serve(create_app(FakeGateway()), tmp_path / "api.sock", other.getsockname()[:2])
        assert caught.value.code == "cannot-listen"
        assert "another program listens there" in caught.value.hint
    assert not (tmp_path / "api.sock").exists()


async def test_stop_lets_a_running_request_finish(tmp_path: Path) -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    path = tmp_path / "api.sock"
    async with over_unix(path) as client:
        async with running(gateway, path, None, ApiLimits(grace=60)):
            body = {"digests": {"sha256": SHA}}
            request = asyncio.create_task(client.post("/v1/attestations", json=body))
            await until(lambda: gateway.recording == 1)
            asyncio.get_running_loop().call_later(0.2, gateway.gate.set)
        assert (await request).status_code == 201


async def test_stop_listens_to_who_has_connected_before_it(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None, ApiLimits(grace=60)):
        reader, writer = await asyncio.open_unix_connection(path)
        async with over_unix(path) as client:  # once that is answered, both were accepted
            assert (await client.get("/healthz")).status_code == 200
        request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        asyncio.get_running_loop().call_later(0.2, writer.write, request)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer
    writer.close()


async def test_stop_is_bounded_when_a_request_hangs(tmp_path: Path) -> None:
    gateway = FakeGateway()
    gateway.gate.clear()
    path = tmp_path / "api.sock"
    async with over_unix(path) as client:
        async with running(gateway, path, None):
            body = {"digests": {"sha256": SHA}}
            request = asyncio.create_task(client.post("/v1/attestations", json=body))
            await until(lambda: gateway.recording == 1)
        answer = await request
    assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
    assert gateway.cancelled == 1
    assert not gateway.leaves


async def test_stop_waits_for_what_cancelled_requests_have_to_say(tmp_path: Path) -> None:
    class Winding(FakeGateway):
        async def record(
            self, drafts: Sequence[Draft | Drafts], seconds: float, asking: Asking = PLAINLY
        ) -> Recorded:
            try:
                return await super().record(drafts, seconds, asking)
            finally:
                for _ in range(20):  # as tasks and shields do on their way out
                    await asyncio.sleep(0)

    gateway = Winding()
    gateway.gate.clear()
    path = tmp_path / "api.sock"
    async with over_unix(path) as client:
        async with running(gateway, path, None):
            body = {"digests": {"sha256": SHA}}
            request = asyncio.create_task(client.post("/v1/attestations", json=body))
            await until(lambda: gateway.recording == 1)
        answer = await request
    assert (answer.status_code, answer.json()["code"]) == (503, "stopping")


async def test_stop_tells_what_is_recorded_and_not_signed_yet(tmp_path: Path) -> None:
    gateway = FakeGateway()
    gateway.signer.clear()
    path = tmp_path / "api.sock"
    async with over_unix(path) as client:
        async with running(gateway, path, None):
            body = {"digests": {"sha256": SHA}}
            request = asyncio.create_task(client.post("/v1/attestations", json=body))
            await until(lambda: len(gateway.leaves) == 1)
        answer = await request
    assert (answer.status_code, answer.json()["state"]) == (202, "recorded")


async def test_stop_breaks_off_a_batch_that_hangs(tmp_path: Path) -> None:
    gateway = FakeGateway()
    path = tmp_path / "api.sock"
    async with running(gateway, path, None):
        reader, writer = await asyncio.open_unix_connection(str(path))
        head = "POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked"
        writer.write(head.encode() + b"\r\n\r\n%x\r\n%s\r\n" % (len(LINE), LINE))
        await reader.readuntil(b'"signed"}\n')
    assert await reader.read() == b"\r\n"
    writer.close()
    await writer.wait_closed()


async def test_signals_stay_with_the_daemon(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with running(FakeGateway(), tmp_path / "api.sock", None):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_batch_streams_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    async with running(gateway, path, None):
        reader, writer = await asyncio.open_unix_connection(str(path))
        head = (
            b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        writer.write(head + b"%x\r\n%s\r\n" % (len(LINE), LINE))
        answer = await reader.readuntil(b'"signed"}\n')
        assert b"200 OK" in answer
        assert b'{"index":0,' in answer
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LINE), LINE))
        assert b'{"index":1,' in await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_batch_of_a_client_that_sends_all_before_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    async with running(gateway, path, None), over_unix(path) as client:
        answer = await client.post(
            "/v1/attestations:batch", content=LINE * 100_000, timeout=PATIENCE
        )
    lines = answer.text.splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(100_000))


async def test_batch_asks_for_the_body_before_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None):
        reader, writer = await asyncio.open_unix_connection(str(path))
        head = "POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        writer.write(f"{head}content-length: {len(LINE)}\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(LINE)
        assert b"200 OK" in await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_batch_ends_when_its_client_hangs_up(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    gateway.gate.clear()
    async with running(gateway, path, None):
        _, writer = await asyncio.open_unix_connection(str(path))
        head = f"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ncontent-length: {len(LINE)}"
        writer.write(head.encode() + b"\r\n\r\n" + LINE)
        await until(lambda: gateway.recording == 1)
        writer.close()
        await until(lambda: gateway.cancelled == 1)
        await writer.wait_closed()
    assert not gateway.leaves


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"a: %s\r\n" % (b"x" * 1000) * 40 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"x" * 400_000,
        b"GET /" + b"x" * 400_000,
    ],
)
async def test_head_that_is_too_large_is_refused(tmp_path: Path, sent: bytes) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(sent)
        assert (await reader.readline()) == b"HTTP/1.1 400 Bad Request\r\n"
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_client_that_reads_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    gateway = FakeGateway()
    async with running(gateway, path, None, ApiLimits(grace=1, idle=2)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.settimeout(PATIENCE)
            client.sendall(b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\n")
            client.sendall(b"content-length: %d\r\n\r\n" % (20_000 * len(LINE)))
            await asyncio.to_thread(client.sendall, LINE * 19_999)
            await until(lambda: len(gateway.leaves) == 19_999)
            hung_up = select.poll()
            hung_up.register(client, 0)  # POLLHUP comes unasked, and nothing is read
            assert await asyncio.to_thread(hung_up.poll, PATIENCE * 1000)


BUSY = b"POST /v1/attestations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
"""A request that the fake gateway holds while its gate is closed."""


def busy() -> bytes:
    body = json.dumps({"digests": {"sha256": SHA}}).encode()
    return BUSY % (len(body), body)


async def test_requests_beyond_all_bounds_are_told_so(tmp_path: Path) -> None:
    path, refusals, gateway = tmp_path / "api.sock", Refusals(), FakeGateway()
    gateway.gate.clear()
    async with running(gateway, path, None, ApiLimits(grace=1, connections=2), refusals):
        kept = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        for _, writer in kept:
            writer.write(busy())
        await until(lambda: gateway.recording == 2)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await reader.read()  # to its end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert b'"code":"overloaded"' in answer
        assert refusals.counts["overloaded"] == 1
        for _, other in (*kept, (reader, writer)):
            other.close()
        async with over_unix(path) as client:
            assert (await client.get("/healthz")).text == "ok"
        gateway.gate.set()


async def test_connections_beyond_those_are_closed_at_once(tmp_path: Path) -> None:
    path, refusals, gateway = tmp_path / "api.sock", Refusals(), FakeGateway()
    gateway.gate.clear()
    limits = ApiLimits(grace=1, connections=1, refused=0)
    async with running(gateway, path, None, limits, refusals):
        _, first = await asyncio.open_unix_connection(str(path))
        first.write(busy())
        await until(lambda: gateway.recording == 1)
        reader, second = await asyncio.open_unix_connection(str(path))
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert refusals.counts["too-many-connections"] == 1
        first.close()
        second.close()
        gateway.gate.set()


async def test_idle_connections_give_way_to_others(tmp_path: Path) -> None:
    path, refusals = tmp_path / "api.sock", Refusals()
    async with running(FakeGateway(), path, None, ApiLimits(grace=1, connections=2), refusals):
        idle = [await asyncio.open_unix_connection(str(path)) for _ in range(5)]
        async with over_unix(path) as client:
            for _ in range(3):
                assert (await client.get("/healthz")).status_code == 200
        assert refusals.counts["gave-way"] == 4
        assert refusals.counts["overloaded"] == 0
        for _, writer in idle:
            writer.close()


async def test_client_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    path, refusals, gateway = tmp_path / "api.sock", Refusals(), FakeGateway()
    gateway.gate.clear()
    limits = ApiLimits(grace=1, per_client=1)
    async with running(gateway, path, None, limits, refusals):
        _, first = await asyncio.open_unix_connection(str(path))
        first.write(busy())
        await until(lambda: gateway.recording == 1)
        async with over_unix(path) as client:
            refused = await client.get("/healthz")
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-connections")
        assert refused.headers["retry-after"] == "1"
        gateway.gate.set()
        first.close()


@pytest.mark.parametrize("head", [b"", b"\r\n", b"GET /healthz HTTP/1.1\r\nhost: local"])
async def test_connection_without_a_whole_head_is_closed(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "api.sock"
    limits = ApiLimits(grace=1, head_seconds=1)
    async with running(FakeGateway(), path, None, limits):
        silent = [await asyncio.open_unix_connection(str(path)) for _ in range(8)]
        for _, writer in silent:
            writer.write(head)
        async with asyncio.timeout(PATIENCE):
            assert {await reader.read() for reader, _ in silent} == {b""}
        for _, writer in silent:
            writer.close()
        async with over_unix(path) as client:  # there is room again
            assert (await client.get("/healthz")).text == "ok"


async def test_next_head_on_a_connection_has_its_time_too(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None, HASTY):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200" in await reader.readline()
        await reader.readuntil(b"ok")
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()


async def test_body_that_does_not_come_is_408(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with running(FakeGateway(), path, None, HASTY):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"POST /v1/verifications HTTP/1.1\r\nhost: localhost\r\n")
        writer.write(b"content-length: 100\r\n\r\n{")
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body-too-slow" in answer
        writer.close()

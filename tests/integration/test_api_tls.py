"""The door for TLS: who comes in, and what those hear who do not."""

import asyncio
import logging
import re
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvloop
from cryptography import x509

from apiserver import LIMITS, LINE, SHA, running, until
from chopmark.api import protocol
from chopmark.api.certificates import TlsFiles
from chopmark.api.crowd import Crowd
from chopmark.api.identity import Callers, Grant, Grants
from chopmark.api.limits import ApiLimits
from chopmark.api.refusals import NAMES, SERVER_LOG, Refusals, quieten
from chopmark.api.trust import Trust
from chopmark.client.credentials import Credentials, make_context
from chopmark.client.gateway import GatewayClient
from chopmark.client.messages import Query
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, ForbiddenError, TryAgainError
from fakegateway import FakeGateway
from rig.authority import Authority, Pair
from rig.patience import PATIENCE

DIGEST = bytes.fromhex(SHA)
EVERYTHING = Grant(frozenset({"issuer", "verifier", "auditor", "operator"}))
GRANTS = {
    "bank": ("core-banking", EVERYTHING),
    "issuer": ("issuing", Grant(frozenset({"issuer"}), frozenset({"bank-statement"}))),
    "verifier": ("branch", Grant(frozenset({"verifier"}))),
    "slow": ("slow", Grant(frozenset({"issuer", "verifier"}), rate=2)),
    "late": ("late", EVERYTHING),
}


@dataclass
class Scene:
    """A server with its files, and its CA."""

    folder: Path
    authority: Authority
    files: TlsFiles
    trust: Trust
    gateway: FakeGateway = field(default_factory=FakeGateway)
    refusals: Refusals = field(default_factory=Refusals)
    port: int = 0

    @asynccontextmanager
    async def serving(self, limits: ApiLimits = LIMITS) -> AsyncIterator[None]:
        callers = Callers(Grants(clients=GRANTS))
        where = ("127.0.0.1", 0)
        server = running(
            *(self.gateway, None, where, limits, self.refusals), callers=callers, trust=self.trust
        )
        with quieten(self.refusals):
            async with server as (address,):
                self.port = int(address.rpartition(":")[2])
                yield

    def issue(self, name: str, life: timedelta = timedelta(days=1), file: str = "") -> Pair:
        return self.authority.issue(name, life, file or name)

    def sdk(self, pair: Pair | None) -> GatewayClient:
        shown = (pair.certificate, pair.key) if pair else (None, None)
        address = f"https://localhost:{self.port}"
        return GatewayClient(address, Credentials(self.authority.path, *shown))

    def context(self, pair: Pair | None) -> ssl.SSLContext:
        shown = (pair.certificate, pair.key) if pair else (None, None)
        return make_context(Credentials(self.authority.path, *shown))

    def http(self, pair: Pair | None) -> httpx.AsyncClient:
        base = f"https://localhost:{self.port}"
        return httpx.AsyncClient(
            verify=self.context(pair), base_url=base, trust_env=False, timeout=PATIENCE
        )

    async def connect(self, pair: Pair) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.context(pair))

    async def asked(self, pair: Pair | None) -> ChopmarkError:
        """What the SDK says to one who is refused."""

        def ask() -> None:
            with self.sdk(pair) as client:
                client.status()

        with pytest.raises(ChopmarkError) as caught:
            await asyncio.to_thread(ask)
        return caught.value


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    authority = Authority(tmp_path)
    server = authority.issue("gateway", timedelta(days=90))
    files = TlsFiles(server.certificate, server.key, authority.path, authority.revoke())
    return Scene(tmp_path, authority, files, Trust(files))


async def test_client_with_a_certificate_attests_and_verifies(scene: Scene) -> None:
    async with scene.serving():
        pair = scene.issue("bank")

        def work() -> tuple[str, str]:
            with scene.sdk(pair) as client:
                made = client.attest(Draft(DIGEST, "document"))
                return made.state, client.verify(Query(Digests(DIGEST)))["verdict"]

        assert await asyncio.to_thread(work) == ("signed", "valid")


async def test_only_tls_13_is_spoken(scene: Scene) -> None:
    async with scene.serving():
        old = ssl.create_default_context(cafile=scene.authority.path)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await asyncio.open_connection("localhost", scene.port, ssl=old)
        await until(lambda: scene.refusals.counts["no-handshake"] == 1)


async def test_expired_wrong_ca_and_revoked_certificates_hear_why(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    expired = scene.issue("bank", timedelta(days=-1), "expired")
    stranger = Authority(scene.folder, "other CA").issue("bank", file="stranger")
    revoked = scene.issue("bank", file="revoked")
    scene.authority.revoke([revoked])
    await scene.trust.look()
    cases = [
        (expired, "certificate-expired", "your certificate has expired", "certificate has expired"),
        (stranger, "certificate-unknown-ca", "is not of a CA that the gateway", "unable to get"),
        (revoked, "certificate-revoked", "has been revoked", "certificate revoked"),
    ]
    caplog.set_level(logging.WARNING, SERVER_LOG)
    NAMES.take()
    async with scene.serving():
        for pair, code, words, logged in cases:
            error = await scene.asked(pair)
            assert (error.code, type(error)) == (code, ForbiddenError)
            await until(lambda: f"serial {pair.x509.serial_number:x} at" in caplog.text)  # noqa: B023
            assert words in error.message
            assert error.hint
            assert f"CN=bank, serial {pair.x509.serial_number:x} at 127.0.0.1" in caplog.text
            assert logged in caplog.text
        assert scene.refusals.counts["bad-certificate"] == 3
        known = {
            f"refused CN=bank, serial {one.x509.serial_number:x}" for one in (expired, revoked)
        }
        assert set(NAMES.take()) == known, "anybody can write a name into one of another CA"
        assert (await scene.asked(None)).code == "no-client-certificate"


async def test_client_without_a_certificate_is_401_and_hears_what_to_do(scene: Scene) -> None:
    async with scene.serving(), scene.http(None) as client:
        answers = [await client.get("/healthz"), await client.get("/v1/status?")]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (401, "no-client-certificate")
        assert "--cert" in answer.json()["hint"]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_stop_makes_nobody_of_who_withholds_a_body(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A server that stops passes such requests on from a task of its own."""
    going: list[object] = []
    go_long = protocol._BoundedProtocol._go_long
    find_handler = protocol._BoundedProtocol._find_handler

    def find(self: protocol._BoundedProtocol) -> object:
        going.append("here")
        return find_handler(self)

    def go(self: protocol._BoundedProtocol) -> None:
        go_long(self)
        going.append("long")

    monkeypatch.setattr(protocol, "_DELAY", 30)
    monkeypatch.setattr(protocol._BoundedProtocol, "_find_handler", find)
    monkeypatch.setattr(protocol._BoundedProtocol, "_go_long", go)
    body = b'{"digests":{"sha256":"%s"}}' % SHA.encode()

    async def finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        await until(lambda: "long" in going)
        writer.write(body)
        answer = await reader.read()
        writer.transport.abort()
        return answer

    async def main() -> bytes:
        async with scene.serving(ApiLimits(grace=60)):
            where = ("localhost", scene.port)
            reader, writer = await asyncio.open_connection(*where, ssl=scene.context(None))
            head = "POST /v1/attestations HTTP/1.1\r\nhost: x\r\ncontent-length: "
            writer.write(f"{head}{len(body)}\r\n\r\n".encode())
            await until(lambda: "here" in going)
            finishing = asyncio.create_task(finish(reader, writer))
        return await finishing

    with asyncio.Runner(loop_factory=loop) as runner:
        answer = runner.run(main())
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"no-client-certificate" in answer
    assert not scene.gateway.leaves


async def test_certificate_that_nobody_has_is_403(scene: Scene) -> None:
    NAMES.take()
    async with scene.serving():
        error = await scene.asked(scene.issue("stranger"))
    ((who, counts),) = NAMES.take().items()
    assert who.startswith("unknown CN=stranger, serial ")
    assert counts == {"unknown-client": 1}
    assert error.code == "unknown-client"
    assert "CN=stranger" in error.message
    assert "[[api.client]]" in error.hint


@pytest.mark.parametrize("query", ["", "?", "?wait=0"])
async def test_wrong_role_is_403_on_both_ways(scene: Scene, query: str) -> None:
    async with scene.serving(), scene.http(scene.issue("verifier")) as client:
        refused = await client.post(f"/v1/attestations{query}", json={"digests": {"sha256": SHA}})
        taken = await client.post("/v1/verifications", json={"digests": {"sha256": SHA}})
        unlocked = await client.post("/v1/hsm/pin", json={"pin": "1234"})
    assert (refused.status_code, refused.json()["code"]) == (403, "role-missing")
    assert refused.json()["detail"] == "cert branch may not do this: it lacks the role issuer"
    assert "[[api.client]]" in refused.json()["hint"]
    assert taken.status_code == 200
    assert unlocked.json()["code"] == "role-missing"
    assert not scene.gateway.leaves


@pytest.mark.parametrize(
    ("state", "answered"), [("locked", 200), ("latched", 403), ("ready", 403), ("away", 403)]
)
async def test_operator_gives_a_pin_by_tls_only_where_one_is_awaited(
    scene: Scene, state: str, answered: int
) -> None:
    """Another one than the refused one is given at the box."""

    async def unlock(pin: str) -> dict[str, object]:
        return {"state": "ready", "given": len(pin)}

    hsm = SimpleNamespace(describe=lambda: {"state": state}, unlock=unlock)
    scene.gateway.hsm = hsm  # type: ignore[attr-defined]
    async with scene.serving(), scene.http(scene.issue("bank")) as client:
        answer = await client.post("/v1/hsm/pin", json={"pin": "1234"})
    assert answer.status_code == answered
    assert answered == 200 or answer.json()["code"] == "unix-only"


async def test_kind_that_is_not_granted_is_refused_in_each_form(scene: Scene) -> None:
    from chopmark.core.compact import MEDIA_TYPE, Header

    header = Header(b"r" * 16, "document").encode()
    async with scene.serving(), scene.http(scene.issue("issuer")) as client:
        single = await client.post("/v1/attestations", json={"digests": {"sha256": SHA}})
        good = b'{"sha256":"%s","kind":"bank-statement"}\n' % SHA.encode()
        batch = await client.post("/v1/attestations:batch", content=LINE + good)
        media = {"content-type": MEDIA_TYPE}
        path = "/v1/attestations:compact"
        compact = await client.post(path, content=header + DIGEST, headers=media)
    assert (single.status_code, single.json()["code"]) == (403, "kind-not-granted")
    assert "bank-statement" in single.json()["hint"]
    first, second = batch.text.splitlines()
    assert "kind-not-granted" in first
    assert "signed" in second
    assert (compact.status_code, compact.json()["code"]) == (403, "kind-not-granted")
    assert len(scene.gateway.leaves) == 1


async def test_rate_refuses_single_requests_and_slows_streams(scene: Scene) -> None:
    async with scene.serving(), scene.http(scene.issue("slow")) as client:
        body: dict[str, Any] = {"digests": {"sha256": SHA}}
        answers = [await client.post("/v1/attestations", json=body)]
        async with asyncio.timeout(PATIENCE):  # where they come slowly, none is too many
            while answers[-1].status_code != 429:
                answers.append(await client.post("/v1/attestations", json=body))
        assert {answer.status_code for answer in answers[:-1]} == {201}
        refused = answers[-1]
        assert refused.json()["code"] == "rate-limited"
        assert int(refused.headers["retry-after"]) >= 1
        batch = await client.post("/v1/attestations:batch", content=LINE * 3, timeout=PATIENCE)
        assert batch.text.count('"signed"') == 3


async def test_open_connection_hears_that_its_certificate_was_revoked(scene: Scene) -> None:
    pair = scene.issue("bank")
    async with scene.serving(), scene.http(pair) as client:
        assert (await client.get("/healthz")).status_code == 200
        scene.authority.revoke([pair])
        await scene.trust.look()
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["code"]) == (401, "certificate-revoked")
        assert answer.headers["connection"] == "close"
        with pytest.raises((httpx.ReadError, ssl.SSLError), match="REVOKED"):
            await client.get("/healthz")


async def open_batch(scene: Scene, pair: Pair) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A batch that stays open, with one line answered."""
    reader, writer = await scene.connect(pair)
    head = b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked"
    writer.write(head + b"\r\n\r\n%x\r\n%s\r\n" % (len(LINE), LINE))
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b'"signed"')
    return reader, writer


async def read_to_its_end(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENCE):
        with suppress(OSError):
            await reader.read()


async def test_open_stream_ends_when_its_certificate_is_revoked(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    revoked, good = scene.issue("bank"), scene.issue("late")
    async with scene.serving():
        reader, writer = await open_batch(scene, revoked)
        other, others = await open_batch(scene, good)
        await scene.trust.look()
        scene.authority.revoke([revoked])
        await scene.trust.look()
        await read_to_its_end(reader)
        assert caplog.text.count("cut off 1 connections") == 1
        assert "certificate-revoked" in caplog.text
        others.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LINE), LINE))
        async with asyncio.timeout(PATIENCE):
            assert b'"signed"' in await other.readuntil(b"\r\n0\r\n\r\n")
        writer.transport.abort()
        others.transport.abort()
        await until(lambda: not scene.trust.shown)


async def test_open_stream_ends_when_its_certificate_expires(scene: Scene) -> None:
    pair, now = scene.issue("late"), [time.time()]
    scene.trust = Trust(scene.files, lambda: now[0])
    async with scene.serving():
        reader, writer = await open_batch(scene, pair)
        await scene.trust.look()
        assert not reader.at_eof()
        now[0] += 2 * 86_400
        await scene.trust.look()
        await read_to_its_end(reader)
        writer.transport.abort()


async def test_open_connection_hears_that_its_certificate_has_expired(scene: Scene) -> None:
    pair, now = scene.issue("late"), [time.time()]
    scene.trust = Trust(scene.files, lambda: now[0])
    async with scene.serving(), scene.http(pair) as client:
        assert (await client.get("/healthz")).status_code == 200
        now[0] = pair.x509.not_valid_after_utc.timestamp()
        assert (await client.get("/healthz")).status_code == 200
        now[0] += 1
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (401, "certificate-expired")


async def test_connection_made_under_a_ca_that_was_taken_out_begins_anew(scene: Scene) -> None:
    pair = scene.issue("bank")
    async with scene.serving(), scene.http(pair) as client:
        assert (await client.get("/healthz")).status_code == 200
        other = Authority(scene.folder, "other CA")
        scene.files.client_ca.write_bytes(other.path.read_bytes())
        await scene.trust.look()
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["code"]) == (503, "certificate-recheck")


async def test_new_files_are_taken_by_the_next_handshake(scene: Scene) -> None:
    async with scene.serving():
        pair = scene.issue("bank")
        first = await serial(scene, pair)
        scene.authority.issue("gateway", timedelta(days=60))
        await scene.trust.look()
        assert await serial(scene, pair) != first
        assert not scene.trust.alarms()


async def serial(scene: Scene, pair: Pair) -> object:
    _, writer = await scene.connect(pair)
    found = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    with suppress(ssl.SSLError, OSError):
        await writer.wait_closed()
    return found


async def test_bad_new_files_change_nothing_but_the_alarm(scene: Scene) -> None:
    async with scene.serving():
        pair = scene.issue("bank")
        first = await serial(scene, pair)
        scene.files.key.write_text("-----BEGIN PRIVATE KEY-----\n")
        await scene.trust.look()
        assert await serial(scene, pair) == first
        (alarm,) = scene.trust.alarms()
        assert alarm["code"] == "tls-files-wrong"
        scene.authority.issue("gateway", timedelta(days=60))
        await scene.trust.look()
        assert not scene.trust.alarms()


async def test_short_way_is_taken_by_tls_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from chopmark.api.short import ShortRoutes

    taken = []
    answer = ShortRoutes.answer
    monkeypatch.setattr(
        ShortRoutes, "answer", lambda self, *rest: taken.append(rest) or answer(self, *rest)
    )
    async with scene.serving(), scene.http(scene.issue("bank")) as client:
        for _ in range(2):
            await client.post("/v1/verifications", json={"digests": {"sha256": SHA}})
    assert len(taken) == 2


async def test_page_of_another_origin_is_refused_though_it_has_the_certificate(
    scene: Scene,
) -> None:
    async with scene.serving(), scene.http(scene.issue("bank")) as client:
        foreign = await client.get("/v1/status", headers={"origin": "https://evil.example"})
        own = {"origin": f"https://localhost:{scene.port}"}
        assert (await client.get("/v1/status", headers=own)).status_code == 200
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign-origin")


async def test_idle_silent_and_stalled_clients_keep_nobody_out(scene: Scene) -> None:
    """A thousand of each kind of idleness, in small: more than there is room for."""
    limits = ApiLimits(grace=1, connections=16, refused=4, per_client=12, handshakes=8)
    pair = scene.issue("bank")
    async with scene.serving(limits):
        others = [await asyncio.open_connection("localhost", scene.port) for _ in range(40)]
        for _ in range(20):  # a handshake that does not go on
            others.append(await asyncio.open_connection("localhost", scene.port))
            others[-1][1].write(b"\x16\x03\x01\x02\x00\x01")
        others += [await scene.connect(pair) for _ in range(30)]  # no request
        head = b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked"
        for _ in range(3):  # stalls in the middle of a stream
            others.append(await scene.connect(pair))
            others[-1][1].write(head + b"\r\n\r\n%x\r\n%s\r\n5\r\n{" % (len(LINE), LINE))
        async with scene.http(scene.issue("verifier")) as client:
            for _ in range(5):
                assert (await client.get("/healthz")).status_code == 200
        for _, writer in others:
            writer.transport.abort()


def push(scene: Scene, context: ssl.SSLContext, count: int) -> ssl.SSLSocket:
    """A client that sends a batch and reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(PATIENCE)
    raw.connect(("127.0.0.1", scene.port))
    client = context.wrap_socket(raw, server_hostname="localhost")
    client.sendall(b"POST /v1/attestations:batch HTTP/1.1\r\nhost: x\r\n")
    client.sendall(b"content-length: %d\r\n\r\n" % (count * len(LINE) + 1) + LINE * count)
    return client


async def test_client_that_reads_nothing_is_cut_by_tls_too(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd, count = Crowd(LIMITS), 150_000
    monkeypatch.setattr(protocol, "Crowd", lambda _: crowd)
    async with scene.serving(ApiLimits(grace=1, idle=2)):
        context = scene.context(scene.issue("bank"))
        with await asyncio.to_thread(push, scene, context, count):
            await until(lambda: len(scene.gateway.leaves) == count)
            # Here, and not at the client: what it does not read stands before the end of it.
            await until(lambda: not len(crowd))
        async with scene.http(scene.issue("bank")) as other:
            assert (await other.get("/healthz")).status_code == 200


async def test_commands_of_the_page_make_certificates_that_work(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    section = page.partition("\n### Certificates")[2].partition("\n## ")[0]
    make, revoke = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)

    def run(script: str) -> None:
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    await asyncio.to_thread(run, make)
    names = ("gateway.pem", "gateway.key", "ca.pem", "crl.pem")
    files = TlsFiles(*(tmp_path / name for name in names))
    made = Scene(tmp_path, Authority(tmp_path, "ca"), files, Trust(files))
    made.authority.__dict__["path"] = tmp_path / "ca.pem"
    client = Pair(tmp_path / "client.pem", tmp_path / "client.key", made_by_page(tmp_path))
    async with made.serving():
        assert (await made.asked(client)).code == "unknown-client"
        await asyncio.to_thread(run, revoke)
        await made.trust.look()
        assert (await made.asked(client)).code == "certificate-revoked"


def made_by_page(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "client.pem").read_bytes())


def test_too_much_is_worth_another_try_to_the_sdk() -> None:
    from chopmark.client.problem import error_from_problem

    error = error_from_problem(429, {"code": "rate-limited"}, "1")
    assert isinstance(error, TryAgainError)

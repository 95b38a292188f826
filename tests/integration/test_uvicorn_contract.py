"""What we use of uvicorn and of Python's TLS beyond what they promise; a new version may change it.

`api/protocol.py`, `api/server.py`, `api/door.py` and `api/identity.py` rest on this.
"""

import asyncio
import inspect
import ssl
from pathlib import Path

import uvicorn
from litestar.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chopmark.api.identity import read_refused
from rig.authority import DAY, Authority
from rig.patience import PATIENCE

HOOKS = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "pause_writing": [],
    "resume_writing": [],
    "on_message_begin": [],
    "on_url": ["url"],
    "on_header": ["name", "value"],
    "on_headers_complete": [],
    "on_body": ["body"],
    "on_message_complete": [],
    "on_response_complete": [],
    "shutdown": [],
    "send_400_response": ["msg"],
}
"""Methods of its protocol that ours extends or calls, with their arguments."""


async def _app(_scope: Scope, _receive: Receive, _send: Send) -> None: ...


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]  # type: ignore[arg-type]


def test_protocol_has_the_hooks_that_ours_extends() -> None:
    for name, expected in HOOKS.items():
        assert parameters(getattr(HttpToolsProtocol, name)) == expected, name
    expected = ["config", "server_state", "app_state", "_loop"]
    assert parameters(HttpToolsProtocol.__init__) == expected


async def test_protocol_keeps_what_ours_reads() -> None:
    config = uvicorn.Config(
        _app, http=HttpToolsProtocol, lifespan="off", log_config=None, interface="asgi3"
    )
    config.load()
    server = uvicorn.Server(config)
    made = HttpToolsProtocol(config, server.server_state, {})
    assert made.connections is server.server_state.connections
    assert made.tasks is server.server_state.tasks
    for name in ("parser", "cycle", "flow", "scheme", "headers", "server", "loop", "transport"):
        assert hasattr(made, name), name
    assert made.server_state.default_headers == []
    made.app, made.url = config.loaded_app, b""  # what it takes for a request


def test_cycle_keeps_what_the_short_way_pretends() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("message_event", "disconnected", "response_complete", "keep_alive", "more_body"):
        assert f"self.{name} = " in source, name


async def test_server_listens_where_ours_adds_a_door() -> None:
    config = uvicorn.Config(_app, lifespan="off", log_config=None, interface="asgi3")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([])
    assert (server.started, server.servers) == (True, [])
    closed = []

    class Door:
        def close(self) -> None:
            closed.append("close")

        async def wait_closed(self) -> None:
            closed.append("wait")

    server.servers.append(Door())  # type: ignore[arg-type]
    await server.shutdown([])
    assert closed == ["close", "wait"]


async def test_tls_passes_the_certificate_on_and_gives_out_one_that_it_refused(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    good, bad = authority.issue("good"), authority.issue("bad", -1 * DAY)
    refused: list[str] = []
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError:
                refused.append(str(read_refused(self)))
                raise

    class Shown(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            secured = transport.get_extra_info("ssl_object")
            seen.put_nowait(secured.getpeercert(binary_form=True))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Watched
    context.load_cert_chain(good.certificate, good.key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = await asyncio.get_running_loop().create_server(Shown, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    for pair in (good, bad):
        client = ssl.create_default_context(cafile=authority.path)
        client.load_cert_chain(pair.certificate, pair.key)
        _, writer = await asyncio.open_connection("localhost", port, ssl=client)
        if pair is good:
            async with asyncio.timeout(PATIENCE):
                assert (await seen.get()) == ssl.PEM_cert_to_DER_cert(good.certificate.read_text())
        writer.transport.abort()
    async with asyncio.timeout(PATIENCE):
        while not refused:  # noqa: ASYNC110 -- the other side's to say
            await asyncio.sleep(0.01)
    assert refused == [f"CN=bad, serial {bad.x509.serial_number:x}"]
    server.close()

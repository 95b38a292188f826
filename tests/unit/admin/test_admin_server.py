"""Callers of chopmark-admin over a real unix socket: others, junk, floods, and slow ones."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from chopmark.admin.box import Box
from chopmark.admin.programs import Programs
from chopmark.admin.server import MAX_CALLERS, MAX_LINE, Server
from chopmark.admin.settings import Settings
from chopmark.console.admin import AdminClient
from chopmark.core.errors import ChopmarkError, ForbiddenError, MalformedError, UnreachableError
from configs import BASE
from rig.patience import PATIENCE


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    config = tmp_path / "gateway.toml"
    config.write_text(BASE)
    me = str(os.geteuid())
    settings = Settings(
        console=me,
        daemon=me,
        config=config,
        folder=tmp_path / "own",
        control=("/bin/true",),
        credentials=tmp_path / "pins",
    )
    made = Server(Box(Programs(settings)), os.geteuid(), seconds=PATIENCE)
    listening = await asyncio.start_unix_server(made.meet, tmp_path / "s", limit=MAX_LINE)
    try:
        yield made
    finally:
        listening.close()
        await made.finish()
        await made.box.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def open_way(path: Path) -> None:
    """Let others reach it."""
    path.chmod(0o777)
    for folder in list(path.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)


async def send(path: Path, data: bytes) -> dict[str, dict[str, object]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(data)
        answer = await asyncio.wait_for(reader.readline(), PATIENCE)
        with suppress(ConnectionResetError):  # it left before it had read all
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b"", "it answered twice"
    finally:
        writer.close()
    return msgspec.json.decode(answer, type=dict[str, dict[str, object]])


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def wait_closed(server: Server) -> None:
    await wait_for(lambda: not server.open)


async def test_console_is_answered(server: Server, path: Path) -> None:
    assert await AdminClient(path).do("config-state") == {
        "differences": "",
        "seconds_left": None,
        "stuck": None,
    }
    assert server.served == 1


async def test_another_user_is_refused_and_nothing_is_done(server: Server, path: Path) -> None:
    server.uid = os.geteuid() + 1
    with pytest.raises(ForbiddenError) as caught:
        await AdminClient(path).do("config-change", jurisdiction="MO")
    assert caught.value.code == "not-the-console"
    assert server.box.candidates.candidate is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_process_of_another_user_is_refused(server: Server, path: Path) -> None:
    assert server.served == 0
    open_way(path)
    code = (
        "import socket; s = socket.socket(socket.AF_UNIX); "
        f"s.connect({str(path)!r}); print(s.makefile().readline())"
    )
    command = ["/usr/bin/python3", "-c", code]
    done = await asyncio.to_thread(
        subprocess.run, command, user=65534, group=65534, capture_output=True, check=False
    )
    assert b"not-the-console" in done.stdout, done


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"{}\n",
        b"\x00\xff\xfe" * 40 + b"\n",
        b'{"verb":"reboot","now":1}\n',
        b'{"verb":"pin-put","pin":"\xff"}\n',
        b'{"verb":"config-state"}' + b" " * MAX_LINE + b"\n",
        b"x" * (10 * MAX_LINE),
    ],
)
async def test_junk_is_refused_and_the_next_is_served(
    server: Server, path: Path, junk: bytes
) -> None:
    answer = await send(path, junk)
    assert set(answer) == {"error"}
    assert (await send(path, b'{"verb":"config-state"}\n'))["done"]["differences"] == ""
    assert server.open == 0 or await wait_closed(server) is None


async def test_second_line_is_not_read(server: Server, path: Path) -> None:
    change = b'{"verb":"config-change","jurisdiction":"MO"}\n'
    assert "done" in await send(path, b'{"verb":"config-state"}\n' + change)
    assert server.box.candidates.candidate is None


async def test_caller_who_says_nothing_is_left(server: Server, path: Path) -> None:
    server.seconds = 0.1
    reader, writer = await asyncio.open_unix_connection(path)
    answer = await asyncio.wait_for(reader.readline(), PATIENCE)
    assert b"line-late" in answer
    writer.close()
    await wait_closed(server)


async def test_caller_who_leaves_breaks_nothing_off(server: Server, path: Path) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"verb":"config-change","jurisdiction":"MO"}\n')
    await writer.drain()
    writer.close()
    await wait_for(lambda: server.box.candidates.candidate is not None)
    await wait_closed(server)


async def test_of_a_flood_some_are_served_and_none_stays(server: Server, path: Path) -> None:
    held = [await asyncio.open_unix_connection(path) for _ in range(MAX_CALLERS)]
    await wait_for(lambda: server.open >= MAX_CALLERS)
    answers = await asyncio.gather(*(send(path, b'{"verb":"config-state"}\n') for _ in range(100)))
    assert {str(one["error"]["code"]) for one in answers} == {"admin-busy"}
    for _, writer in held:
        writer.close()
    await wait_closed(server)
    assert "done" in await send(path, b'{"verb":"config-state"}\n')


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("network-apply", {"method": "dhcp", "seconds": 60}),
        ("network-confirm", {}),
        ("network-rollback", {}),
        ("slot-switch", {"slot": "a"}),
        ("wipe", {"origin": "bank-hk.example/hk-1", "scope": "disk"}),
    ],
)
async def test_what_needs_the_image_says_so(
    server: Server, path: Path, verb: str, values: dict[str, object]
) -> None:
    assert server.served == 0
    with pytest.raises(ChopmarkError) as caught:
        await AdminClient(path).do(verb, **values)
    assert caught.value.code == "not-on-this-platform"


async def test_client_says_what_values_are_wrong(server: Server, path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        await AdminClient(path).do("unit-stop", unit="sshd")
    assert "sshd" not in str(caught.value)
    assert server.served == 1


async def test_client_without_a_service_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        await AdminClient(tmp_path / "none").do("config-state")
    assert caught.value.code == "admin-unreachable"
    assert "show services" in caught.value.hint


@pytest.mark.parametrize("said", [b"", b"hello\n", b'{"done":1}\n', b"[]\n", b'{"error":{}}\n'])
async def test_client_takes_no_junk_for_an_answer(tmp_path: Path, said: bytes) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "s"):
        with pytest.raises(UnreachableError):
            await AdminClient(tmp_path / "s").do("config-state")


async def test_pin_in_place_of_systemd_creds_is_not_replaced(server: Server, path: Path) -> None:
    pins = server.box.programs.settings.credentials
    await AdminClient(path).do("pin-put", pin="one")
    (pins / "hsm-pin.cred").touch()
    with pytest.raises(ChopmarkError) as caught:
        await AdminClient(path).do("pin-put", pin="two")
    assert caught.value.code == "pin-encrypted"
    assert (pins / "hsm-pin").read_text() == "one"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_programs_of_the_daemons_user_run_as_that_user(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o711)
    open_way(tmp_path)
    pins = tmp_path / "pins"
    pins.mkdir(mode=0o700)
    (pins / "hsm-pin").write_text("9876")
    settings = Settings(
        daemon="65534",
        credentials=pins,
        runtime=tmp_path / "run",
        python=Path("/usr/bin/python3"),
        environment={},
    )
    code = (
        "import os; d = os.environ['CREDENTIALS_DIRECTORY']; "
        "print(os.getresuid(), os.getresgid(), os.getgroups(), open(d + '/hsm-pin').read())"
    )
    ended = await Programs(settings).as_daemon("-c", code, pin=True)
    assert ended.out.startswith(b"(65534, 65534, 65534) (65534, 65534, 65534) ["), ended
    assert b", 0" not in ended.out
    assert ended.out.endswith(b"9876\n")
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/admin.sock", "cannot listen on"),
        ("file", "is no socket: it is left alone"),
    ],
)
def test_place_where_nobody_can_listen_is_told_and_left_alone(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("mine")
    command = [sys.executable, "-m", "chopmark.admin.main", "--socket", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode in (73, 78)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "mine"

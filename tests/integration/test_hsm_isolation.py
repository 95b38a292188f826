"""The module in processes of its own: killed, hung, gone, and back, under load."""

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chopmark.core.errors import TryAgainError
from chopmark.core.note import Note, Signature, verify_note
from chopmark.hsm import HsmSigner, calls, open_signer
from chopmark.hsm.isolation import MAX_CALLERS
from chopmark.hsm.rpc import break_off
from integration.hsm_box import HEAD, ORIGIN, Box
from integration.hsm_kinds import Shelf
from rig.patience import PATIENCE
from rig.process import PartFailedError, Process
from rig.remote import Remote
from rig.token import MODULE
from rig.tpm import Tpm

KILLS = 10


@pytest.fixture
def remote(shelf: Shelf) -> Remote:
    return shelf.remote


@pytest.fixture
def box(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = shelf.box("p11-kit", monkeypatch)
    deadline = time.monotonic() + PATIENCE
    while shelf.remote.children():  # those of callers that have ended end by and by
        assert time.monotonic() < deadline, "a process outlives its caller"
        time.sleep(0.01)
    return made


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 -- other processes raise no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what}")


async def sign_for_ever(box: Box, signer: HsmSigner, answered: dict[int, Signature]) -> None:
    size = 0
    while True:
        size += 1
        box.clock.now += 0.01
        try:
            answered[size] = await signer.sign_checkpoint(replace(HEAD, size=size))
        except TryAgainError:
            box.clock.now += 1
            await asyncio.sleep(0)


async def break_off_till_end(call: asyncio.Task[Signature], remote: Remote) -> Signature:
    while not call.done():
        break_off(remote.address)
        await asyncio.wait([call], timeout=0.01)
    return await call


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def serving(remote: Remote) -> list[int]:
    """Processes that have the module loaded: a started one may not have come so far."""
    return [pid for pid in remote.children() if "libsofthsm2" in _maps(pid)]


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def test_module_killed_under_load_loses_no_answer_and_comes_back(
    box: Box, remote: Remote
) -> None:
    answered: dict[int, Signature] = {}
    async with box.signer() as signer:
        load = asyncio.create_task(sign_for_ever(box, signer, answered))
        for _ in range(KILLS):
            before = len(answered)
            await until(lambda: len(answered) > before + 5, "signatures")  # noqa: B023 - at once
            for pid in serving(remote):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: len(answered) > before + 50, "signatures after the last kill")
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        assert load.cancelled()
        assert signer.state == "ready"
        assert signer.counts["outages"] >= KILLS
    for size, signature in answered.items():
        head = replace(HEAD, size=size)
        assert verify_note(Note(head.encode(), (signature,)), box.keys)


async def test_call_that_hangs_is_broken_off_and_its_process_killed(
    box: Box, remote: Remote
) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        (hung,) = serving(remote)
        os.kill(hung, signal.SIGSTOP)
        call = asyncio.create_task(signer.sign_checkpoint(HEAD))
        await until(lambda: signer._thread.stuck_for > 0, "the call to begin")
        assert not (await asyncio.wait([call], timeout=0.1))[0]
        assert await asyncio.to_thread(break_off, remote.address)
        # Opened anew at once, on a new process.
        assert verify_note(Note(HEAD.encode(), (await call,)), box.keys)
        assert signer.counts["outages"] == 1
        await until(lambda: hung not in remote.children(), "the hung process to be killed")
        (new,) = serving(remote)
        assert new != hung


async def test_watch_breaks_a_call_off_that_does_not_come_back(
    box: Box, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        (hung,) = serving(remote)
        os.kill(hung, signal.SIGSTOP)
        monkeypatch.setattr(calls, "ANSWER", 0.2)
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "hsm-away"
        watching = asyncio.create_task(signer.watch(lambda: 1))
        await until(lambda: hung not in remote.children(), "the hung process to be killed")
        monkeypatch.setattr(calls, "ANSWER", 15.0)
        await until(lambda: signer._thread.stuck_for == 0, "the call to come back")
        box.clock.now += 5
        assert verify_note(Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),)), box.keys)
        watching.cancel()


async def test_login_that_hangs_is_broken_off(box: Box, remote: Remote) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        for pid in serving(remote):
            os.kill(pid, signal.SIGKILL)
        supervisor = remote._process
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGSTOP)  # who connects now is answered by nobody
        call = asyncio.create_task(signer.sign_checkpoint(HEAD))
        try:
            # The first connection is the dead one; the next, of the start anew, is the hung one.
            with pytest.raises(TryAgainError):
                await break_off_till_end(call, remote)
        finally:
            os.kill(supervisor.pid, signal.SIGCONT)
        box.clock.now += 5
        assert await signer.sign_checkpoint(HEAD)


async def test_starts_that_fail_leave_no_connection_open(box: Box, remote: Remote) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        supervisor = remote._process
        assert supervisor is not None
        descriptors = count_descriptors()
        os.kill(supervisor.pid, signal.SIGSTOP)
        try:
            for _ in range(5):
                box.clock.now += 5
                with pytest.raises(TryAgainError):
                    await break_off_till_end(
                        asyncio.create_task(signer.sign_checkpoint(HEAD)), remote
                    )
        finally:
            os.kill(supervisor.pid, signal.SIGCONT)
        box.clock.now += 5
        assert await signer.sign_checkpoint(HEAD)
        assert count_descriptors() <= descriptors + 1


def test_break_off_touches_no_other_connection(tmp_path: Path, remote: Remote) -> None:
    path = tmp_path / "other"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(path))
        listener.listen()
        client.connect(str(path))
        served, _ = listener.accept()
        with served:
            for address in (remote.address, f"unix:path={path}x", "tcp:host=127.0.0.1", ""):
                assert not break_off(address)
            client.sendall(b"still there")
            assert served.recv(100) == b"still there"
            assert break_off(f"unix:path={path.parent}/%6fther")
            assert served.recv(100) == b""


async def test_server_that_is_not_there_is_away(box: Box, remote: Remote) -> None:
    remote.kill()
    with pytest.raises(TryAgainError, match="P11_KIT_SERVER_ADDRESS") as caught:
        await open_signer(box.config, ORIGIN, box.give_pin)
    assert (caught.value.code, box.pins_given) == ("hsm-away", 0)
    remote.start()
    async with box.signer() as signer:
        assert await signer.sign_checkpoint(HEAD)


async def test_processes_end_with_their_callers(box: Box, remote: Remote) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        assert len(serving(remote)) == 1
    await until(lambda: remote.children() == [], "the process to end")


async def test_no_process_outlives_its_supervisor(box: Box, remote: Remote) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        (pid,) = serving(remote)
        assert remote._process is not None
        os.kill(remote._process.pid, signal.SIGKILL)
        await until(lambda: "libsofthsm2" not in _maps(pid), "the module to end")
        remote.start()
        box.clock.now += 5
        assert await signer.sign_checkpoint(HEAD)


async def test_socket_is_for_owner_and_group_and_callers_are_bounded(
    box: Box, remote: Remote
) -> None:
    assert stat.S_IMODE(remote.path.stat().st_mode) == 0o660
    callers = [socket.socket(socket.AF_UNIX) for _ in range(MAX_CALLERS + 1)]
    try:
        for caller in callers:
            caller.connect(str(remote.path))
        callers[-1].settimeout(PATIENCE)
        assert callers[-1].recv(1) == b""  # sent away
        assert len(remote.children()) == MAX_CALLERS
    finally:
        for caller in callers:
            caller.close()
    await until(lambda: remote.children() == [], "the callers' processes to end")
    with box.session() as session:
        assert session.token.label == "hk-1"


@pytest.mark.parametrize("case", ["no module", "not a socket"])
def test_supervisor_that_cannot_serve_says_why(tmp_path: Path, case: str) -> None:
    path = tmp_path / "hsm.sock"
    module = MODULE
    if case == "no module":
        module = "/no/such/module.so"
    else:
        path.write_text("mine")
    said = "no PKCS#11 module" if case == "no module" else "is no socket"
    with pytest.raises(PartFailedError, match=said):
        Process(_command(module, path), tmp_path / "log").wait_until(lambda: False)


def _command(module: str, path: Path) -> list[str]:
    command = [sys.executable, "-m", "chopmark.hsm.isolation"]
    return [*command, "--module", module, "--socket", str(path)]


async def test_tpm_behind_it_comes_back_with_a_new_bus(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shelf.remote.kill()
    folder = tmp_path_factory.mktemp("t")
    tpm = Tpm(folder / "tpm")
    try:
        token = tpm.make_token(folder / "store", "hk-1")
        with Remote(shelf.remote.path, token.module, token.environment) as remote:
            box = replace(Box.of(remote.client(token), monkeypatch), cosigner="p256")
            box.create()
            async with box.signer() as signer:
                assert await signer.sign_checkpoint(HEAD)
                assert "tpm2-software" in (signer.warning or "")
                tpm.restart_bus()
                box.clock.now += 5
                signature = await signer.sign_checkpoint(HEAD)
                assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)
    finally:
        tpm.stop()


async def test_p11_kits_own_server_is_killed_and_comes_back(box: Box, shelf: Shelf) -> None:
    shelf.remote.kill()
    conf = shelf.remote._environment
    plain = Remote(shelf.remote.path, MODULE, conf, server="hk-1")
    try:
        plain.start()
        async with box.signer() as signer:
            assert await signer.sign_checkpoint(HEAD)
            assert "rollback" in (signer.warning or "")
            plain.kill()
            with pytest.raises(TryAgainError):
                await signer.sign_checkpoint(HEAD)
            plain.start()
            box.clock.now += 5
            assert verify_note(Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),)), box.keys)
    finally:
        plain.kill()
        shelf.remote.start()

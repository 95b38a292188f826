"""The console sees token and ledger through chopmark-admin, with the daemon up, down and hanging.

Its own process can look at neither here: the program that it would look with is not there.
"""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from adminbox import AdminBox
from chopmark.admin.requests import Check
from chopmark.console import diagnosing, reaching, stateside
from chopmark.console.admin import AdminClient
from chopmark.console.commands import load_commands
from chopmark.console.gateway import SocketApi
from chopmark.core.errors import ChopmarkError, UnreachableError
from chopmark.service.checks.run import CHECKS
from consoledesk import MemoryDesk, surroundings
from integration.link_party import until

TABLE = {" ".join(one.path): one for one in load_commands()}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        made.init()
        yield made
    finally:
        made.close()


@pytest.fixture
async def api(
    box: AdminBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SocketApi]:
    """Nothing that the console could look with by itself, but what the network needs."""
    program = tmp_path / "chopmark"
    program.write_text('#!/bin/sh\ncase "$*" in *brokers*) exit;; esac\necho "no access"; exit 1\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setattr(diagnosing, "CHOPMARK", (str(program),))
    monkeypatch.setattr(stateside, "read_space", lambda _: None)
    monkeypatch.setattr(reaching, "SOCKET", tmp_path / "none")
    async with SocketApi(box.api) as made:
        yield made


async def run(box: AdminBox, api: SocketApi, name: str) -> MemoryDesk:
    desk = MemoryDesk()
    around = surroundings(desk, gateway=api, config=box.config, admin=AdminClient(box.socket))
    await TABLE[name].run(around, {})
    return desk


async def start(box: AdminBox) -> None:
    def begin() -> None:
        box.do("unit-start", unit="gateway")
        box.wait_for(box.is_up, "the daemon to answer")

    await asyncio.to_thread(begin)


async def stop(box: AdminBox) -> None:
    await asyncio.to_thread(box.do, "unit-stop", unit="gateway")


def lines(desk: MemoryDesk) -> list[str]:
    return [" ".join(line.split()) for line in desk.said]


async def test_hsm_and_ledger_are_seen_with_the_daemon_down(box: AdminBox, api: SocketApi) -> None:
    await stop(box)
    tested = lines(await run(box, api, "test hsm"))
    assert "ok pin" in tested
    assert "warn hsm" in tested, "SoftHSM is no HSM"
    assert not [line for line in tested if "not looked at" in line and "0 not" not in line]
    ledger = lines(await run(box, api, "test ledger"))
    assert {"ok ledger", "ok fsck hk-1"} <= set(ledger)
    assert ledger[-1].startswith("PASSED")
    disk = (await run(box, api, "show disk")).text
    assert f"{box.state}"[:20] in disk
    assert "not looked at" not in disk


async def test_hsm_and_ledger_are_seen_with_the_daemon_up(box: AdminBox, api: SocketApi) -> None:
    await start(box)
    tested = lines(await run(box, api, "test hsm"))
    assert {"ok pin", "warn hsm"} <= set(tested)
    report = lines(await run(box, api, "test all"))
    assert {"ok ledger", "ok fsck hk-1", "ok folders"} <= set(report)
    assert not [line for line in report if line.startswith("not looked at")], report


async def test_daemon_that_hangs_is_not_asked(box: AdminBox, api: SocketApi) -> None:
    await start(box)
    pid = int((box.folder / "daemon.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        tested = await run(box, api, "test hsm")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert tested.said[-1].startswith("FAILED")
    assert "ok pin" in lines(tested)


async def test_files_of_the_state_folder_go_into_a_bundle(box: AdminBox, api: SocketApi) -> None:
    assert api is not None
    found = await stateside.look_at_files(AdminClient(box.socket), Path("/nonexistent"))
    assert found["log.db"] > 0


async def test_configuration_that_does_not_hold_is_told_once(box: AdminBox, api: SocketApi) -> None:
    good = box.config.read_text()
    box.config.write_text("[gateway]\nid = 7\n")
    try:
        tested = (await run(box, api, "test disk")).text
    finally:
        box.config.write_text(good)
    assert tested.count("FAIL  configuration") == 1
    assert "FAILED" in tested


def test_token_of_the_configuration_says_how_many_tries_are_left(box: AdminBox) -> None:
    there = box.do("token-tries")
    assert (there["tries"], there["refused"], there["model"]) == ("full", None, "SoftHSM v2")


async def test_caller_that_leaves_ends_what_looks(box: AdminBox) -> None:
    sleeper = box.folder / "sleeper"
    settings = (box.folder / "admin.toml").read_text()
    sleeper.write_text(
        '#!/bin/sh\necho \'{"doing": "x", "done": 1, "total": 2}\'\nexec sleep 1000\n'
    )
    sleeper.chmod(stat.S_IRWXU)
    other = AdminBox(box.folder / "other")
    python = f'python = "{sleeper}"'
    changed = [python if one.startswith("python =") else one for one in settings.splitlines()]
    (other.folder / "admin.toml").write_text("\n".join(changed) + "\n")
    other.start()
    try:
        looking = AdminClient(other.socket).look("fsck")
        assert (await anext(looking))["done"] == 1
        assert children(other), "nothing looks"
        await looking.aclose()
        await until(lambda: not children(other))
    finally:
        other.stop()


def write_program(text: str) -> None:
    """In place of `chopmark` in this process."""
    Path(diagnosing.CHOPMARK[0]).write_text(text)


async def test_program_that_is_killed_is_no_good_end(box: AdminBox, api: SocketApi) -> None:
    assert api is not None
    write_program('#!/bin/sh\necho \'{"id": "hk-1", "findings": []}\'\nkill -9 $$\n')
    looking = diagnosing.check_ledgers(box.config)
    assert isinstance(await anext(looking), diagnosing.Checked)
    with pytest.raises(ChopmarkError, match="ended with -9"):
        await anext(looking)


async def test_service_that_is_away_leaves_the_console_to_look_for_itself(
    box: AdminBox, api: SocketApi
) -> None:
    assert api is not None
    with pytest.raises(UnreachableError):
        await anext(AdminClient(box.folder / "none").look("fsck"))
    away = AdminClient(box.folder / "none")
    with pytest.raises(ChopmarkError, match="no access"):
        await anext(diagnosing.check_ledgers(box.config, away))


def test_all_checks_that_need_no_network_are_in_the_table() -> None:
    assert {*get_args(Check), *reaching.CHECKS} == set(CHECKS)


def children(box: AdminBox) -> list[Any]:
    assert box.service is not None
    pid = box.service.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

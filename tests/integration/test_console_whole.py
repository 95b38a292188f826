"""The whole console as it is installed, but for systemd: technicians on a line, and a real gateway.

Its program signs technicians in, has root change the box, and its records are in the audit log.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adminbox import AdminBox
from chopmark.console.access.waits import FREE
from chopmark.console.gateway import SocketApi
from consolebox import Person, console, enrol, plugged
from rig.patience import PATIENCE
from serialline import SerialLine


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        made.init()
        made.do("unit-start", unit="gateway")
        made.wait_for(made.is_up, "the daemon to answer")
        yield made
    finally:
        made.close()


@pytest.fixture
async def anna(box: AdminBox, tmp_path: Path) -> AsyncIterator[Person]:
    """Whoever sits at the far end."""
    await enrol(tmp_path)
    with SerialLine() as line, console(line, tmp_path, box.config, box.socket):
        async with plugged(line) as made:
            yield made


async def how_it_is(box: AdminBox) -> list[Any]:
    """State, readiness, alarms and HSM of the gateway."""
    async with SocketApi(box.api) as api:
        status = await api.get("/v1/status", seconds=PATIENCE)
    return [
        *(status[name] for name in ("state", "ready", "reasons", "alarms")),
        status["hsm"]["state"],
    ]


async def records(box: AdminBox, count: int) -> list[dict[str, Any]]:
    """What of the console is in the gateway's audit log, once it is so many."""
    async with SocketApi(box.api) as api, asyncio.timeout(PATIENCE):
        while True:
            found = (await api.get("/v1/audit?after=-1&limit=500"))["records"]
            told = [one for one in found if one["action"].startswith("console.")]
            if len(told) >= count:
                return told
            await asyncio.sleep(0.1)


async def test_what_technicians_do_and_are_refused_is_in_the_audit_log(
    box: AdminBox, anna: Person
) -> None:
    before = box.config.read_bytes()
    await anna.sign_in("ho")
    await anna.type("configure jurisdiction MO\r")
    assert "E-1707: `configure jurisdiction` needs the role service" in await anna.prompt()
    await anna.type("exit\r")
    await anna.expect("Press Enter")
    await anna.sign_in("chan")
    await anna.type("conf jur mo\r")
    assert '+jurisdiction = "MO"' in await anna.prompt()
    await anna.type("configure discard\r")
    await anna.prompt()
    assert box.config.read_bytes() == before
    told = [(one["action"], one["outcome"], one["about"]) for one in await records(box, 10)]
    assert [(about["technician"], action, outcome) for action, outcome, about in told] == [
        ("ho", "console.login", "done"),
        ("ho", "console.session", "begun"),
        ("ho", "console.command", "console-role"),
        ("ho", "console.session", "ended"),
        ("chan", "console.login", "done"),
        ("chan", "console.session", "begun"),
        *[("chan", "console.command", outcome) for outcome in ("begun", "done") * 2],
    ]
    assert told[2][2]["command"] == "configure jurisdiction"
    assert told[6][2]["command"] == "configure jurisdiction PLACE=mo"


async def test_wrong_code_is_refused_and_in_the_audit_log(box: AdminBox, anna: Person) -> None:
    count = len(await records(box, 0))
    seen = await anna.sign_in_wrongly("lee")
    assert "E-1800" in seen
    refused = (await records(box, count + 1))[count]
    assert (refused["about"]["technician"], refused["outcome"]) == ("lee", "login-refused")


async def test_pin_that_was_refused_is_replaced_unseen_and_recorded_nowhere(
    box: AdminBox, anna: Person, tmp_path: Path
) -> None:
    pin = box.token.read_pin()
    await asyncio.to_thread(box.do, "pin-put", pin="none-such")
    await asyncio.to_thread(box.do, "unit-restart", unit="gateway")
    await asyncio.to_thread(box.wait_for, box.is_up, "the daemon to answer")
    await anna.sign_in("chan")
    shown = ""
    async with asyncio.timeout(PATIENCE):
        while "E-1043 HSM latched: " not in shown:  # it waits for the daemon for a moment only
            await anna.type("show status | include E-1043\r")
            shown = await anna.prompt()
    await anna.type("hsm pin\r")
    seen = await anna.expect("Type TRY to have one tried all the same: ")
    assert "counted wrong PINs already" in " ".join(seen.split())
    await anna.type("TRY\r")
    seen += await anna.expect("PIN of the HSM: ")
    await anna.type(f"{pin}\r")
    seen += await anna.expect("Type yes: ")
    await anna.type("yes\r")
    seen += await anna.prompt()
    assert "HSM  ready" in seen
    assert (box.pins / "hsm-pin").read_text() == pin
    assert pin not in seen + (tmp_path / "console.log").read_text()
    assert pin not in str(await records(box, 0))


async def test_health_is_shown_on_one_screen_of_the_terminal(anna: Person) -> None:
    await anna.sign_in("chan")
    await anna.type("show status\r")
    lines = (await anna.prompt()).split("\r\n")
    assert len(lines) <= 24
    assert all(len(line) < 80 for line in lines)
    assert lines[1].startswith("hk-1  ")


async def test_wait_after_wrong_sign_ins_outlives_a_kill_and_the_gateway_does_not_notice(
    box: AdminBox, tmp_path: Path
) -> None:
    await enrol(tmp_path)
    async with asyncio.timeout(PATIENCE):
        while not (before := await how_it_is(box))[1]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    with SerialLine() as line:
        with console(line, tmp_path, box.config, box.socket) as pid:
            async with plugged(line) as anna:
                told = await anna.try_in_vain("lee", FREE + 1)
            os.kill(pid, signal.SIGKILL)
        with console(line, tmp_path, box.config, box.socket):
            async with plugged(line) as anna:
                told += await anna.try_in_vain("lee", 1)
    assert ["E-1800" in one for one in told] == [True] * FREE + [False, False]
    assert re.search(r"do: wait \d+ s", told[FREE - 1])
    assert all(re.search(r"E-1801.*wait \d+ s", one) for one in told[FREE:])
    assert await how_it_is(box) == before

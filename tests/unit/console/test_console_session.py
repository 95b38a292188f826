import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chopmark.console import seat
from chopmark.console.desk import HungUpError
from chopmark.console.idle import Limits
from chopmark.console.session import serve
from chopmark.core.errors import UnreachableError
from consoledesk import QueueWire, wire_pair
from consolestand import PIN, Stand, Technician
from rig.patience import PATIENCE

READY = {"state": "ready", "alarms": []}
ALLOWED = re.compile(r"[^\x00-\x1f\x7f-\x9f]|[\r\n\b\a]")


@asynccontextmanager
async def console(stand: Stand, **given: Any) -> AsyncIterator[tuple[Technician, QueueWire]]:
    """A console at the far end of a line in memory."""
    near, far = wire_pair()
    task = asyncio.create_task(serve(far, stand.house(**given)))
    try:
        yield Technician(near), near
    finally:
        near.hang_up()
        with suppress(HungUpError):
            await task


def leap(seconds: float) -> None:
    """Set the loop's clock forward: limits that are as short as a test may be busy machines break.

    What was typed counts as heard once it was shown; leap after that.
    """
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    made = Stand(tmp_path)
    made.gateway.gets["/v1/status"] = READY
    (tmp_path / "gateway.toml").write_text("no configuration of any sense")
    return made


async def test_banner_tells_box_version_and_alarms_and_nothing_secret(stand: Stand) -> None:
    stand.gateway.gets["/v1/status"] = {"state": "degraded", "alarms": [1, 2, 3]}
    async with console(stand) as (anna, _):
        await anna.type("\r\n")
        seen = await anna.expect("Technician id: ")
    assert "version 0.1.0" in seen
    assert "alarms: 3" in seen
    assert "serial" not in seen


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
async def test_any_enter_wakes_it_and_ends_lines(stand: Stand, end: str) -> None:
    async with console(stand) as (anna, _):
        await anna.type(end)
        await anna.expect("Technician id: ")
        await anna.type(f"anna{end}{PIN}{end}")
        await anna.expect("Signed in as anna")
        await anna.expect("(service)>")
        await anna.type(f"test echo hello{end}")
        await anna.expect("anna SERVICE: hello")


async def test_text_that_is_no_enter_does_not_wake_it(stand: Stand) -> None:
    async with console(stand) as (anna, wire):
        await anna.type("login: root \x00\x03")
        await asyncio.sleep(0)
        assert wire.incoming.empty()
        await anna.type("\r")
        await anna.expect("Technician id: ")


async def test_pin_is_not_shown(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        seen = await anna.sign_in()
    assert PIN not in seen


async def test_three_refusals_send_it_back_to_sleep(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.type("\r")
        for _ in range(3):
            await anna.expect("Technician id: ")
            await anna.type("anna\r0000\r")
            await anna.expect("id or PIN is wrong; do: try again; 4 attempts are left")
        await anna.expect("Press Enter")
        assert "Signed in" in await anna.sign_in()


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (READY, ")>"),
        ({"state": "degraded", "alarms": []}, ")[DEGRADED]>"),
        (UnreachableError("gateway-unreachable", "gone"), ")[DOWN]>"),
        ("nonsense", ")[DOWN]>"),
    ],
)
async def test_prompt_shows_role_and_state(stand: Stand, status: object, shown: str) -> None:
    stand.gateway.gets["/v1/status"] = status
    async with console(stand) as (anna, _):
        await anna.sign_in("olga")
        await anna.type("\r")
        assert f"(observe{shown}" in await anna.expect(f"(observe{shown}")


async def test_box_without_configuration_is_bare(stand: Stand) -> None:
    (stand.folder / "gateway.toml").unlink()
    async with console(stand) as (anna, _):
        assert "not commissioned" in await anna.sign_in()
        await anna.type("\r")
        await anna.expect("[BARE]>")


async def test_prompt_does_not_wait_for_a_daemon_that_hangs(stand: Stand) -> None:
    async def get(path: str, *, seconds: float = 3.0) -> object:
        await asyncio.Event().wait()
        return path, seconds

    stand.gateway.get = get  # type: ignore[method-assign]
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("\r")
        await anna.expect("[?]>")


async def test_question_mark_lists_and_keeps_what_was_typed(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("factory ?")
        assert "all is lost (two technicians)" in await anna.expect("> factory ")
        await anna.type("?")
        await anna.expect("> factory ")
        await anna.type('x" ?')
        assert anna.screen.row.endswith("> factory")
        await anna.expect('x" ?')


async def test_tab_completes_in_the_middle_of_a_line(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("te ec hello" + "\x1b[D" * 9 + "\t")
        await anna.type("\x05\r")
        await anna.expect("may be")
        await anna.type("tes\tec\thello\r")
        await anna.expect("anna SERVICE: hello")


async def test_output_stops_page_by_page(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("show long\r")
        assert "line 23 " in await anna.expect("--more--")
        await anna.type("\r")
        assert "line 24 " in await anna.expect("--more--")
        await anna.type(" ")
        assert "line 47 " in await anna.expect("--more--")
        await anna.type("q")
        await anna.expect(")>")
        await anna.type("sh lo | no-more\r")
        assert "--more--" not in await anna.expect("line 100 ")
        await anna.type("terminal length 0\rsh lo\r")
        assert "--more--" not in await anna.expect("line 100 ")


async def test_output_is_filtered(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        seen = await anna.command('show long | include "line 10"')
        assert [line[:8] for line in seen.split("\r\n")[:2]] == ["line 10 ", "line 100"]


async def test_escape_sequences_in_output_are_shown_inert(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("show long\r")
        assert "line 1 \\x1b[2J end" in await anna.expect("--more--")


async def test_control_c_ends_what_runs_and_drops_what_was_typed_ahead(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("configure hang\r")
        await anna.expect("hanging")
        await anna.type("test echo ahead\r\x03test echo after\r")
        assert "ahead" not in await anna.expect("SERVICE: after")
    outcomes = [outcome for _, action, outcome, _ in stand.recorder.records if "comm" in action]
    assert outcomes == ["begun", "broken-off"]


async def test_control_c_gives_up_a_line_and_a_question(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("nonsense")
        await anna.expect("nonsense")
        await anna.type("\x03")
        await anna.expect("^C\r\n")
        await anna.type("configure name\r")
        await anna.expect("Name [gw-a1]: ")
        await anna.type("x")
        await anna.expect("x")
        await anna.type("\x03")
        await anna.expect("^C\r\n")
        await anna.type("configure name\r\r")
        await anna.expect("name is gw-a1")


async def test_error_is_one_line_and_the_console_goes_on(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        assert "E-1042: the token has refused the PIN; do:" in await anna.command("show hsm")
        assert "E-1000: internal error: ZeroDivisionError" in await anna.command("show broken")
        assert "E-1700: 'x' is not known here" in await anna.command("x")


async def test_what_a_role_may_not_is_refused_and_recorded(stand: Stand) -> None:
    async with console(stand) as (olga, _):
        await olga.sign_in("olga")
        for line in ("configure name", "factory reset x"):
            await olga.type(f"{line}\r")
            await olga.expect("E-1707")
    refused = [record for record in stand.recorder.records if record[2] == "console-role"]
    assert [record[3]["command"] for record in refused] == ["configure name", "factory reset"]


async def test_dangerous_command_takes_two_and_the_serial_number(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand.folder / "label").write_text("CM-0042\n")
    monkeypatch.setattr("chopmark.console.device.SERIALS", (stand.folder / "label",))
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type(f"factory reset x\ranna\r{PIN}\r")
        await anna.expect("the second one is another")
        await anna.type(f"factory reset x\rbo\r{PIN}\rCM-0041\r")
        await anna.expect("E-1708: that is not the serial number")
        await anna.type(f"factory reset x\rbo\r{PIN}\rcm-0042\r")
        await anna.expect("anna+bo DUAL: x")
        await anna.type("test echo alone\r")
        await anna.expect("anna SERVICE: alone")
    done = [r for r in stand.recorder.records if r[0] == "anna+bo"]
    assert [outcome for _, _, outcome, _ in done] == ["console-serial", "begun", "done"]
    assert done[1][3] == {"command": "factory reset TEXT=x", "port": "ttyS0"}


@pytest.mark.parametrize("leave", ["exit\r", "ex\r", "\x04"])
async def test_leaving_asks_for_a_new_sign_in(stand: Stand, leave: str) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type(leave)
        await anna.expect("Press Enter")
        await anna.type("\r")
        await anna.expect("Technician id: ")
    ended = [record for record in stand.recorder.records if record[2] == "ended"]
    assert [record[3]["reason"] for record in ended] == ["logged-out"]


async def test_hang_up_ends_a_running_command_and_the_session(stand: Stand) -> None:
    near, far = wire_pair()
    task, anna = asyncio.create_task(serve(far, stand.house())), Technician(near)
    await anna.sign_in()
    await anna.type("configure hang\r")
    await anna.expect("hanging")
    near.hang_up()
    with pytest.raises(HungUpError):
        await task
    ended = [(outcome, about.get("reason")) for _, _, outcome, about in stand.recorder.records]
    assert ended[-2:] == [("broken-off", None), ("ended", "hung-up")]


async def test_idle_session_is_warned_and_ended(stand: Stand) -> None:
    limits = Limits(idle=600, warning=400, step=0.01)
    async with console(stand, limits=limits) as (anna, _):
        await anna.sign_in()
        await anna.type("half a li")
        await anna.expect("half a li")
        leap(300)
        await anna.expect("Any key stays.")
        await anna.expect("> half a li")
        leap(300)
        await anna.expect("nothing was typed for too long. Press Enter")
        await anna.type("\r")
        await anna.expect("Technician id: ")
    assert stand.recorder.records[-1][3]["reason"] == "idle"


@pytest.mark.parametrize("code", ["technician-removed", "technician-changed"])
async def test_session_ends_at_the_next_command_of_one_who_is_enrolled_no_more(
    stand: Stand, code: str
) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        assert "again" in await anna.command("test echo again")
        stand.login.removed = code
        await anna.type("configure name\r")
        seen = await anna.expect("Press Enter")
        assert "E-183" in seen
        assert "anna is not enrolled any more" in seen
        assert "Name" not in seen
        await anna.type("\r")
        await anna.expect("Technician id: ")
    assert stand.recorder.records[-1][3]["reason"] == code


async def test_sign_in_that_nobody_ends_frees_the_seat(stand: Stand) -> None:
    async with console(stand, limits=Limits(login=0.1, step=0.01)) as (anna, _):
        await anna.type("\r")
        await anna.expect("nothing was typed for too long")
        async with console(stand, port="ttyUSB0") as (bo, _):
            await bo.sign_in("bo")


async def test_command_that_works_is_not_idle_but_not_for_ever(stand: Stand) -> None:
    limits = Limits(idle=300, busy=900, warning=1, step=0.01)
    async with console(stand, limits=limits) as (anna, wire):
        await anna.type("\r")
        await anna.expect("Technician id: ")
        await anna.type(f"anna\r{PIN}\rtest hang\r")
        await anna.expect("hanging\r\n")
        leap(600)
        await asyncio.sleep(0.05)  # some times as long as from one look to the next
        assert wire.incoming.empty()
        leap(600)
        await anna.expect("too long")


async def test_second_port_is_told_who_holds_it(stand: Stand) -> None:
    async with console(stand) as (anna, _), console(stand, port="ttyUSB0") as (bo, _):
        await anna.type("\r")
        await anna.expect("Technician id: ")
        await bo.type("\r")
        await bo.expect("E-1709: somebody who has not signed in yet is at ttyS0")
        await anna.type(f"anna\r{PIN}\r")
        await anna.expect(")>")
        await bo.type("\r")
        await bo.expect("E-1709: anna is signed in on ttyS0 since ")
        await anna.type("exit\r")
        await anna.expect("Press Enter")
        await bo.sign_in("bo")


async def test_typing_alone_keeps_nobody_at_the_sign_in(stand: Stand) -> None:
    limits = Limits(login=1200, signing=600, step=0.01)
    async with console(stand, limits=limits) as (anna, _):
        await anna.type("\r")
        await anna.expect("Technician id: ")
        typing = asyncio.create_task(type_on(anna))
        leap(601)
        await anna.expect("Nobody has signed in for ten minutes.")
        typing.cancel()
        with suppress(asyncio.CancelledError):
            await typing


async def type_on(who: Technician) -> None:
    while True:
        await who.type("x\b")
        await asyncio.sleep(0.01)


async def test_second_port_takes_the_seat_from_one_who_does_not_sign_in(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "PATIENCE", PATIENCE)
    near, other = Limits(grace=0, step=0.01), console(stand, port="ttyUSB0")
    async with console(stand, limits=near) as (anna, _), other as (bo, _):
        await anna.type("\r")
        await anna.expect("Technician id: ")
        await anna.type("ann")
        await bo.sign_in("bo")
        await anna.expect("Somebody at another port takes over.")
        await anna.type("\r")
        await anna.expect("E-1709: bo is signed in on ttyUSB0 since ")
        assert not list(stand.folder.glob("*.wanted"))


async def test_who_has_signed_in_keeps_the_seat(stand: Stand) -> None:
    near, other = Limits(grace=0, step=0.01), console(stand, port="ttyUSB0")
    async with console(stand, limits=near) as (anna, _), other as (bo, _):
        await anna.sign_in()
        await bo.type("\r")
        await bo.expect("E-1709: anna is signed in on ttyS0 since ")
        assert "again" in await anna.command("test echo again")


async def test_seat_that_cannot_be_taken_is_told(stand: Stand) -> None:
    (stand.folder / "seat").mkdir()
    async with console(stand) as (anna, _):
        await anna.type("\r")
        await anna.expect("E-1710")


async def test_transfer_has_the_line_and_gives_it_back(stand: Stand) -> None:
    async with console(stand) as (anna, wire):
        await anna.sign_in()
        await anna.type("transfer raw\r")
        await anna.expect("raw\r\nraw\r\n")
        await wire.write(b"\x03\x00\xff")
        await wire.write(b".")
        data = b""
        while len(data) < 4:
            data += await wire.read()
        assert data == b".\xff\x00\x03"
        await anna.expect(")>")
        await anna.type("test echo again\r")
        await anna.expect("SERVICE: again")


async def test_language_width_and_ascii_are_set_for_the_session(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.command("terminal length 0")
        assert "仅限本次登录" in await anna.command("language zh-hans")
        assert "看" in await anna.command("help")
        await anna.command("terminal plain on")
        assert "look at something" in await anna.command("help")
        assert "UTF-8" in await anna.command("language zh-hant")
        await anna.command("terminal width 40")
        shown = await anna.command("help")
        assert max(map(len, shown.split("\r\n"))) < 60
        assert "E-1712" in await anna.command("terminal width 1000")
        assert "terminal width 40" in await anna.command("history")


async def test_line_that_is_too_long_is_not_taken(stand: Stand) -> None:
    async with console(stand) as (anna, _):
        await anna.sign_in()
        await anna.type("test echo " + "x" * 2000 + "\r")
        await anna.expect("more than 1024 characters")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([b"\r", b"\x1b[", b"?", b"\t"]))))
def test_any_bytes_leave_a_console_that_answers(tmp_path: Path, flood: list[bytes]) -> None:
    async def run() -> None:
        stand = Stand(tmp_path)
        async with console(stand) as (anna, wire):
            await anna.sign_in()
            for piece in flood:
                await wire.write(piece or b"\x00")
            await wire.write(b"\x03\x15")
            for _ in range(10):  # it may wait at a question, at a page, or for Enter
                await wire.write(b"\x03\r")
            # where somebody is signed in this is answered; else a new sign-in takes it for an id
            await wire.write(b"exit\r")
            await anna.expect("Press Enter")

    asyncio.run(run())

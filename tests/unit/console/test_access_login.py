"""Signing in as a technician does: what is asked and told, what is recorded, a new box, two."""

import asyncio
import re
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.console.access.judging import PAUSE
from chopmark.console.access.login import TechnicianLogin
from chopmark.console.access.pasting import paste
from chopmark.console.command import Role
from chopmark.console.commands import enrolment as commands
from chopmark.console.words import access
from chopmark.console.words.numbers import NUMBERS
from chopmark.core.enrolment import Person, open_enrolment
from chopmark.core.errors import ChopmarkError
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.note import DASH
from consoledesk import MemoryDesk, MemoryRecorder, surroundings
from rig.patience import PATIENCE
from technicians import CODE, HASH, PIN, Box, Telephone, authority, heading, signed


@pytest.fixture
async def box(tmp_path: Path) -> Box:
    made = Box(tmp_path / "console")
    await made.enrol()
    return made


def at_desk(*answers: str) -> MemoryDesk:
    return MemoryDesk(deque(answers))


def login(box: Box) -> tuple[TechnicianLogin, MemoryRecorder]:
    recorder = MemoryRecorder()
    return TechnicianLogin(box.access, recorder), recorder


async def refused(box: Box, who: TechnicianLogin, desk: MemoryDesk) -> str:
    with pytest.raises(ChopmarkError) as caught:
        await who.log_in(desk)
    assert box.slept[-1] == PAUSE
    return f"{caught.value.code}: {caught.value}"


def lines_of(data: bytes, dash: str = DASH) -> list[str]:
    return data.decode().replace(DASH, dash).splitlines()


@pytest.mark.parametrize(
    ("name", "role"), [("chan", Role.SERVICE), ("lee", Role.SERVICE), ("ho", Role.OBSERVE)]
)
async def test_technician_gets_the_role_of_the_enrolment(box: Box, name: str, role: Role) -> None:
    who, recorder = login(box)
    desk = at_desk(name, PIN, Telephone(name).by_clock(box.now))
    assert await who.log_in(desk) == (name, role)
    assert [secret for _, secret in desk.asked] == [False, True, True]
    about = {"role": role.name.lower(), "by": "clock"}
    assert recorder.records == [(name, "console.login", "done", about)]


async def test_enrolment_that_names_somebody_no_more_or_otherwise_ends_his_session(
    box: Box,
) -> None:
    who, _ = login(box)
    await who.check("chan", Role.SERVICE)
    people = (Person("chan", "observe"), Person("lee", "service"))
    await box.access.take(signed(heading(box.key, 2, people), HASH))
    await who.check("lee", Role.SERVICE)
    with pytest.raises(ChopmarkError, match="another role now: observe") as caught:
        await who.check("chan", Role.SERVICE)
    assert caught.value.code == "technician-changed"
    with pytest.raises(ChopmarkError, match="ho is not enrolled any more") as caught:
        await who.check("ho", Role.OBSERVE)
    assert caught.value.code == "technician-removed"
    (box.access.store.folder / "enrolment").write_bytes(b"damaged")
    await who.check("ho", Role.OBSERVE)  # somebody must be able to mend it


async def test_wrong_one_is_told_how_many_tries_are_left_and_recorded(box: Box) -> None:
    who, recorder = login(box)
    assert "4 tries are left, then one must wait" in await refused(
        box, who, at_desk("chan", PIN, "000000")
    )
    desk = at_desk("chan", "1", "000000")
    assert "3 tries are left" in await refused(box, who, desk)
    assert "4 tries are left before one must wait" in desk.text
    assert {record[:3] for record in recorder.records} == {
        ("chan", "console.login", "login-refused")
    }


async def test_enter_alone_is_no_id_and_no_try(box: Box) -> None:
    who, recorder = login(box)
    desk = at_desk("", "  ", "chan", PIN, Telephone("chan").by_clock(box.now))
    assert await who.log_in(desk) == ("chan", Role.SERVICE)
    assert [record[:3] for record in recorder.records] == [("chan", "console.login", "done")]


async def test_what_is_typed_for_an_id_that_nobody_has_is_not_recorded(box: Box) -> None:
    who, recorder = login(box)
    await refused(box, who, at_desk(PIN, "chan", "000000"))
    assert recorder.records == [("unknown", "console.login", "login-refused", {})]


@pytest.mark.parametrize(
    ("enrolled", "typed", "record"),
    [
        (True, ("chan", PIN, "000000"), ("chan", "console.login", "login-refused", {})),
        (False, ("enrol", "no code"), ("commissioning", "console.enrolment", "login-refused", {})),
    ],
)
async def test_ctrl_c_in_the_pause_after_a_wrong_try_leaves_its_record(
    tmp_path: Path, *, enrolled: bool, typed: tuple[str, ...], record: tuple[object, ...]
) -> None:
    box = Box(tmp_path / "console")
    if enrolled:
        await box.enrol()
    reached = asyncio.Event()

    async def pause(_seconds: float) -> None:
        reached.set()
        await asyncio.Event().wait()

    box.access.sleep = pause
    who, recorder = login(box)
    await break_off(who.log_in(at_desk(*typed)), reached)
    assert recorder.records == [record]


async def test_ctrl_c_while_a_try_is_judged_leaves_a_record(box: Box) -> None:
    reached = asyncio.Event()

    class Slow:
        async def check(self, _known: str | None, _pin: str) -> bool:
            reached.set()
            await asyncio.Event().wait()
            return True

    box.hasher = Slow()
    box.reopened()
    who, recorder = login(box)
    await break_off(who.log_in(at_desk("chan", PIN, "000000")), reached)
    assert recorder.records == [("chan", "console.login", "broken-off", {})]


async def break_off(work: Coroutine[Any, Any, object], reached: asyncio.Event) -> None:
    task = asyncio.create_task(work)
    async with asyncio.timeout(PATIENCE):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_must_wait_is_not_asked_for_a_pin_and_recorded_once(box: Box) -> None:
    who, recorder = login(box)
    for _ in range(5):
        await refused(box, who, at_desk("chan", "1", "2"))
    for _ in range(9):
        assert "wait 30 s" in await refused(box, who, at_desk("chan"))
    told = [record[2] for record in recorder.records]
    assert told == ["login-refused"] * 5 + ["console-wait"]


@pytest.mark.parametrize("kept", [True, False])
async def test_the_same_is_asked_whether_there_is_such_an_id(box: Box, *, kept: bool) -> None:
    box.kept = kept
    asked = []
    for name in ("chan", "nobody"):
        desk = at_desk(name, PIN, "000000")
        await refused(box, login(box)[0], desk)
        asked.append((desk.asked, desk.said))
    assert asked[0] == asked[1]
    assert ("counter" in asked[0][0][2][0]) == (not kept)


async def test_two_technicians_of_the_role_service_are_both(box: Box) -> None:
    who, recorder = login(box)
    desk = at_desk("lee", PIN, Telephone("lee").by_clock(box.now))
    assert await who.join(desk, "chan") == ("chan+lee", Role.DUAL)
    assert recorder.records[-1][:3] == ("lee", "console.dual", "done")
    assert recorder.records[-1][3]["first"] == "chan"


@pytest.mark.parametrize(
    ("second", "code"), [("chan", "same-technician"), ("ho", "second-not-service")]
)
async def test_second_is_another_one_of_the_role_service(box: Box, second: str, code: str) -> None:
    who, recorder = login(box)
    desk = at_desk(second, PIN, Telephone(second).by_clock(box.now))
    with pytest.raises(ChopmarkError) as caught:
        await who.join(desk, "chan")
    assert caught.value.code == code
    assert recorder.records[-1] == (second, "console.dual", code, {"first": "chan"})


async def test_second_needs_a_code_of_his_own(box: Box) -> None:
    who, _ = login(box)
    with pytest.raises(ChopmarkError) as caught:
        await who.join(at_desk("lee", PIN, Telephone("chan").by_clock(box.now)), "chan")
    assert caught.value.code == "login-refused"


@pytest.mark.parametrize("dash", [DASH, "- ", "? ", ""])
async def test_new_box_takes_its_first_enrolment_and_lets_its_technician_in(
    tmp_path: Path, dash: str
) -> None:
    """Also where the terminal has made something else of the dash."""
    box = Box(tmp_path / "console")
    who, recorder = login(box)
    data = signed(heading(box.key), HASH)
    code = Telephone("chan").by_clock(box.now)
    desk = at_desk("enrol", CODE, "", *lines_of(data, dash), "yes", "chan", PIN, code)
    assert await who.log_in(desk) == ("chan", Role.SERVICE)
    assert box.key.encode() in desk.text
    assert Fingerprint(encode_public(authority())).words in desk.text
    assert box.access.store.read_enrolment() == data
    assert [record[1:3] for record in recorder.records] == [
        ("console.enrolment", "done"),
        ("console.login", "done"),
    ]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((CODE[::-1],), "login-refused"),
        ((CODE, "hello"), "malformed-enrolment"),
        ((CODE, *("chopmark/enrolment/v1",) * 1024), "malformed-enrolment"),
        ((CODE, "chopmark/enrolment/v1", "", "x y"), "malformed-base64"),
        ((CODE, "FILE", "no"), "enrolment-not-confirmed"),
        ((CODE, "FILE", "y"), "enrolment-not-confirmed"),
    ],
)
async def test_new_box_takes_nothing_without_its_code_or_without_a_look_at_the_key(
    tmp_path: Path, answers: tuple[str, ...], code: str
) -> None:
    box = Box(tmp_path / "console")
    who, recorder = login(box)
    lines = lines_of(signed(heading(box.key), HASH))
    typed = [line for one in answers for line in (lines if one == "FILE" else [one])]
    with pytest.raises(ChopmarkError) as caught:
        await who.log_in(at_desk("enrol", *typed))
    assert caught.value.code == code
    assert recorder.records == [("commissioning", "console.enrolment", code, {})]
    assert await box.access.enrolment() is None


async def test_later_file_needs_its_signature_alone(box: Box) -> None:
    who, _ = login(box)
    data = signed(heading(box.key, 2), HASH)
    code = Telephone("ho").by_clock(box.now)
    desk = at_desk("ENROL", *lines_of(data), "ho", PIN, code)
    assert await who.log_in(desk) == ("ho", Role.OBSERVE)
    foreign = signed(heading(box.key, 3), HASH, seed=2)
    with pytest.raises(ChopmarkError) as caught:
        await who.log_in(at_desk("enrol", *lines_of(foreign)))
    assert caught.value.code == "no-known-signature"


async def test_commands_show_and_take(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "Access", lambda: box.access)
    desk = at_desk(*lines_of(signed(heading(box.key, 2), HASH)))
    around = surroundings(desk, who="chan")
    await commands.enrol(around, {})
    await commands.show_technicians(around, {})
    for told in ("enrolment number 2 is in force", "lee", "observe", box.key.encode(), "2027-"):
        assert told in desk.text
    await commands.take_enrolment(around, signed(heading(box.key, 3), HASH))
    with pytest.raises(ChopmarkError):
        await commands.take_enrolment(around, b"\x18" * 9999)
    told = [record[:3] for record in around.recorder.records]  # type: ignore[attr-defined]
    assert told == [
        ("chan", "console.enrolment", "done"),
        ("chan", "console.enrolment", "done"),
        ("chan", "console.enrolment", "malformed-note"),
    ]


def test_codes_on_the_page_have_numbers() -> None:
    page = Path(__file__).parents[3] / "docs/operations/console-access.md"
    table = page.read_text().partition("| code | what it means")[2].partition("\n\n")[0]
    codes = [
        one
        for row in table.splitlines()[2:]
        for one in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    ]
    assert len(codes) > 10
    assert set(codes) <= NUMBERS.keys()


@given(st.lists(st.text(max_size=40), max_size=40))
def test_whatever_is_pasted_is_taken_or_refused(lines: list[str]) -> None:
    made = [*lines, "chopmark/enrolment/v1", *lines, "", "end end"]
    answers = MemoryDesk(deque(one.replace("\x03", "") for one in made))
    try:
        data = asyncio.run(paste(answers))
    except ChopmarkError:
        return
    with pytest.raises(ChopmarkError):
        open_enrolment(data, None)


def test_words_are_there_in_all_languages() -> None:
    assert access.EN.keys() == access.ZH_HANS.keys() == access.ZH_HANT.keys()
    numbered = {one.removeprefix("error.") for one in access.EN if one.startswith("error.")}
    assert numbered <= NUMBERS.keys()
    named = {one.help for one in commands.COMMANDS}
    assert named <= access.EN.keys()

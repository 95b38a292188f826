"""`transfer` at a desk over a real pty, with a technician's `rz`, `sz` and log at the other end."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chopmark.console.commands.transfer import COMMANDS
from chopmark.console.desk import InterruptedByUserError
from chopmark.console.transfer import receive_file, send_file
from chopmark.console.transfer.folder import MAX_FILES, Folder
from chopmark.console.transfer.lines import read_lines
from chopmark.core.armour import END, ArmourReader, armour
from chopmark.core.errors import ChopmarkError, RefusedError
from consoledesk import MemoryDesk, MemoryRecorder, surroundings
from rig.patience import PATIENCE
from serialline import PtyWire, SerialLine, end_far, start_far

DATA = bytes(range(256)) * 20
RUN = {command.path[1]: command.run for command in COMMANDS}


class Technician:
    """A desk whose line is a real one, and its far end."""

    def __init__(self, folder: Path) -> None:
        self.line = SerialLine()
        self.folder = folder
        self.files = Folder(folder / "state" / "files")
        self.desk = MemoryDesk()
        self.desk.wire = PtyWire(self.line.box)  # type: ignore[assignment]
        self.recorder = MemoryRecorder()
        self.around = surroundings(self.desk, recorder=self.recorder)
        self.far = PtyWire(self.line.far)

    async def do(self, verb: str, **given: str) -> None:
        await RUN[verb](self.around, given)

    async def read_until(self, what: str) -> str:
        seen = b""
        async with asyncio.timeout(PATIENCE):
            while what.encode() not in seen:
                seen += await self.far.read()
        return seen.decode()

    async def type(self, *lines: str) -> None:
        await self.far.write("".join(f"{line}\r" for line in lines).encode())


@pytest.fixture
async def technician(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Technician]:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/state:{tmp_path}/other")
    made = Technician(tmp_path)
    yield made
    made.far.close()
    made.desk.wire.close()  # type: ignore[attr-defined]
    made.line.close()


async def test_file_goes_out_by_zmodem_and_is_recorded(technician: Technician) -> None:
    technician.files.add("report.txt", DATA)
    far = start_far(technician.line, ["rz", "-q", "-b"], technician.folder)
    await technician.do("send", FILE="report.txt", WAY="zmodem")
    assert await end_far(far) == 0
    assert (technician.folder / "report.txt").read_bytes() == DATA
    assert "report.txt sent: 5,120 bytes" in technician.desk.text
    ((who, action, outcome, about),) = technician.recorder.records
    assert (who, action, outcome) == ("tech-7", "console.file-sent", "done")
    assert (about["file"], about["size"], len(about["sha256"])) == ("report.txt", "5120", 64)


async def test_file_comes_in_by_zmodem_is_listed_and_removed(technician: Technician) -> None:
    (technician.folder / "a b.json").write_bytes(DATA)
    far = start_far(technician.line, ["sz", "-q", "-b", "a b.json"], technician.folder)
    await technician.do("receive", WAY="zmodem")
    assert await end_far(far) == 0
    assert technician.files.read("a_b.json") == DATA
    await technician.do("list")
    assert "       5,120  a_b.json" in technician.desk.said
    await technician.do("remove", FILE="a_b.json")
    assert technician.files.sizes() == {}
    actions = [action for _, action, _, _ in technician.recorder.records]
    assert actions == ["console.file-received", "console.file-removed"]


async def test_file_goes_out_as_armour_and_single_blocks_again(technician: Technician) -> None:
    technician.files.add("report.txt", DATA)
    reader = ArmourReader(10_000)
    for given in ({"WAY": "armour"}, {"BLOCKS": "2,5"}):
        sending = asyncio.create_task(technician.do("send", FILE="report.txt", **given))
        log = await technician.read_until(END)
        await sending
        for line in log.splitlines():
            reader.feed(line)
    (found,) = reader.files.values()
    assert found.data() == DATA
    assert sum(line.startswith("block ") for line in log.splitlines()) == 2


async def test_ctrl_c_ends_a_long_armour(technician: Technician) -> None:
    sending = asyncio.create_task(
        send_file(technician.desk, "x", bytes(2**20), way="armour")  # type: ignore[arg-type]
    )
    await technician.read_until("block 3 ")
    await technician.far.write(b"\x03")
    with pytest.raises(InterruptedByUserError):
        await sending


async def test_file_is_pasted_slowly_and_missing_blocks_are_asked_for(
    technician: Technician,
) -> None:
    lines = list(armour("roster.note", DATA))
    receiving = asyncio.create_task(technician.do("receive", WAY="armour"))
    for line in lines[:30] + lines[31:]:
        await technician.type(line)
    asked = await technician.read_until("--blocks 2)")
    assert "Blocks 2 are missing" in asked
    await technician.type("", *armour("roster.note", DATA, [2]))
    await receiving
    assert technician.files.read("roster.note") == DATA


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (b"\x03", "interrupted"),
        (b"hello\r\x04", "no-armour"),
        ("\r".join([*list(armour("a", DATA))[:9], "\x04"]).encode(), "armour-incomplete"),
        ("\r".join([*armour("a", bytes(2000)), ""]).encode(), "file-too-large"),
        (os.urandom(9000).replace(b"\x04", b"\x03") + b"\x03", "interrupted"),
        (b"x" * 100_000 + b"\x03", "interrupted"),
    ],
)
async def test_pasting_ends_with_an_error(technician: Technician, typed: bytes, code: str) -> None:
    limit = 1000 if code == "file-too-large" else 10_000
    receiving = asyncio.create_task(
        receive_file(technician.desk, "roster", way="armour", limit=limit)  # type: ignore[arg-type]
    )
    await technician.far.write(typed)
    with pytest.raises(ChopmarkError) as caught:
        await receiving
    assert caught.value.code == code


async def test_paste_that_trickles_has_its_time(technician: Technician) -> None:
    async def trickle() -> None:
        while True:
            await technician.far.write(b"x")
            await asyncio.sleep(0.01)

    typing = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(PATIENCE), technician.desk.raw() as wire:
            with pytest.raises(ChopmarkError) as caught:
                await read_lines(wire, 1000, str, longest=0.2)
    finally:
        typing.cancel()
    assert caught.value.code == "transfer-late"


async def test_code_goes_out_past_the_pager(technician: Technician) -> None:
    technician.files.add("vkey", b"bank-hk.example/hk-1+f605b07b+Aj")
    sending = asyncio.create_task(technician.do("send", FILE="vkey", WAY="qr"))
    shown = await technician.read_until("\r\n" * 1)
    await sending
    assert set(shown) <= set("█▀▄ \r\n\ufffd")


async def test_tall_code_is_announced(technician: Technician) -> None:
    technician.desk.answers.append("")
    await send_file(technician.desk, "csr", b"x" * 400, way="qr")  # type: ignore[arg-type]
    assert "needs a window of" in technician.desk.text


async def test_way_is_asked_for_and_may_be_abbreviated(technician: Technician) -> None:
    technician.desk.answers.extend(["arm", "z2"])
    sending = asyncio.create_task(send_file(technician.desk, "x", b""))  # type: ignore[arg-type]
    await technician.read_until(END)
    await sending
    with pytest.raises(ChopmarkError) as caught:
        await receive_file(technician.desk, "x")  # type: ignore[arg-type]
    assert caught.value.code == "no-such-way"


async def test_nothing_in_the_folder_is_overwritten(technician: Technician) -> None:
    technician.files.add("a", b"old")
    with pytest.raises(ChopmarkError) as caught:
        technician.files.add("a", b"new")
    assert caught.value.code == "file-exists"
    assert technician.files.read("a") == b"old"


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a\x1b[31m", "", "x" * 300, "link"])
async def test_name_that_is_no_file_of_the_folder_is_missing(
    technician: Technician, name: str
) -> None:
    technician.files.add("a", b"")
    (technician.files.path / "link").symlink_to("/etc/passwd")
    for verb in ("send", "remove"):
        with pytest.raises(ChopmarkError) as caught:
            await technician.do(verb, FILE=name)
        assert caught.value.code == "no-such-file"
        assert caught.value.message.isprintable()


async def test_folder_is_bounded(technician: Technician, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.console.transfer.folder.MAX_FILE", 4)
    with pytest.raises(RefusedError, match="more than 4"):
        technician.files.add("big", b"12345")
    for number in range(MAX_FILES):
        technician.files.add(f"f{number}", b"")
    with pytest.raises(RefusedError) as caught:
        await technician.do("receive", WAY="zmodem")
    assert caught.value.code == "folder-full"

"""`firmware receive` over a real pair of ptys, with a technician's real `sz` at the far end."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256, shake_128
from pathlib import Path

import pytest

from chopmark.console.commands import firmware_receive
from chopmark.console.desk import InterruptedByUserError
from chopmark.core.errors import ChopmarkError
from chopmark.service.storage import Space
from consoledesk import MemoryDesk, MemoryRecorder, surroundings
from rig.patience import PATIENCE
from serialline import PtyWire, SerialLine, end_far, start_far

MIB = 2**20
DATA = shake_128(b"a bundle").digest(2 * MIB)
NAME, NOTE = "chopmark-0.2.0-x86-64.raucb", "chopmark-0.2.0-x86-64.note"
(COMMAND,) = firmware_receive.COMMANDS


class Technician:
    """A desk whose line is a real one, and the folder of its far end."""

    def __init__(self, folder: Path, rate: int = 0) -> None:
        self.line, self.here = SerialLine(rate), folder / "laptop"
        self.here.mkdir(exist_ok=True)
        self.there = folder / "state/firmware"
        self.desk, self.recorder = MemoryDesk(), MemoryRecorder()
        self.desk.wire = PtyWire(self.line.box)  # type: ignore[assignment]
        self.around = surroundings(self.desk, recorder=self.recorder)

    async def send(self, *names: str, stop: int | None = None) -> int:
        """Bring files; with `stop` the line goes once so many bytes are there. How `sz` ended."""
        process = start_far(self.line, ["sz", "--quiet", "--binary", "--", *names], self.here)
        try:
            work = asyncio.ensure_future(COMMAND.run(self.around, {}))
            if stop is not None:
                await self._until_there(stop)
                process.kill()
                work.cancel()
            try:
                await work
            except asyncio.CancelledError:
                return -1
            return await end_far(process)
        finally:
            process.kill()
            process.wait()

    async def _until_there(self, size: int) -> None:
        part = self.there / "incoming" / NAME
        async with asyncio.timeout(PATIENCE):
            while not part.exists() or part.stat().st_size < size:  # noqa: ASYNC110 - rz fulfils it
                await asyncio.sleep(0.01)

    def close(self) -> None:
        self.desk.wire.close()  # type: ignore[attr-defined]
        self.line.close()


@pytest.fixture
async def technician(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Technician]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    made = Technician(tmp_path)
    (made.here / NAME).write_bytes(DATA)
    (made.here / NOTE).write_bytes(b"a note\n")
    yield made
    made.close()


async def test_both_files_arrive_where_root_finds_them(technician: Technician) -> None:
    assert await technician.send(NOTE, NAME) == 0
    assert (technician.there / "release.raucb").read_bytes() == DATA
    assert (technician.there / "release.note").read_bytes() == b"a note\n"
    assert list((technician.there / "incoming").iterdir()) == []
    assert "200 MB take 5 h 22 min" in technician.desk.text, "said before, at 115200 baud"
    assert sha256(DATA).hexdigest() in technician.desk.text
    assert "`firmware install`" in technician.desk.text
    assert {record[1] for record in technician.recorder.records} == {"console.file-received"}


async def test_one_file_alone_waits_for_the_other(technician: Technician) -> None:
    await technician.send(NOTE)
    assert "still to come" in technician.desk.text
    await technician.send(NAME)
    assert "`firmware install`" in technician.desk.text


async def test_line_that_breaks_is_gone_on_with(
    technician: Technician, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes the second time is no more than what was missing: the line counts it."""
    slow = Technician(tmp_path, 1_000_000)
    try:
        assert await slow.send(NAME, stop=MIB) == -1
    finally:
        slow.close()
    part = technician.there / "incoming" / NAME
    had = part.stat().st_size
    assert MIB <= had < len(DATA)
    counted = 0
    read = technician.desk.wire.read

    async def count() -> bytes:
        nonlocal counted
        data = await read()
        counted += len(data)
        return data

    monkeypatch.setattr(technician.desk.wire, "read", count)
    assert await technician.send(NAME) == 0
    assert (technician.there / "release.raucb").read_bytes() == DATA
    assert counted < (len(DATA) - had) * 1.2 + 65_536


async def test_break_behind_the_note_needs_no_more_than_both_again(
    technician: Technician, tmp_path: Path
) -> None:
    slow = Technician(tmp_path, 1_000_000)
    try:
        assert await slow.send(NOTE, NAME, stop=MIB) == -1
    finally:
        slow.close()
    assert await technician.send(NOTE, NAME) == 0
    assert (technician.there / "release.raucb").read_bytes() == DATA
    assert (technician.there / "release.note").read_bytes() == b"a note\n"
    assert "`firmware install`" in technician.desk.text


async def test_two_releases_at_once_are_refused(technician: Technician) -> None:
    (technician.here / "other.raucb").write_bytes(b"other")
    with pytest.raises(ChopmarkError) as caught:
        await technician.send(NAME, "other.raucb")
    assert caught.value.code == "too-many-files"
    assert list(technician.there.rglob("*.raucb")) == []


async def test_file_that_is_no_part_of_an_update_goes(technician: Technician) -> None:
    (technician.here / "notes.txt").write_bytes(b"x")
    with pytest.raises(ChopmarkError) as caught:
        await technician.send("notes.txt")
    assert caught.value.code == "transfer-nothing"
    assert list((technician.there / "incoming").iterdir()) == []


async def test_parts_of_another_release_go_with_one_that_arrives(technician: Technician) -> None:
    incoming = technician.there / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "chopmark-0.1.9-x86-64.raucb").write_bytes(b"half")
    await technician.send(NAME)
    assert list(incoming.iterdir()) == []
    assert (technician.there / "release.raucb").read_bytes() == DATA


@pytest.mark.parametrize("name", ["../outside.raucb", ".hidden.raucb", "sub/in.raucb"])
async def test_other_side_names_nothing_outside_of_the_folder(
    technician: Technician, tmp_path: Path, name: str
) -> None:
    (technician.here / "sub").mkdir()
    (technician.here / name).write_bytes(b"x")
    process = start_far(
        technician.line, ["sz", "--quiet", "--full-path", "--", name], technician.here
    )
    try:
        with pytest.raises(ChopmarkError) as caught:
            await COMMAND.run(technician.around, {})
        assert caught.value.code in ("transfer-nothing", "transfer-failed")
    finally:
        process.kill()
        process.wait()
    assert not list((tmp_path / "state").rglob("*.raucb"))


async def test_disk_that_would_be_over_its_alarm_takes_nothing(
    technician: Technician, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware_receive, "measure", lambda _: Space(91, 9))
    with pytest.raises(ChopmarkError) as caught:
        await COMMAND.run(technician.around, {})
    assert caught.value.code == "firmware-no-room"


async def test_disk_that_fills_ends_the_transfer(
    technician: Technician, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Space(0, int(MIB / 0.9))
    monkeypatch.setattr(firmware_receive, "measure", lambda _: room)
    with pytest.raises(ChopmarkError) as caught:
        await technician.send(NAME)
    assert caught.value.code == "firmware-no-room"
    part = technician.there / "incoming" / NAME
    assert part.stat().st_size < 1.2 * MIB


async def test_ctrl_c_before_anything_comes_leaves_nothing(technician: Technician) -> None:
    work = asyncio.ensure_future(COMMAND.run(technician.around, {}))
    far = PtyWire(technician.line.far)
    try:
        async with asyncio.timeout(PATIENCE):
            while b"**\x18B01" not in await far.read():
                pass
        await far.write(b"\x03")
        with pytest.raises(InterruptedByUserError):
            await work
    finally:
        far.close()
    assert list((technician.there / "incoming").iterdir()) == []

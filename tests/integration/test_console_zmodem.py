"""Files by ZMODEM over a real pair of ptys, with real `sz` and `rz` at both ends."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import shake_128
from pathlib import Path

import pytest

from chopmark.console.desk import HungUpError, InterruptedByUserError
from chopmark.console.transfer import zmodem
from chopmark.core.errors import ChopmarkError, RefusedError, UnreachableError
from rig.patience import PATIENCE
from serialline import PtyWire, SerialLine, end_far, start_far
from zmodemframes import ZFIN, ZRQINIT, file_frame, hex_header

MIB = 2**20
DATA = shake_128(b"a file").digest(MIB)
SLOW = 200_000
"""Bytes a second of a line on which the middle of a transfer can be met."""
NAME = "bundle.age"


@dataclass
class Scene:
    """A line, the console's end of it, and folders of the technician."""

    line: SerialLine
    wire: PtyWire
    folder: Path

    process: "subprocess.Popen[bytes] | None" = None

    def far_sends(self, *names: str, options: tuple[str, ...] = ()) -> "asyncio.Future[int]":
        return self._far(["sz", "--quiet", "--binary", *options, "--", *names])

    def far_receives(self) -> "asyncio.Future[int]":
        return self._far(["rz", "--quiet", "--binary"])

    def _far(self, command: list[str]) -> "asyncio.Future[int]":
        self.process = start_far(self.line, command, self.folder)
        return asyncio.ensure_future(end_far(self.process))

    def type(self, data: bytes) -> None:
        """What the technician types, or her terminal program sends."""
        end = os.open(self.line.far, os.O_RDWR | os.O_NOCTTY)
        os.write(end, data)
        os.close(end)


@contextmanager
def no_process_left() -> Iterator[None]:
    """Nothing runs afterwards that this process has started and not waited for."""
    yield
    own = Path("/proc/self/task").glob("*/children")
    names = [
        Path(f"/proc/{pid}/comm").read_text() for file in own for pid in file.read_text().split()
    ]
    assert not [name for name in names if name.strip() in ("sz", "rz")]


Make = Callable[..., Scene]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Scene] = []

    def scene(**about: object) -> Scene:
        line = SerialLine(**about)  # type: ignore[arg-type]
        made.append(Scene(line, PtyWire(line.box), tmp_path))
        return made[-1]

    with no_process_left():
        yield scene
        for one in made:
            if one.process is not None:
                one.process.kill()
                one.process.wait()
            one.wire.close()
            one.line.close()


def noise(every: int) -> Callable[[bytes], bytes]:
    """Put junk between the bytes, and lose one there, after each so many of them."""
    passed = 0

    def spoil(data: bytes) -> bytes:
        nonlocal passed
        before, passed = passed // every, passed + len(data)
        return data if passed // every == before else data[:9] + b"\x00~}\xff" + data[10:]

    return spoil


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another process fulfils it
            await asyncio.sleep(0.01)


async def test_mebibyte_goes_out(make: Make) -> None:
    scene = make()
    far = scene.far_receives()
    await zmodem.send(scene.wire, NAME, DATA)
    assert await far == 0
    assert (scene.folder / NAME).read_bytes() == DATA


async def test_mebibyte_comes_in(make: Make) -> None:
    scene = make()
    (scene.folder / NAME).write_bytes(DATA)
    far = scene.far_sends(NAME)
    assert await zmodem.receive(scene.wire, MIB) == [(NAME, DATA)]
    assert await far == 0


async def test_several_files_and_an_empty_one_come_in(make: Make) -> None:
    scene = make()
    for name in ("a", "B", "empty"):
        (scene.folder / name).write_bytes(b"" if name == "empty" else name.encode())
    far = scene.far_sends("a", "B", "empty")
    assert await zmodem.receive(scene.wire, 100) == [("B", b"B"), ("a", b"a"), ("empty", b"")]
    assert await far == 0


async def test_junk_on_the_line_is_sent_again(make: Make) -> None:
    scene = make(spoil=(noise(40_000), noise(40_000)))
    data = DATA[:300_000]
    far = scene.far_receives()
    await zmodem.send(scene.wire, NAME, data)
    assert await far == 0
    assert (scene.folder / NAME).read_bytes() == data
    far = scene.far_sends(NAME)
    assert await zmodem.receive(scene.wire, MIB) == [(NAME, data)]
    await far


async def test_file_that_the_far_end_has_is_not_overwritten(make: Make) -> None:
    scene = make()
    (scene.folder / NAME).write_bytes(b"mine")
    far = scene.far_receives()
    with pytest.raises(RefusedError) as caught:
        await zmodem.send(scene.wire, NAME, b"theirs")
    assert caught.value.code == "transfer-skipped"
    await far
    assert (scene.folder / NAME).read_bytes() == b"mine"


@pytest.mark.parametrize("stop", [b"\x03", b"\x18" * 5])
async def test_sending_is_cancelled_in_the_middle(make: Make, stop: bytes) -> None:
    scene = make(rate=SLOW)
    far = scene.far_receives()
    sending = asyncio.create_task(zmodem.send(scene.wire, NAME, DATA))
    await until((scene.folder / NAME).exists)
    scene.type(stop)
    with pytest.raises((InterruptedByUserError, RefusedError)) as caught:
        await sending
    assert caught.value.code == ("interrupted" if stop == b"\x03" else "transfer-cancelled")
    assert await far != 0
    scene.type(b"next")
    assert await scene.wire.read() == b"next"


async def test_receiving_is_cancelled_in_the_middle_by_the_far_end(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scene = make(rate=SLOW)
    (scene.folder / NAME).write_bytes(DATA)
    far = scene.far_sends(NAME)
    receiving = asyncio.create_task(zmodem.receive(scene.wire, MIB))
    await until(lambda: bool([*tmp_path.glob(f"chopmark-transfer-*/{NAME}")]))
    await asyncio.to_thread(scene.type, b"\x18" * 8)  # `sz` writes there, too
    with pytest.raises(RefusedError) as caught:
        await receiving
    assert caught.value.code == "transfer-cancelled"
    assert await far != 0
    scene.type(b"next")
    assert await scene.wire.read() == b"next"


async def test_ctrl_c_ends_waiting_for_a_file(make: Make) -> None:
    scene = make()
    receiving = asyncio.create_task(zmodem.receive(scene.wire, MIB))
    await far_sees(scene, b"**\x18B01")
    scene.type(b"\x03")
    with pytest.raises(InterruptedByUserError):
        await receiving


async def test_ctrl_c_inside_of_a_file_is_data(make: Make) -> None:
    scene = make(rate=SLOW)
    data = b"\x03" * 5000
    (scene.folder / NAME).write_bytes(data)
    far = scene.far_sends(NAME)
    assert await zmodem.receive(scene.wire, MIB) == [(NAME, data)]
    assert await far == 0


async def test_file_that_is_too_large_is_cut_off(make: Make) -> None:
    scene = make(rate=SLOW)
    (scene.folder / NAME).write_bytes(DATA)
    far = scene.far_sends(NAME)
    with pytest.raises(RefusedError) as caught:
        await zmodem.receive(scene.wire, 50_000)
    assert caught.value.code == "transfer-too-large"
    assert await far != 0


async def test_number_of_files_is_bounded(make: Make) -> None:
    scene = make()
    names = [f"f{number}" for number in range(zmodem.MAX_FILES + 1)]
    for name in names:
        (scene.folder / name).write_bytes(b"x")
    far = scene.far_sends(*names)
    with pytest.raises(RefusedError) as caught:
        await zmodem.receive(scene.wire, MIB)
    assert caught.value.code == "too-many-files"
    await far


async def test_escape_sequences_in_a_name_are_made_plain(make: Make) -> None:
    scene = make()
    name = "red\x1b[31m\nroster \u202eknil.txt"
    (scene.folder / name).write_bytes(b"x")
    far = scene.far_sends(name)
    ((plain, data),) = await zmodem.receive(scene.wire, MIB)
    assert (plain, data) == ("red_31m_roster_knil.txt", b"x")
    assert await far == 0


@pytest.mark.parametrize("name", ["{folder}/x", "../{parent}/x", "sub/x", ".hidden"])
async def test_path_from_the_far_end_is_refused(make: Make, name: str) -> None:
    scene = make()
    name = name.format(folder=scene.folder, parent=scene.folder.name)
    (scene.folder / name).parent.mkdir(exist_ok=True)
    (scene.folder / name).write_bytes(b"x")
    far = scene.far_sends(name, options=("--full-path",))
    with pytest.raises(RefusedError) as caught:
        await zmodem.receive(scene.wire, MIB)
    assert caught.value.code in ("transfer-nothing", "transfer-failed", "transfer-cancelled")
    await far


@pytest.mark.parametrize(
    "name",
    [b"../../etc/passwd", b"/etc/cron.d/x", b"a" * 300, b"a" * 5000, b"", b"..", b"|id", b"-y"],
)
async def test_hostile_name_writes_nowhere(
    make: Make, name: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scene = make()
    receiving = asyncio.create_task(zmodem.receive(scene.wire, MIB, begin=3, silence=3))
    await far_sees(scene, b"**\x18B01")
    scene.type(hex_header(ZRQINIT) + file_frame(name, 0) + hex_header(ZFIN))
    with pytest.raises(ChopmarkError):
        await receiving
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - a test may block


async def test_random_bytes_end_with_an_error(make: Make) -> None:
    scene = make()
    receiving = asyncio.create_task(zmodem.receive(scene.wire, 1000, begin=0.5, silence=0.5))
    for start in range(0, 200_000, 1000):
        if not receiving.done():
            await asyncio.to_thread(scene.type, DATA[start : start + 1000])
    with pytest.raises(ChopmarkError):
        await receiving


@pytest.mark.parametrize("way", ["out", "in"])
async def test_far_end_that_is_not_there_is_told(make: Make, way: str) -> None:
    scene = make()
    out = zmodem.send(scene.wire, NAME, DATA, begin=0.2)
    with pytest.raises(UnreachableError) as caught:
        await (out if way == "out" else zmodem.receive(scene.wire, MIB, begin=0.2))
    assert caught.value.code == "transfer-silent"
    if way == "in":
        out.close()


async def test_far_end_that_dies_in_the_middle_is_told(make: Make) -> None:
    scene = make(rate=SLOW)
    far = scene.far_receives()
    sending = asyncio.create_task(zmodem.send(scene.wire, NAME, DATA, silence=3))
    await until((scene.folder / NAME).exists)
    assert scene.process is not None
    scene.process.kill()
    with pytest.raises(UnreachableError):
        await sending
    await far


async def test_unplugging_ends_the_transfer(make: Make) -> None:
    scene = make(rate=SLOW)
    far = scene.far_receives()
    sending = asyncio.create_task(zmodem.send(scene.wire, NAME, DATA))
    await until((scene.folder / NAME).exists)
    await asyncio.to_thread(scene.line.close)
    with pytest.raises(HungUpError):
        await sending
    assert scene.process is not None
    scene.process.kill()
    await far


async def test_missing_lrzsz_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make()
    monkeypatch.setattr(zmodem, "SEND", ("sz-is-not-here",))
    with pytest.raises(ChopmarkError) as caught:
        await zmodem.send(scene.wire, NAME, b"")
    assert caught.value.code == "no-lrzsz"


async def far_sees(scene: Scene, what: bytes) -> None:
    """Read at the far end until this has come."""
    far = PtyWire(scene.line.far)
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while what not in seen:
            seen += await far.read()
    far.close()

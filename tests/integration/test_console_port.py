"""The console on a real pty pair, with pyserial on both ends; the sign-in is a stand-in."""

import asyncio
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from serial import Serial, SerialException, SerialTimeoutException

from chopmark.console import port
from chopmark.console.desk import HungUpError
from chopmark.console.port import Port, Settings, keep
from chopmark.console.session import serve
from chopmark.console.terminal import Terminal
from chopmark.core.errors import UnreachableError
from consolestand import Stand, Technician
from rig.patience import PATIENCE
from serialline import SerialLine

GONE: Final = (SerialException, OSError, termios.error)


class FarEnd:
    """The technician's end: pyserial, as a terminal program uses it, on a thread."""

    def __init__(self, path: str) -> None:
        self.serial = Serial(path, 115_200, timeout=0.05, write_timeout=PATIENCE)

    async def read(self) -> bytes:
        while True:
            data = await asyncio.to_thread(self._read)
            if data:
                return data

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self.serial.write, data)

    async def rubbish(self) -> None:
        """BREAK, and each byte but those that end a line or a session."""
        await asyncio.to_thread(self.serial.send_break, 0.01)
        await self.write(bytes(one for one in range(256) if one not in b"\r\n\x04"))

    def _read(self) -> bytes:
        return bytes(self.serial.read(max(1, self.serial.in_waiting)))


@asynccontextmanager
async def plugged(line: SerialLine, far: FarEnd | None = None) -> AsyncIterator[Technician]:
    far = far or FarEnd(line.far)
    try:
        yield Technician(far)
    finally:
        with suppress(*GONE):
            far.serial.close()


@asynccontextmanager
async def console(settings: Settings, stand: Stand) -> AsyncIterator[asyncio.Event]:
    """The event is set when it has opened its port: what was sent before is lost."""
    house, opened = stand.house(Path(settings.path).name), asyncio.Event()

    async def serve_opened(port: Port) -> None:
        opened.set()
        await serve(port, house, port.wait_enter)

    task = asyncio.create_task(keep(settings, serve_opened))
    try:
        yield opened
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "RETRY", 0.05)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    made = Stand(tmp_path)
    made.gateway.gets["/v1/status"] = {"state": "ready", "alarms": []}
    (tmp_path / "gateway.toml").write_text("")
    return made


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "gw-console"


@pytest.fixture
def ended(stand: Stand) -> asyncio.Event:
    made, record = asyncio.Event(), stand.recorder.record

    async def watched(who: str, action: str, outcome: str, **about: str) -> None:
        await record(who, action, outcome, **about)
        if outcome == "ended":
            made.set()

    stand.recorder.record = watched  # type: ignore[method-assign]
    return made


def point(link: Path, line: SerialLine | None) -> None:
    """What udev does with its link."""
    link.unlink(missing_ok=True)
    if line is not None:
        link.symlink_to(line.box)


async def _wait(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()
    event.clear()


async def test_technician_signs_in_completes_reads_help_pages_and_leaves(stand: Stand) -> None:
    with SerialLine() as line:
        async with console(Settings(line.box), stand) as opened, plugged(line) as anna:
            await _wait(opened)
            assert "Signed in as anna" in await anna.sign_in()
            await anna.type("sh\t")
            await anna.expect("show ")
            await anna.type("?")
            assert "a hundred lines" in await anna.expect("> show ")
            await anna.type("lo\r")
            assert "line 23 \\x1b[2J end" in await anna.expect("--more--")
            await anna.type("q")
            await anna.expect(")>")
            await anna.type("test hang\r")
            await anna.expect("hanging")
            await anna.type("\x03")
            await anna.expect(")>")
            await anna.type("exit\r")
            await anna.expect("Press Enter")


async def test_unplugging_signs_out_and_the_device_that_comes_back_is_served(
    stand: Stand, link: Path, ended: asyncio.Event
) -> None:
    first = SerialLine()
    point(link, first)
    async with console(Settings(str(link)), stand) as opened:
        await _wait(opened)
        async with plugged(first) as anna:
            await anna.sign_in()
            await anna.type("configure hang\r")
            await anna.expect("hanging")
            point(link, None)
            first.close()
            await _wait(ended)
        with SerialLine() as second:
            point(link, second)
            await _wait(opened)
            async with plugged(second) as anna:
                assert "Technician id" in await anna.sign_in()
    records = [(action, outcome) for _, action, outcome, _ in stand.recorder.records]
    assert records[:4] == [
        ("console.session", "begun"),
        ("console.command", "begun"),
        ("console.command", "broken-off"),
        ("console.session", "ended"),
    ]


async def test_port_that_is_not_there_yet_is_served_once_it_comes(stand: Stand, link: Path) -> None:
    async with console(Settings(str(link)), stand) as opened:
        with SerialLine() as line:
            point(link, line)
            await _wait(opened)
            async with plugged(line) as anna:
                await anna.sign_in()


async def test_second_port_is_told_who_holds_the_session(stand: Stand) -> None:
    with SerialLine() as one, SerialLine() as other:
        both = console(Settings(one.box), stand), console(Settings(other.box), stand)
        async with both[0] as first, both[1] as second, plugged(one) as anna, plugged(other) as bo:
            await _wait(first)
            await _wait(second)
            await anna.sign_in()
            await bo.type("\r")
            await bo.expect(f"E-1709: anna is signed in on {Path(one.box).name} since")


async def test_far_end_that_reads_nothing_is_signed_out(stand: Stand, ended: asyncio.Event) -> None:
    with SerialLine() as line:
        async with console(Settings(line.box, patience=0.2), stand) as opened:
            await _wait(opened)
            async with plugged(line) as anna:
                await anna.sign_in()
                for _ in range(40):  # more than all buffers on the way hold
                    await anna.type("terminal length 0\rshow long\r")
                await _wait(ended)
            assert stand.recorder.records[-1][3]["reason"] == "nobody-reads"


async def test_break_and_rubbish_on_the_line_are_survived(stand: Stand) -> None:
    with SerialLine() as line:
        async with (
            console(Settings(line.box), stand) as opened,
            plugged(line, far := FarEnd(line.far)) as anna,
        ):
            await _wait(opened)
            await anna.type("\x00\xff\xfe")
            await anna.sign_in()
            await far.rubbish()
            await anna.type("\x03\x15")
            await anna.type("test echo alive\r")
            await anna.expect("SERVICE: alive")


async def test_flood_is_held_up_and_takes_no_memory() -> None:
    with SerialLine() as line:
        near, far = Port(Settings(line.box)), Serial(line.far, write_timeout=0.2)
        with pytest.raises(SerialTimeoutException):
            await asyncio.to_thread(far.write, b"x" * 10_000_000)
        assert len(near._held) <= port._HELD + 4096
        assert await near.read()
        near.close()
        far.close()


async def test_port_that_somebody_else_has_is_not_taken() -> None:
    with SerialLine() as line:
        near = Port(Settings(line.box))
        with pytest.raises(UnreachableError, match="lock"):
            Port(Settings(line.box))
        near.close()


@pytest.mark.parametrize("path", ["/nonexistent/ttyS0", "/dev/null", "/"])
async def test_port_that_is_none_says_so(path: str) -> None:
    with pytest.raises(UnreachableError, match="cannot be opened"):
        Port(Settings(path))


async def test_modem_line_that_drops_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "LOOK", 0.01)
    up, seen = {"cd": True, "dsr": False}, asyncio.Event()

    def look(name: str) -> bool:
        seen.set()
        return up[name]

    # a pty has no such lines
    monkeypatch.setattr(Serial, "cd", property(lambda _: look("cd")))
    monkeypatch.setattr(Serial, "dsr", property(lambda _: look("dsr")))
    with SerialLine() as line:
        near = Port(Settings(line.box))
        await _wait(seen)
        up["cd"] = False
        with pytest.raises(HungUpError, match="CD has dropped"):
            await near.read()
        near.close()


async def test_speed_is_found_by_pressing_enter() -> None:
    with SerialLine() as line, Serial(line.far) as far:
        near = Port(Settings(line.box, bauds=(115_200, 9600)))
        waiting = asyncio.create_task(near.wait_enter())
        far.write(b"\x80")  # what Enter at 9600 baud looks like at 115200
        async with asyncio.timeout(PATIENCE):
            while near._serial.baudrate != 9600:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0)
        far.write(b"\r")
        await waiting
        assert near._serial.baudrate == 9600
        assert Terminal(near).speed == 9600, "as the person is told of a long transfer"
        near.close()


async def test_writing_to_a_port_that_is_gone_is_a_hang_up() -> None:
    line = SerialLine()
    near = Port(Settings(line.box))
    line.close()
    with pytest.raises(HungUpError):
        await near.write(b"x")
    near.close()

"""Anything that can come from a line, typed at the whole console; and what must hold meanwhile.

Real: the session with all its commands, the sign-in but for its hash, root's service, the daemon,
lrzsz. STAND-INS: the line is in memory, the clock of the sign-in is the test's, and so is
systemctl (`adminbox`).

What must hold:

1. Nothing is raised but a hang-up, and nothing is logged as an error.
2. What is sent is UTF-8 that prints, CR, LF, BS and BEL, and never reaches the last column; only
   a transfer that has the line sends what it likes.
3. After Ctrl-C there is a prompt, at which Enter works, wherever the console was.
4. What waits, what is remembered and the process itself stay within bounds.
5. No program that was started is left.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from unittest.mock import patch

from adminbox import AdminBox
from chopmark.console import session
from chopmark.console.access.login import TechnicianLogin
from chopmark.console.admin import AdminClient
from chopmark.console.command import Command
from chopmark.console.commands import load_commands
from chopmark.console.desk import HungUpError
from chopmark.console.gateway import SocketApi
from chopmark.console.input import TYPED_AHEAD
from chopmark.console.recording import open_recorder
from chopmark.console.session import House
from chopmark.console.terminal import KEPT, Terminal
from chopmark.console.wire.line import LONGEST
from consolescreen import Screen
from rig.patience import PATIENCE
from technicians import PIN, Box, Telephone

GROWTH: Final = 64 * 1024 * 1024
"""Bytes that the process may grow by, once it has warmed up."""
WARM: Final = 50
"""Rounds until then."""
ARGUMENTS: Final = (
    *("1", "0", "-1", "24", "99999999999999999999", "1e3", "a" * 300, '"a b"', '"', "'", "|", "?"),
    *("中文", "\u202e\u0301", "\U0001f600" * 40, "e\u0301" * 30, "%s{0}{x}", "../../etc/passwd"),
    *("hk-1", "hk-1.toml", "127.0.0.1", "8883", "tls", "zh-Hans", "zh-Hant", "en", "zmodem", "qr"),
    *(
        "armour",
        "now",
        "yes",
        "no",
        "| no-more",
        "| inc E-",
        "| include ",
        "since",
        "1h",
        "\x1b[2J",
    ),
)
ESCAPES: Final = (
    *("\x1b", "\x1b[", "\x1b[A", "\x1b[D", "\x1bOH", "\x1b[3~", "\x1b[200~", "\x1b]0;title\x07"),
    *("\x1b[6n", "\x1bP$q\x1b\\", "\x1b[1;5C", "\x1b[999999999999999999m", "\x9b2J", "\x1b[?1049h"),
)
ZMODEM: Final = (
    b"rz\r**\x18B00000000000000\r\x8a\x11",
    b"**\x18B0100000023be50\r\x8a\x11",
    b"*\x18A" + bytes(range(16)),
    b"*\x18C" + bytes(range(16)),
    b"\x18" * 8,
    b"OO",
)
CONTROLS: Final = b"\x01\x02\x03\x04\x05\x06\x08\x09\x0b\x0c\x0d\x0e\x10\x11\x13\x15\x17\x1a\x7f"


class Watched(Terminal):
    """A terminal that can be looked at."""

    last: ClassVar["Watched | None"] = None

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        Watched.last = self

    @property
    def prompts(self) -> bool:
        """A row is open, and all that was typed is taken."""
        come = self.input
        return self._line is not None and come._waiting and not come._keys

    @property
    def prompt(self) -> str:
        return "" if self._line is None else self._line._prompt.strip()

    def check(self) -> None:
        """Nothing that is kept is longer than it may be."""
        assert len(self.input._keys) <= TYPED_AHEAD
        assert len(self.history) <= KEPT
        assert self._line is None or len(self._line.text) <= LONGEST


@dataclass
class FuzzWire:
    """The line: what the console sends is looked at as it is sent."""

    incoming: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    screen: Screen = field(default_factory=Screen)
    sent: int = 0
    _split: bytes = b""

    async def read(self) -> bytes:
        data = await self.incoming.get()
        if data is None:
            self.incoming.put_nowait(None)
            raise HungUpError("hung-up", "the other end is gone")
        return data

    async def write(self, data: bytes) -> None:
        self.sent += len(data)
        desk = Watched.last
        if desk is not None and desk.input.lent:
            self.screen.rows, self.screen.column = [[]], 0
        else:
            self.screen.width = 80 if desk is None else desk.width
            self.screen.feed(data.decode("utf-8"))
            del self.screen.rows[:-50]
        await asyncio.sleep(0)


class Typist:
    """Makes up what is typed, by a seed."""

    def __init__(self, seed: int, table: tuple[Command, ...]) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same each time
        self._table = table
        self._kinds: tuple[tuple[int, Callable[[], bytes]], ...] = (
            (10, self._command),
            (6, self._mutated),
            (3, self._half),
            (3, self._keys),
            (2, self._junk),
            (2, self._text),
            (2, self._escapes),
            (1, self._zmodem),
            (1, self._break),
            (1, self._flood),
            (1, self._binary),
        )
        self.made: Counter[str] = Counter()

    def burst(self) -> bytes:
        """One thing that somebody, or the line, does."""
        weights = [weight for weight, _ in self._kinds]
        (make,) = self.random.choices([one for _, one in self._kinds], weights)
        self.made[make.__name__.strip("_")] += 1
        return make()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The same, as a port brings it."""
        most = self.random.choice((1, 7, 64, 4096)) if len(data) < 4096 else 4096
        while data:
            size = self.random.randint(1, most)
            yield data[:size]
            data = data[size:]

    def _command(self) -> bytes:
        return self._line().encode("utf-8", "replace") + self.random.choice((b"\r", b"\n", b"\r\n"))

    def _line(self) -> str:
        choose = self.random
        command = choose.choice(self._table)
        words = [one[: choose.randint(1, len(one))] for one in command.path]
        for one in command.arguments[: choose.randint(0, 4)]:
            known = one.choices if one.choices and choose.random() < 0.8 else ARGUMENTS
            words.append(choose.choice(known))
        words += choose.choices(ARGUMENTS, k=choose.choice((0, 0, 0, 0, 1, 2)))
        return choose.choice((" ", " ", "  ", "\t")).join(words)

    def _half(self) -> bytes:
        line = self._line()
        end = self.random.choice(("", "?", "\t", "\t\t", "?\r", "\x15"))
        return (line[: self.random.randint(0, len(line))] + end).encode("utf-8", "replace")

    def _mutated(self) -> bytes:
        data = bytearray(self._command())
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(len(data) + 1)
            kind = self.random.randrange(4)
            if kind == 0:
                data[at:at] = self.random.randbytes(self.random.randint(1, 3))
            elif kind == 1:
                del data[at : at + self.random.randint(1, 4)]
            elif kind == 2:
                data[at:at] = data[: self.random.randint(0, len(data))]
            else:
                data[at:at] = bytes([self.random.choice(CONTROLS)])
        return bytes(data)

    def _keys(self) -> bytes:
        some = [" ", "q", "Q", "\r", "?", *ESCAPES[:6], *(chr(one) for one in CONTROLS)]
        return "".join(self.random.choices(some, k=self.random.randint(1, 40))).encode()

    def _junk(self) -> bytes:
        return self.random.randbytes(self.random.randint(1, 300))

    def _text(self) -> bytes:
        signs = [chr(self.random.randrange(0x20, 0x11_0000)) for _ in range(20)]
        return "".join(self.random.choices(signs, k=80)).encode("utf-8", "surrogatepass")

    def _escapes(self) -> bytes:
        some = self.random.choices(ESCAPES, k=self.random.randint(1, 12))
        return "".join(some).encode("utf-8")

    def _zmodem(self) -> bytes:
        start = self.random.choice((b"tra rec z\r", b"tra rec a\r", b"tra li\r", b""))
        return start + b"".join(self.random.choices(ZMODEM, k=self.random.randint(1, 4)))

    def _break(self) -> bytes:
        return self.random.choice((b"\0", b"\xff", b"\0\xff", b"\x80")) * self.random.randint(1, 99)

    def _flood(self) -> bytes:
        unit = self.random.choice((b"\r", b"a", b"?", b"\t", b"sh\t", b"\xe4", b"\x1b", b"x y "))
        return unit * self.random.randint(500, 3000)

    def _binary(self) -> bytes:
        return b"\x7fELF\x02\x01\x01" + self.random.randbytes(self.random.randint(1000, 60_000))


class Loud(logging.Handler):
    """What the console logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(logging.Formatter().format(record))


class Fuzz:
    """A console at a box of its own, and somebody who types anything.

    Args:
        folder: for the console.
        box: root's service and the daemon.
        seed: makes all that is typed.
    """

    def __init__(self, folder: Path, box: AdminBox, seed: int) -> None:
        self.people = Box(folder / "console")
        self.box = box
        self.table = load_commands()
        self.typist = Typist(seed, self.table)
        self.gateway = SocketApi(box.api)
        recorder = open_recorder(folder / "console", "fuzz", self.gateway)
        self.house = House(
            *(TechnicianLogin(self.people.access, recorder), self.gateway),
            *(AdminClient(box.socket), recorder, box.config, self.table, "fuzz", folder / "seat"),
        )
        self.wire = FuzzWire()
        self.loud = Loud()
        self.typed: list[bytes] = []
        self.asleep = False
        self.rounds = self.bytes = self.sessions = self.most_presses = 0
        self.warm = self.most = 0
        self._serving: asyncio.Task[None] | None = None
        self._patch = patch.object(session, "Terminal", Watched)

    async def __aenter__(self) -> Self:
        await self.people.enrol()
        self._children = _children()
        self._patch.start()
        logging.getLogger("chopmark.console").addHandler(self.loud)
        asyncio.get_running_loop().set_exception_handler(self._note)
        self._plug_in()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        try:
            await self._unplug()
        finally:
            self._patch.stop()
            logging.getLogger("chopmark.console").removeHandler(self.loud)
            await self.gateway.close()

    async def round(self) -> None:
        """Somebody types a few things, signed in or not; then Ctrl-C and Enter bring a prompt."""
        choose = self.typist.random
        if choose.random() < 0.02:
            await self._unplug()
            self._plug_in()
        self.typed.clear()
        try:
            if choose.random() < 0.8:
                await self._sign_in()
            for _ in range(choose.randint(1, 6)):
                await self._type(self.typist.burst())
            await self._interrupt()
            self._look()
        except Exception as error:
            error.add_note(f"round {self.rounds}: {[one[:2000] for one in self.typed]}")
            raise

    @property
    def report(self) -> str:
        """What was done so far, and what it took."""
        made = ", ".join(f"{name} {count}" for name, count in sorted(self.typist.made.items()))
        return (
            f"{self.rounds} rounds, {self.sessions} sign-ins, {self.bytes:,} bytes typed ({made}); "
            f"memory {self.warm / 2**20:.1f} MiB warm, {self.most / 2**20:.1f} MiB at most; "
            f"Ctrl-C pressed {self.most_presses} times at most"
        )

    async def _type(self, data: bytes) -> None:
        self.bytes += len(data)
        self.typed.append(data)
        for piece in self.typist.pieces(data):
            self.wire.incoming.put_nowait(piece)
            if self.typist.random.random() < 0.3:
                await asyncio.sleep(0)
        if self.typist.random.random() < 0.5:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.typist.random.random()):
                    await self._settled()

    async def _interrupt(self) -> None:
        """Ctrl-C until there is a prompt, and Enter there: it comes back."""
        presses = 0
        while True:
            presses += 1
            self.wire.incoming.put_nowait(b"\x03")
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._settled()
                    break
            assert presses < PATIENCE / 5, f"no prompt after Ctrl-C:\n{self.wire.screen.text}"
        self.most_presses = max(self.most_presses, presses)
        await self._enter()

    async def _enter(self) -> None:
        self.wire.incoming.put_nowait(b"\r")
        async with asyncio.timeout(PATIENCE):
            await self._settled()

    async def _sign_in(self) -> None:
        """Unless somebody is."""
        self.people.now += 60
        self.people.up += 4000
        self.people.slept.clear()
        await self._interrupt()
        while self.asleep or not self._prompt.endswith(">"):
            if self.asleep:
                await self._enter()
            phone, presses = Telephone("chan"), f"chan\r{PIN}\r"
            self.wire.incoming.put_nowait(presses.encode())
            await self._settled()
            kind = "counter" if "counter" in self._prompt else "clock"
            assert kind == "clock", self.wire.screen.text
            self.wire.incoming.put_nowait(f"{phone.by_clock(self.people.now)}\r".encode())
            async with asyncio.timeout(PATIENCE):
                await self._settled()
            self.sessions += 1
            self.people.now += 60

    async def _settled(self) -> None:
        """Wait until all that came is taken, and the console waits for more."""
        while not (self.wire.incoming.empty() and self._waits):
            self._check()
            await asyncio.sleep(0.005)
        self._check()

    @property
    def _waits(self) -> bool:
        return self.asleep or (Watched.last is not None and Watched.last.prompts)

    @property
    def _prompt(self) -> str:
        return "" if Watched.last is None else Watched.last.prompt

    def _check(self) -> None:
        assert self._serving is not None
        if self._serving.done():
            self._serving.result()
        assert not self.loud.said, f"{self.wire.screen.text}\n{self.loud.said[0]}"
        if Watched.last is not None:
            Watched.last.check()

    def _look(self) -> None:
        """How much memory there is, and what is left running."""
        self.rounds += 1
        size = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
        if self.rounds == WARM:
            self.warm = size
        self.most = max(self.most, size if self.warm else 0)
        assert not self.warm or size < self.warm + GROWTH, f"grown from {self.warm} to {size}"

    def _plug_in(self) -> None:
        Watched.last = None
        self.wire = FuzzWire()
        self._serving = asyncio.create_task(session.serve(self.wire, self.house, self._wait))

    async def _unplug(self) -> None:
        assert self._serving is not None
        self.wire.incoming.put_nowait(None)
        async with asyncio.timeout(PATIENCE):
            with suppress(HungUpError):
                await self._serving
            while _children() - self._children:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert not self.loud.said, self.loud.said[0]

    async def _wait(self) -> None:
        """As a port does, and known to be asleep."""
        self.asleep = True
        data = b""
        while b"\r" not in data and b"\n" not in data:
            data = await self.wire.read()
        self.asleep = False

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.loud.said.append(repr(context))


def _children() -> set[int]:
    found = Path("/proc/self/task").glob("*/children")
    return {int(one) for path in found for one in path.read_text().split()}

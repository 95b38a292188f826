"""The serial port: the one place that knows pyserial, which opens and configures it.

Bytes go by the loop's readers and writers on its descriptor: pyserial's own calls would block the
loop. What was measured, and is taken care of here:

- On a pty the modem lines raise ENOTTY; where there are some, one that was up and drops is a
  hang-up. A cable without them never has one up.
- Writing to a port that nobody reads never ends: after `patience` without progress it is given up.
- Unplugging shows as an empty read with POLLHUP, as EIO, or as termios.error: all are a hang-up.
- A device comes back under another name unless its descriptor was closed: it is closed at once,
  and looked for under the name that was given, a link made by udev.
- BREAK and wrong frames come as NUL or rubbish, which `wire.keys` ignores.
"""

import asyncio
import logging
import os
import select
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Literal

from serial import Serial, SerialException

from chopmark.console.desk import HungUpError
from chopmark.core.errors import UnreachableError

LOG: Final = logging.getLogger("chopmark.console")
Flow = Literal["none", "rtscts", "xonxoff"]
BAUDS: Final = (115_200, 9600)
RETRY: Final = 1.0
"""Seconds before a port is opened again."""
LOOK: Final = 0.5
"""Seconds between two looks at the modem lines."""
_FAILURES: Final = (SerialException, OSError, termios.error)
_READ: Final = 4096
_HELD: Final = 65_536
"""Bytes that wait to be read; beyond, the line is held up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a port is opened: 8 data bits, no parity, 1 stop bit.

    Attributes:
        path: of the device; a link by udev, if it can be unplugged.
        bauds: bits a second; if there are several they are tried in turn, see `Port.wait_enter`.
        flow: by which the other end may hold us up.
        patience: seconds for which it may.
    """

    path: str
    bauds: tuple[int, ...] = BAUDS
    flow: Flow = "none"
    patience: float = 30.0


class Port:
    """A `Wire` over a serial port that is open.

    Raises:
        UnreachableError: `port-away` if it cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._serial = Serial(
                settings.path,
                settings.bauds[0],
                timeout=0,
                exclusive=True,
                rtscts=settings.flow == "rtscts",
                xonxoff=settings.flow == "xonxoff",
            )
        except (*_FAILURES, ValueError) as error:
            message = f"{settings.path} cannot be opened: {error}"
            raise UnreachableError("port-away", message) from error
        self._bauds = cycle((*settings.bauds[1:], settings.bauds[0]))
        self._patience = settings.patience
        self._loop = asyncio.get_running_loop()
        self._descriptor = self._serial.fileno()
        os.set_blocking(self._descriptor, False)
        self._held = bytearray()
        self._arrived = asyncio.Event()
        self._gone: HungUpError | None = None
        self._writing = asyncio.Lock()
        self._loop.add_reader(self._descriptor, self._take)
        self._modem = self._loop.create_task(self._watch_modem())

    @property
    def speed(self) -> int:
        """Bits a second at present."""
        return int(self._serial.baudrate)

    async def read(self) -> bytes:
        """What has come; see `Wire`."""
        while not self._held:
            if self._gone is not None:
                raise self._gone
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._held)
        self._held.clear()
        if self._gone is None:
            self._loop.add_reader(self._descriptor, self._take)
        return data

    async def wait_enter(self) -> None:
        """Wait until somebody presses Enter, at one of the speeds.

        At a wrong speed Enter comes as what is no character: then the next one is tried, so that
        it is pressed as often as there are speeds, at most.
        """
        data = b""
        while b"\r" not in data and b"\n" not in data:
            if any(one < 0x20 or one > 0x7E for one in data):
                self._change(next(self._bauds))
            data = await self.read()

    async def write(self, data: bytes) -> None:
        """Hand over all of it; see `Wire`."""
        async with self._writing:
            while data:
                if self._gone is not None:
                    raise self._gone
                data = data[self._put(data) :]
                if data:
                    await self._wait_writable()

    def close(self) -> None:
        """Let go of the device; what was not sent is thrown away, for closing would wait for it."""
        self._end("closed")
        self._modem.cancel()
        with suppress(*_FAILURES):
            self._serial.reset_output_buffer()
        with suppress(*_FAILURES):
            self._serial.close()

    def _take(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if not data and self._is_hung_up():
            self._end("the device is gone")
            return
        self._held += data
        self._arrived.set()
        if len(self._held) >= _HELD:
            self._loop.remove_reader(self._descriptor)

    def _put(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._end(str(error)) from error

    async def _wait_writable(self) -> None:
        writable = asyncio.Event()
        self._loop.add_writer(self._descriptor, writable.set)
        try:
            async with asyncio.timeout(self._patience):
                await writable.wait()
        except TimeoutError as error:
            message = f"nobody has read for {self._patience:g} s"
            raise self._end(message, "nobody-reads") from error
        finally:
            self._loop.remove_writer(self._descriptor)

    async def _watch_modem(self) -> None:
        """Carrier and data set ready: a line that was up and drops is a hang-up."""
        up: set[str] = set()
        while True:
            try:
                now = {name for name in ("cd", "dsr") if getattr(self._serial, name)}
            except _FAILURES:
                return  # there are none; or the device is gone, which reading tells
            if up - now:
                self._end(f"the modem line {min(up - now).upper()} has dropped")
                return
            up |= now
            await asyncio.sleep(LOOK)

    def _change(self, baud: int) -> None:
        try:
            self._serial.baudrate = baud
        except _FAILURES as error:
            raise self._end(str(error)) from error

    def _is_hung_up(self) -> bool:
        looker = select.poll()
        looker.register(self._descriptor, select.POLLIN)
        hung_up = select.POLLHUP | select.POLLERR | select.POLLNVAL
        return any(state & hung_up for _, state in looker.poll(0))

    def _end(self, message: str, code: str = "hung-up") -> HungUpError:
        if self._gone is None:
            self._gone = HungUpError(code, message)
            self._loop.remove_reader(self._descriptor)
            self._held.clear()
            self._arrived.set()
        return self._gone


async def keep(settings: Settings, serve: Callable[[Port], Awaitable[None]]) -> None:
    """Serve a port for ever, also when it goes away and comes back."""
    told = ""
    while True:
        try:
            port = Port(settings)
        except UnreachableError as error:
            if error.message != told:
                LOG.warning("%s; it is looked for again and again", error.message)
            told = error.message
        else:
            told = ""
            LOG.info("the console is at %s", settings.path)
            await _serve_one(port, serve)
        await asyncio.sleep(RETRY)


async def _serve_one(port: Port, serve: Callable[[Port], Awaitable[None]]) -> None:
    try:
        await serve(port)
    except HungUpError as error:
        LOG.info("hung up: %s", error.message, extra={"code": error.code})
    finally:
        port.close()

"""The real `chopmark-console` on a line, its technicians enrolled; and one of them at the far end.

The line is the STAND-IN of `serialline`; keys, codes and PINs are those of `technicians`.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from chopmark.console.access.initial import init_access
from chopmark.console.access.judging import Access
from chopmark.console.access.store import Store
from consolestand import Technician
from rig.patience import PATIENCE
from serialline import PtyWire, SerialLine
from technicians import HASH, PIN, Telephone, heading, signed

_PROMPT: Final = re.compile(r"[\r\n][a-z0-9-]+\((observe|service)\)(\[[A-Z?]+\])?>\Z")


async def enrol(folder: Path) -> None:
    """Make a console's folder, and have it take the technicians chan, lee (service) and ho."""
    box, _ = init_access(folder, "SN-0001")
    await Access(Store(folder)).take(signed(heading(box), HASH), first=True)


@contextmanager
def console(line: SerialLine, folder: Path, config: Path, admin: Path) -> Iterator[int]:
    """Run the program as its unit does; gives its process id."""
    words = {"port": line.box, "config": config, "admin": admin, "seat": folder / "seat"}
    options = [str(one) for name, value in words.items() for one in (f"--{name}", value)]
    path = folder / "console.log"
    begun = times_begun(path)
    with path.open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "chopmark.console.main", *options),
            env={**os.environ, "STATE_DIRECTORY": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while times_begun(path) == begun:
            assert process.poll() is None, path.read_text()
            assert time.monotonic() < deadline, f"no port: {path.read_text()}"
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def times_begun(log: Path) -> int:
    """How often a console has opened its port, which drops what was typed before."""
    return log.read_text().count("the console is at") if log.exists() else 0


class Person(Technician):
    """A technician who is enrolled, with a telephone."""

    async def sign_in(self, who: str = "chan") -> str:
        """From Enter to the prompt, by the code that is asked for; once for each technician."""
        phone = Telephone(who)
        by_counter = "counter" in await self._say_who(who)
        code = phone.by_counter() if by_counter else phone.by_clock(time.time())
        await self.type(f"{code}\r")
        await self.expect("Signed in as")
        return await self.prompt()

    async def sign_in_wrongly(self, who: str) -> str:
        """The right PIN, and a code that is none; gives the answer."""
        await self._say_who(who)
        await self.type("none\r")
        return await self.expect("id: ")

    async def try_in_vain(self, who: str, times: int) -> list[str]:
        """A wrong PIN so often, where one is asked for; gives the answers."""
        told = []
        await self._wake()
        for _ in range(times):
            await self.type(f"{who}\r")
            while not (await self.expect("PIN: ", "): ", "E-18")).endswith("E-18"):
                await self.type("1\r")
            told.append("E-18" + await self.expect("\r\n"))
            if (await self.expect("id: ", "Enter to begin.")).endswith("begin."):
                await self._wake()
        return told

    async def prompt(self) -> str:
        """All up to the next prompt, whatever the gateway's state is."""
        seen = await self.expect(">")
        while not _PROMPT.search(seen):
            seen += await self.expect(">")
        return seen

    async def _say_who(self, who: str) -> str:
        await self._wake()
        await self.type(f"{who}\r")
        await self.expect("PIN: ")
        await self.type(f"{PIN}\r")
        return await self.expect("): ")

    async def _wake(self) -> None:
        """Press Enter until the program has opened its port, and answers."""
        while True:
            await self.type("\r")
            try:
                async with asyncio.timeout(10):
                    await self.expect("id: ")
            except TimeoutError:
                continue
            return


@asynccontextmanager
async def plugged(line: SerialLine) -> AsyncIterator[Person]:
    """The far end, as long as it is plugged in."""
    wire = PtyWire(line.far)
    try:
        yield Person(wire)
    finally:
        wire.close()

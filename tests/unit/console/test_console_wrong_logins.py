"""Wrong sign-ins, typed at whole sessions; time and the hash are the test's.

A thousand; `CONSOLE_FUZZ=1` makes them ten thousand, a minute of a processor.
"""

import asyncio
import logging
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from chopmark.console.access.login import TechnicianLogin
from chopmark.console.access.waits import LONGEST
from chopmark.console.desk import HungUpError
from chopmark.console.recording import open_recorder
from chopmark.console.session import House, serve
from consoledesk import MemoryAdmin, MemoryGateway, QueueWire, wire_pair
from rig.patience import PATIENCE
from technicians import PIN, Box, Telephone

WRONG: Final = 10_000 if os.environ.get("CONSOLE_FUZZ") else 1_000
STARTS: Final = 10
"""Times that the box is started anew on the way."""
GROWTH: Final = 16 * 1024 * 1024
_WAIT: Final = re.compile(r"wait (\d+) s")
_ASKS: Final = ("id: ", "PIN: ", "right): ", "clock): ", "Press Enter to begin.\r\n", "]> ", ")> ")


class AtOnce(ThreadPoolExecutor):
    """Does in the loop what would go to a thread: eight changes for each try take long."""

    def submit(self, work: Any, /, *given: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*given, **more))
        except Exception as error:  # noqa: BLE001 - as an executor does
            done.set_exception(error)
        return done


class FarEnd:
    """Reads to the next question, and keeps nothing of what was before."""

    def __init__(self, wire: QueueWire) -> None:
        self._wire = wire

    async def answer(self, text: str) -> str:
        """Type a line; gives what comes up to the next question."""
        await self._wire.write(f"{text}\r".encode())
        seen = ""
        async with asyncio.timeout(PATIENCE):
            while not seen.endswith(_ASKS):
                seen += (await self._wire.read()).decode()
        return seen

    async def try_in(self, name: str, pin: str, code: str) -> str:
        """One sign-in, from whatever is asked; gives the answer to it."""
        seen = await self.answer("")
        while not seen.endswith("id: "):
            seen = await self.answer("")
        seen = await self.answer(name)
        if seen.endswith("PIN: "):
            await self.answer(pin)
            seen = await self.answer(code)
        return seen


@asynccontextmanager
async def console(box: Box, folder: Path) -> AsyncIterator[FarEnd]:
    """The console as it is after a start."""
    near, far = wire_pair()
    gateway = MemoryGateway()
    recorder = open_recorder(folder / "console", "ttyS0", gateway)
    house = House(
        *(TechnicianLogin(box.reopened(), recorder), gateway, MemoryAdmin(), recorder),
        *(folder / "gateway.toml", (), "ttyS0", folder / "seat"),
    )
    task = asyncio.create_task(serve(far, house))
    try:
        yield FarEnd(near)
    finally:
        near.hang_up()
        with suppress(HungUpError):
            await task


@pytest.mark.timeout(900)
async def test_wrong_sign_ins_wait_longer_and_longer_over_restarts_and_cost_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "chopmark.console")  # all lines of it would stay
    asyncio.get_running_loop().set_default_executor(AtOnce())
    box = Box(tmp_path / "console")
    await box.enrol()
    told, waits, begun = Counter[str](), list[int](), 0
    for start in range(STARTS):
        async with console(box, tmp_path) as far:
            box.up = 100.0  # as after a start
            for number in range(WRONG // STARTS):
                seen = await far.try_in(f"id{number % 300}", str(number), "000000")
                code, wait = seen[seen.index("E-") :][:6], _WAIT.search(seen)
                told[code] += 1
                if wait is not None:
                    waits.append(int(wait[1]))
                    box.up += int(wait[1]) if number % 2 else 0
                box.slept.clear()
        begun = begun or _memory()
        assert start == 0 or waits[-1] == LONGEST
    assert _memory() - begun < GROWTH
    assert sum(told.values()) == WRONG
    assert set(told) == {"E-1800", "E-1801"}
    assert waits[:1] == [30]
    assert set(waits) >= {30, 60, 120, 240, 480, 900}
    assert max(waits) == LONGEST
    assert sum(one.stat().st_size for one in (tmp_path / "console").iterdir()) < 1_000_000
    box.up += LONGEST
    async with console(box, tmp_path) as far:
        seen = await far.try_in("chan", PIN, Telephone("chan").by_clock(box.now))
    assert "Signed in as chan" in seen


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

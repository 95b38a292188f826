"""The technicians' console: how long its prompt takes, and one screen of `show status`.

`console.prompt` is the program as it runs, signed in, on a line of 115,200 baud: two ptys and the
relay that stands in for it. `console.status.*` is what the console makes, without the line.

What is dead is really so: the token is moved away and the broker killed, and the slower of two is
told: a daemon that says so, and one that hangs (SIGSTOP). The machine's own network stays.
"""

import asyncio
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Never

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # where `serialline` is

from adminbox import AdminBox
from bench import Bench, Figures
from chopmark.console.admin import AdminClient
from chopmark.console.command import Role, Surroundings
from chopmark.console.commands.show_status import status
from chopmark.console.gateway import SocketApi
from chopmark.console.snapshot import GATEWAY_SECONDS
from consolebox import console, enrol, plugged
from rig.broker import Broker
from rig.gateway import MACAO, Gateway
from rig.token import SoftToken
from rows import Figure
from serialline import RATE_115200, SerialLine

ROWS: Final = ("console.status.healthy", "console.status.dead")
TIMES: Final = 7
PRESSES: Final = 20


def prompt(bench: Bench) -> Figures:
    """Milliseconds from Enter to the whole next prompt, the slowest of some."""
    folder = bench.folder / "prompt"
    folder.mkdir()
    try:
        return {"console.prompt": asyncio.run(_press_enter(folder, bench.issuer.config))}
    finally:
        shutil.rmtree(folder)


async def _press_enter(folder: Path, config: Path) -> Figure:
    await enrol(folder)
    root = folder / "nobody.sock"
    with SerialLine(RATE_115200) as line, console(line, folder, config, root):
        async with plugged(line) as technician:
            await technician.sign_in()
            taken, seen = [], ""
            for _ in range(PRESSES):
                start = time.perf_counter()
                await technician.type("\r")
                seen = await technician.prompt()
                taken.append(time.perf_counter() - start)
    return Figure(max(taken) * 1000, len(seen) / RATE_115200 * 1000)


class _Sheet:
    """A desk that takes lines at once: no line of 115,200 baud is in the figures."""

    language: Final = "en"
    plain = False
    width = 80

    def __init__(self) -> None:
        self.text = ""

    async def say(self, text: str = "") -> None:
        self.text += f"{text}\n"

    async def ask(self, *_: object, **_options: object) -> Never:
        raise NotImplementedError

    def raw(self) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError


class _Nobody:
    """A recorder, of whom nothing is wanted."""

    async def record(self, *_: object, **_about: str) -> None:
        raise NotImplementedError


def both(bench: Bench) -> Figures:
    """Seconds of a screen, of a gateway that is well, and with all dead."""
    with _root(bench.folder / "root", bench.issuer) as root:
        healthy, bare = asyncio.run(_measure(bench.issuer, root, "ready"))
    return {
        ROWS[0]: Figure(healthy, bare),
        ROWS[1]: Figure(_measure_dead(bench), GATEWAY_SECONDS),
    }


def _measure_dead(bench: Bench) -> float:
    folder = bench.folder / "dead"
    broker = Broker(folder / "broker")
    gateway = Gateway(folder / "gateway", MACAO, broker)
    try:
        _take_away(gateway)
        gateway.launch()
        gateway.wait_for(gateway.is_answering, "to answer")
        broker.kill()
        gateway.wait_for(lambda: gateway.get("/v1/status")["broker"]["state"] == "away", "to see")
        with _root(folder / "root", gateway) as root:
            away, _ = asyncio.run(_measure(gateway, root, "DEGRADED"))
            os.kill(gateway.pid, signal.SIGSTOP)
            hung, _ = asyncio.run(_measure(gateway, root, "DOWN"))
            os.kill(gateway.pid, signal.SIGCONT)
        return max(away, hung)
    finally:
        gateway.kill()
        broker.stop()
        shutil.rmtree(folder)


@contextmanager
def _root(folder: Path, gateway: Gateway) -> Iterator[AdminClient]:
    """`chopmark-admin`, which looks at the disk where the daemon does not tell."""
    box = AdminBox(folder).adopt(gateway.config, gateway.state).start()
    try:
        yield AdminClient(box.socket)
    finally:
        box.stop()
        shutil.rmtree(folder)


def _take_away(gateway: Gateway) -> None:
    token = gateway.token
    assert isinstance(token, SoftToken)
    shutil.move(token.tokens, f"{token.tokens}-away")


async def _measure(gateway: Gateway, root: AdminClient, state: str) -> tuple[float, float]:
    """The median of a screen, and of the gateway's answer alone."""
    screens, answers = [], []
    async with SocketApi(gateway.socket) as api:
        for _ in range(TIMES):
            sheet, nobody = _Sheet(), _Nobody()
            around = Surroundings(sheet, "bench", Role.OBSERVE, api, root, nobody, gateway.config)
            start = time.perf_counter()
            await status(around, {})
            screens.append(time.perf_counter() - start)
            assert f"{gateway.who.id}  {state}" in sheet.text, sheet.text
            if state == "ready":
                start = time.perf_counter()
                await api.get("/v1/status")
                answers.append(time.perf_counter() - start)
    return statistics.median(screens), statistics.median(answers or [GATEWAY_SECONDS])

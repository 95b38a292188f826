"""Talking to systemd: readiness, status line and watchdog (sd_notify(3), sd_watchdog_enabled(3)).

Outside systemd, where NOTIFY_SOCKET is not set, all of it does nothing.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from systemd.daemon import notify

MAX_STATUS = 400
"""Characters; `systemctl status` shows one line."""
EXTENSION: Final = 60.0
"""Seconds that a start which takes long asks for at a time."""
LONGEST_START: Final = 1800.0
"""Seconds for which it asks for more, at most: a disk that hangs must not keep it for ever."""


def notify_ready(status: str) -> None:
    """Start-up is over: dependent units may start, and the watchdog begins to run."""
    _notify(f"READY=1\nSTATUS={_one_line(status)}")


def notify_status(status: str) -> None:
    """Set the line that `systemctl status` shows."""
    _notify(f"STATUS={_one_line(status)}")


def notify_reloading(status: str) -> None:
    """A reload has begun, and ends with `notify_ready`.

    The time is what newer managers tell one reload from another by (`Type=notify-reload`).
    """
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    _notify(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS={_one_line(status)}")


@asynccontextmanager
async def extending_start(status: str) -> AsyncIterator[None]:
    """Ask for more time to start while this block takes it and the event loop runs.

    The first time at once: it must come before the unit's own time is over.
    """

    async def extend() -> None:
        for _ in range(int(LONGEST_START / EXTENSION * 2)):
            _notify(f"EXTEND_TIMEOUT_USEC={int(EXTENSION * 1_000_000)}\nSTATUS={_one_line(status)}")
            await asyncio.sleep(EXTENSION / 2)

    task = asyncio.create_task(extend(), name="extend-start")
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()


def notify_stopping(status: str = "stopping") -> None:
    """An orderly stop has begun; the watchdog is no longer due."""
    _notify(f"STOPPING=1\nSTATUS={_one_line(status)}")


def notify_watchdog() -> None:
    """Tell systemd that the daemon is alive."""
    _notify("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what the unit allows; None if none is due.

    WATCHDOG_PID guards against a variable that was inherited from a parent under systemd.
    """
    limit = _decimal("WATCHDOG_USEC")
    watched = _decimal("WATCHDOG_PID")
    if not limit or watched not in (None, os.getpid()):
        return None
    return limit / 1_000_000 / 2


async def feed_watchdog(healthy: Callable[[], bool]) -> None:
    """Send a sign of life while `healthy()` is true; ends at once where none is due.

    It runs on the event loop on purpose: a blocked loop falls silent, and systemd restarts the
    daemon. `healthy` is for what a running loop does not prove; it must not block.
    """
    interval = watchdog_interval()
    while interval is not None:
        if healthy():
            notify_watchdog()
        await asyncio.sleep(interval)


def _notify(state: str) -> None:
    notify(state)


def _one_line(text: str) -> str:
    """A newline in a status would begin another assignment of the protocol."""
    return " ".join(text.split())[:MAX_STATUS]


def _decimal(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else None

"""Talking to systemd: readiness, status line and watchdog (sd_notify(3), sd_watchdog_enabled(3)).

Outside systemd, where NOTIFY_SOCKET is not set, all of it does nothing.
"""

import asyncio
import os
from collections.abc import Callable

from systemd.daemon import notify

MAX_STATUS = 400
"""Characters; `systemctl status` shows one line."""


def notify_ready(status: str) -> None:
    """Start-up is over: dependent units may start, and the watchdog begins to run."""
    _notify(f"READY=1\nSTATUS={_one_line(status)}")


def notify_status(status: str) -> None:
    """Set the line that `systemctl status` shows."""
    _notify(f"STATUS={_one_line(status)}")


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

"""What systemd is told, over a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chopmark.service import notify
from rig.patience import PATIENCE


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end of NOTIFY_SOCKET."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))
        end.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield end


def received(end: socket.socket) -> list[str]:
    return end.recv(4096).decode().split("\n")


def test_notify_ready_sends_state_and_status(manager: socket.socket) -> None:
    notify.notify_ready("serving hk-1")
    assert received(manager) == ["READY=1", "STATUS=serving hk-1"]


def test_notify_stopping_sends_state_and_status(manager: socket.socket) -> None:
    notify.notify_stopping()
    assert received(manager) == ["STOPPING=1", "STATUS=stopping"]


def test_notify_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    notify.notify_status("peer said\nREADY=1\r\n" + "x" * 1000)
    (line,) = received(manager)
    assert line.startswith("STATUS=peer said READY=1 xxx")
    assert len(line) == len("STATUS=") + notify.MAX_STATUS


def test_notify_is_silent_outside_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify_ready("x")
    notify.notify_watchdog()
    assert "NOTIFY_SOCKET" not in os.environ


@pytest.mark.parametrize(
    ("limit", "pid", "interval"),
    [
        ("30000000", "own", 15.0),
        ("30000000", None, 15.0),
        ("30000000", "1", None),
        ("30000000", "", 15.0),
        ("0", "own", None),
        ("-5", "own", None),
        ("soon", "own", None),
        (None, "own", None),
    ],
)
def test_watchdog_interval_is_half_the_limit_of_this_process(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, pid: str | None, interval: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", limit), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert notify.watchdog_interval() == interval


async def test_feed_watchdog_pings_only_while_healthy(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    manager.settimeout(0)
    answers = iter([True, False, True, False])
    asked_for_all = asyncio.Event()

    def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked_for_all.set()
        return bool(answer)

    feeding = asyncio.create_task(notify.feed_watchdog(healthy))
    async with asyncio.timeout(PATIENCE):
        await asked_for_all.wait()
    feeding.cancel()
    assert [received(manager), received(manager)] == [["WATCHDOG=1"], ["WATCHDOG=1"]]
    with pytest.raises(BlockingIOError):
        manager.recv(1)


async def test_feed_watchdog_ends_where_none_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    async with asyncio.timeout(PATIENCE):
        await notify.feed_watchdog(lambda: True)

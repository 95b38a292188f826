"""The disk in `show status`: what will be full soon is not `ok`, whatever is free now."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chopmark.console.box.clock import BoxClock
from chopmark.console.box.network import Network
from chopmark.console.commands.show_status import show_snapshot
from chopmark.console.showing import Screen
from chopmark.console.snapshot import Snapshot
from chopmark.core.errors import ConfigurationError
from consoledesk import MemoryDesk


@pytest.mark.parametrize(
    ("told", "mark"),
    [
        ({"state": "ok", "soon": False}, "ok"),
        ({"state": "ok", "soon": True, "days_left": 0.3}, "warn"),
        ({"state": "storage-full", "soon": True, "days_left": 0.0}, "FAIL"),
    ],
)
async def test_disk_that_is_full_soon_is_not_ok(told: dict[str, Any], mark: str) -> None:
    clock = BoxClock(datetime.now(UTC), synchronised=True, reason="", source="")
    status = {"id": "hk-1", "state": "ready", "storage": {"used": 0.4, "free_bytes": 1, **told}}
    config, network = ConfigurationError("config-missing", "there is none"), Network((), (), ())
    desk = MemoryDesk()
    await show_snapshot(Screen(desk), Snapshot(status, config, None, (), None, clock, network))
    (line,) = [line for line in desk.said if line[6:].startswith("disk")]
    assert line.split()[0] == mark
    assert ("E-1835" in desk.text) == bool(told["soon"])

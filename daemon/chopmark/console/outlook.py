"""How the gateway is, looked at in the background: the prompt never waits for it."""

import asyncio
from contextlib import suppress
from typing import Final

from chopmark.console.command import GatewayApi

PAUSE: Final = 5.0
"""Seconds between two looks."""
PATIENCE: Final = 2.0
"""Seconds for one look."""
FIRST: Final = 1.0
"""Seconds that the banner waits for the first."""


class Outlook:
    """What the last look has shown.

    Attributes:
        state: `ready`, `degraded`, or `down` if the daemon does not answer; `` before the first.
        alarms: how many there are; None if that is not known.
    """

    def __init__(self, gateway: GatewayApi, pause: float = PAUSE) -> None:
        self._gateway = gateway
        self._pause = pause
        self._looked = asyncio.Event()
        self.state = ""
        self.alarms: int | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._look()
            self._looked.set()
            await asyncio.sleep(self._pause)

    async def settle(self, seconds: float = FIRST) -> None:
        """Wait for the first look, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._looked.wait()

    async def _look(self) -> None:
        try:
            found = await self._gateway.get("/v1/status", seconds=PATIENCE)
            state, alarms = str(found["state"]), len(found["alarms"])
        except Exception:  # noqa: BLE001  # whatever it is, the prompt must come
            state, alarms = "down", None
        self.state, self.alarms = state, alarms

"""Requests that wait for a log to grow (`GET /v1/entries?wait=`)."""

import asyncio
from contextlib import suppress

from chopmark.ledger.log import Log


class Following:
    """Lets requests wait, and lets all of them go when the gateway stops."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    async def wait(self, log: Log, size: int, seconds: float) -> None:
        """Return once a signed head covers more than `size` entries, or time is up, or we stop."""
        if log.signed_size > size or self._stopped.is_set():
            return
        jobs = [asyncio.create_task(log.grown(size)), asyncio.create_task(self._stopped.wait())]
        try:
            await asyncio.wait(jobs, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job

    def stop(self) -> None:
        """Let all go, now and from now on."""
        self._stopped.set()

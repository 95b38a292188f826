"""Whether the daemon does its work: for the watchdog, and the line that `systemctl status` shows.

The watchdog is fed while the event loop runs, the ledger's writer answers, and no call into the HSM
has taken longer than its limit. A token that is away, latched or locked is none of these: without
it verifying works, and a new process would not have it either.
"""

import asyncio
import logging
from typing import Final

from chopmark.service.alarm_log import AlarmLog
from chopmark.service.notify import notify_ready, notify_status
from chopmark.service.reloading import Reloading
from chopmark.service.wiring import Parts

LOG: Final = logging.getLogger("chopmark")
SETTLE: Final = 5.0
"""Seconds to wait at start until attesting works, before we say that we are up without it."""
PAUSE: Final = 5.0
"""Seconds between two looks."""
ANSWER: Final = 20.0
"""Seconds in which the ledger's writer must answer, or the watchdog is left to bite."""


class Health:
    """Looks after the status line, and whether the writer still answers.

    Args:
        parts: whose.
        reloading: what it has found wrong is told.
        listening: set once clients can connect: who waits for us to be up must not be refused.
    """

    def __init__(self, parts: Parts, reloading: Reloading, listening: asyncio.Event) -> None:
        self._parts = parts
        self._reloading = reloading
        self._listening = listening
        self._answers = True
        self._alarms = AlarmLog(parts.report.alarms)

    @property
    def good(self) -> bool:
        """Whether the watchdog may be fed."""
        return self._answers and not self._parts.signer.is_stuck

    async def run(self) -> None:
        """Look for ever."""
        # A token that is away does not keep us down: verifying works without it.
        await self._parts.sequencer.wait_first_head(SETTLE)
        await self._listening.wait()
        notify_ready(self._sentence())
        LOG.info("%s", self._parts.report.sentence())
        while True:
            try:
                async with asyncio.timeout(ANSWER):  # `wait_for` may swallow a cancellation
                    await self._parts.log.write(lambda _: None)
                self._answers = True
            except TimeoutError:
                self._answers = False
            notify_status(self._sentence())
            self._alarms.look()
            await asyncio.sleep(PAUSE)

    def _sentence(self) -> str:
        return self._reloading.tell(self._parts.report.sentence())

"""Looking after an HSM that runs: that it works, and what becomes of calls that never come back."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from chopmark.core.errors import TryAgainError
from chopmark.core.selftest import SelfTest
from chopmark.hsm import calls
from chopmark.hsm.device import Device
from chopmark.hsm.rpc import ADDRESS_VARIABLE, break_off
from chopmark.hsm.standing import STUCK
from chopmark.hsm.thread import HsmThread

STUCK_BEFORE: Final = 600.0
"""Seconds after which a call counts as one that never comes back, and the daemon ends, while the
module has not worked in this process: a new one would hardly do better, and would answer no
verification while it starts. After it has worked, `STUCK`."""
KEEP_ALIVE: Final = 60.0
"""Seconds without a good signature by the log key after which one is made, to see that it works."""
LOOK: Final = 1.0
"""Seconds between two looks at the thread."""

_log: Final = logging.getLogger("chopmark.hsm")


class Watch:
    """Watches over the HSM's thread.

    Args:
        thread: the one.
        device: lives on it.
        monotonic: seconds of a clock that never goes back.
        self_test: makes one.
    """

    def __init__(
        self,
        thread: HsmThread,
        device: Device,
        monotonic: Callable[[], float],
        self_test: Callable[[SelfTest], Awaitable[None]],
    ) -> None:
        self._thread, self._device, self._monotonic = thread, device, monotonic
        self._self_test = self_test
        self._broken_off = False

    async def run(self, now_ms: Callable[[], int]) -> None:
        """See for ever that the HSM works; see `HsmSigner.watch`."""
        while True:
            if self._device.failure is not None:  # of a start that came late
                raise self._device.failure
            if not self._thread.is_alive:
                raise _restart("hsm-broken", "the HSM's thread has ended")
            self._thread.release()
            if self._device.state in ("ready", "away") and self._test_due():
                with suppress(TryAgainError):
                    await self._self_test(SelfTest(self._device.log_key.name, now_ms()))
            self._see_to_hanging()
            if (broken := self._device.broken) is not None:
                raise _restart("hsm-broken", broken)
            await asyncio.sleep(LOOK)

    @property
    def is_stuck(self) -> bool:
        """Whether a call has taken longer than its limit, and this process should be no more."""
        return self._thread.stuck_for > self._limit and not self._device.typing

    @property
    def _limit(self) -> float:
        return STUCK if self._device.worked else STUCK_BEFORE

    def _test_due(self) -> bool:
        last = self._device.meter.last_good
        return last is None or self._monotonic() - last >= KEEP_ALIVE

    def _see_to_hanging(self) -> None:
        """Break a call off that hangs, where the module runs in a process of its own."""
        if not calls.is_silent(self._thread) or self._device.typing:
            self._broken_off = False
            return
        # Until it is back: what it does next, opening the module anew, may hang again.
        broken_off = break_off(os.environ.get(ADDRESS_VARIABLE, ""))
        if not self._broken_off:
            self._broken_off = True
            done = "it is broken off" if broken_off else "nothing can break it off"
            _log.error("a call into the HSM has not come back for %.0f s: %s", calls.ANSWER, done)
        if self.is_stuck:
            limit = f"{self._limit:.0f} s"
            raise _restart("hsm-stuck", f"a call into the HSM has not come back for {limit}")


def _restart(code: str, message: str) -> TryAgainError:
    hint = "the daemon restarts; with the module in a process of its own, it would not have to"
    return TryAgainError(code, message, hint=f"{hint} (docs/operations/hsm-isolation.md)")

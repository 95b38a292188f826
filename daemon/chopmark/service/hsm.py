"""What operators do with the HSM of a gateway that runs."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chopmark.core.errors import ChopmarkError, ExistsError, RefusedError, TryAgainError
from chopmark.core.ports import AuditSink, Clock
from chopmark.core.selftest import SelfTest
from chopmark.hsm.signer import HsmSigner
from chopmark.service.auditing import noted
from chopmark.service.config_model import Config
from chopmark.service.credentials import PinSource
from chopmark.service.hsm_state import describe_hsm


@dataclass(frozen=True, slots=True)
class HsmService:
    """Implements `api.ports.Hsm`."""

    config: Config
    signer: HsmSigner
    pins: PinSource
    audit: AuditSink
    clock: Clock
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # one PIN at a time

    def describe(self) -> dict[str, Any]:
        """How it is."""
        return describe_hsm(self.signer, self.config.hsm)

    async def unlock(self, pin: str) -> dict[str, Any]:
        """Give the PIN, and have it tried, once.

        Raises:
            ExistsError: `hsm-ready`: none is needed.
            RefusedError: `pin-at-device`.
            MalformedError: `malformed-pin`.
            TryAgainError: `pin-latched`: it was refused; `hsm-away` and others: it was kept.
        """
        if self.config.hsm.pin == "pad":
            hint = "`chopmark hsm unlatch`, then type it there"
            raise RefusedError("pin-at-device", "the PIN is typed at the device", hint=hint)
        if self.signer.state not in ("latched", "locked"):
            message = f"the HSM is {self.signer.state}: no PIN is asked for"
            raise ExistsError("hsm-ready", message)
        async with self.turn:
            await noted(self.audit, "hsm.unlocked", self._unlock(pin))
            await self._see_it_work()
        return self.describe()

    async def unlatch(self) -> dict[str, Any]:
        """Let the PIN that is in place be tried again, once.

        Raises:
            TryAgainError: `pin-latched`: it was refused again; `hsm-away` and others.
        """
        async with self.turn:
            await noted(self.audit, "hsm.unlatched", self.signer.unlatch())
            await self._see_it_work()
        return self.describe()

    async def maintain(self, *, on: bool) -> dict[str, Any]:
        """Take the HSM out of use, or into use again.

        Raises:
            TryAgainError: `hsm-away` and others: it is to be used again, and cannot be yet.
        """
        mode = "on" if on else "off"
        async with self.turn:
            await noted(self.audit, "hsm.maintenance", self.signer.maintain(on=on), mode=mode)
            if not on:
                await self._see_it_work()
        return self.describe()

    async def _see_it_work(self) -> None:
        """The answer is how it is now, not that it was opened and is still to be tried."""
        test = SelfTest(self.signer.log_key.name, self.clock.now_ms())
        with suppress(TryAgainError):
            await self.signer.self_test(test)

    async def _unlock(self, pin: str) -> None:
        self.pins.take(pin)
        try:
            await self.signer.unlatch(given=not self.pins.is_in_place(pin))
        except ChopmarkError as error:
            if error.code == "pin-latched":
                self.pins.forget()
            raise
        self.pins.accepted()

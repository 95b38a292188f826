"""`systemctl reload chopmark`: SIGHUP has us look again at what may change while we run.

1. The files of [api.tls] and [api.page] are looked at now, and not at the next turn.
2. The configuration is read and checked. What has changed in it counts from the next start on, and
   the log says so.
3. What is wrong changes nothing: what held before goes on, and log and status line say what it is,
   until another reload finds it right.

Brokers' certificates, the receiver's of the audit log and the PIN are read each time that they are
used: they need no reload.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.api.trust import Trust
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import load_config, read_fingerprint
from chopmark.service.notify import notify_ready, notify_reloading

LOG: Final = logging.getLogger("chopmark")


@dataclass(slots=True)
class Reloading:
    """Does it, one after the other.

    Attributes:
        path: of the configuration.
        fingerprint: of the one that we run by.
        trusts: what is in force of certificates.
        asked: set by whoever wants it done.
        wrong: what the last one has found wrong; empty if nothing.
    """

    path: Path
    fingerprint: str
    trusts: tuple[Trust, ...] = ()
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    wrong: str = ""

    async def run(self, sentence: Callable[[], str]) -> None:
        """Do it for ever, when asked to; `sentence` says how we are."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            notify_reloading("reloading: certificates, and a check of the configuration")
            self.wrong = "; ".join(await self._reload())
            notify_ready(self.tell(sentence()))

    def tell(self, sentence: str) -> str:
        """The status line."""
        return f"reload refused: {self.wrong}; {sentence}" if self.wrong else sentence

    async def _reload(self) -> list[str]:
        faults = []
        for trust in self.trusts:
            await trust.look()  # it logs what it finds
            if trust.wrong is not None:
                faults.append(trust.wrong.message)
        fault = await asyncio.to_thread(self._check_configuration)
        return [*faults, fault] if fault else faults

    def _check_configuration(self) -> str:
        try:
            load_config(self.path)
            found = read_fingerprint(self.path)
        except ChopmarkError as error:
            LOG.error("reloading: the gateway goes on with what it had: %s", error)  # noqa: TRY400
            return error.message
        if found != self.fingerprint:
            what = "has changed since the gateway was started: it counts from the next start on"
            LOG.warning("%s %s (systemctl restart chopmark)", self.path, what)
        else:
            LOG.info("reloaded: certificates were looked at, and the configuration is unchanged")
        return ""

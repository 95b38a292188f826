"""What technicians did: a line of the journal with fields, and a record of the audit log.

The daemon keeps the audit log. Records wait for it in a spool on the disk, and are handed over in
their order as soon as it answers; it takes each once, however often it is handed over.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.console.command import GatewayApi
from chopmark.console.spool import Spool, Waiting
from chopmark.core.audit import shorten
from chopmark.core.errors import ChopmarkError, MalformedError, UnreachableError
from chopmark.core.inert import clean
from chopmark.core.wording import format_time

LOG: Final = logging.getLogger("chopmark.console")
ROUTE: Final = "/v1/console/records"
BATCH: Final = 64
SOONEST, LATEST = 1.0, 60.0
"""Seconds between two tries while the daemon takes nothing."""
_MOST_ABOUT: Final = 10
_WHO: Final = 64
_WELL: Final = ("done", "begun", "ended")
REFUSED: Final = "console.refused"
"""In the audit log: a record that the daemon would not take."""
_NO_ANSWER: Final = (LookupError, TypeError, ValueError)
"""What reading an answer raises that is not as it should be."""
_PREFIX: Final = "console."
_OTHER: Final = re.compile(r"[^a-z0-9._-]+", re.ASCII)


@dataclass(slots=True)
class ConsoleRecorder:
    """Implements `command.Recorder`. `run` hands over, beside the sessions, as long as it runs.

    Attributes:
        spool: what waits.
        gateway: the daemon.
        now: seconds since the Unix epoch.
    """

    spool: Spool
    gateway: GatewayApi
    now: Callable[[], float] = time.time
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _adding: set[asyncio.Task[None]] = field(default_factory=set)

    async def record(self, who: str, action: str, outcome: str, **about: str) -> None:
        """Write one record; see `Recorder`. `action` gets `console.` in front if it lacks that."""
        action, outcome = _name(action, _PREFIX)[:47], _name(outcome)[:47]
        told = dict(
            [(_name(key), shorten(clean(text))) for key, text in about.items()][:_MOST_ABOUT]
        )
        who = shorten(clean(who))[:_WHO] or "unknown"
        extra = {"technician": who, "action": action, "outcome": outcome, "about": _join(told)}
        level = logging.INFO if outcome in _WELL else logging.WARNING
        LOG.log(level, "%s by %s: %s", action, who, outcome, extra=extra)
        at = format_time(max(0, int(self.now() * 1000)))
        # Whoever is broken off meanwhile, by Ctrl-C or a hang-up, is recorded all the same.
        task = asyncio.create_task(self._add_in_turn(at, who, action, outcome, told))
        self._adding.add(task)
        task.add_done_callback(self._adding.discard)
        await asyncio.shield(task)

    async def run(self) -> None:
        """Hand over for ever."""
        pause = SOONEST
        while True:
            await self._arrived_or_waiting()
            try:
                await self._hand_over()
                pause = SOONEST
            except (ChopmarkError, OSError, *_NO_ANSWER) as error:
                away = isinstance(error, UnreachableError)  # else somebody must see to it
                LOG.log(logging.DEBUG if away else logging.WARNING, "records wait: %s", error)
                await asyncio.sleep(pause)
                pause = min(LATEST, 2 * pause)

    async def _arrived_or_waiting(self) -> None:
        if not self.spool.first(1):
            self._arrived.clear()
            await self._arrived.wait()

    async def _hand_over(self) -> None:
        """Hand the oldest over, all at once; or one by one, if one among them is refused for good.

        It is set aside then, or it would hold up all behind it.
        """
        records = self.spool.first(BATCH)
        refused = await self._refused(records)
        if refused is None:
            return
        for one in records if len(records) > 1 else ():
            if error := await self._refused([one]):
                await self._set_aside(one, error)
        if len(records) == 1:
            await self._set_aside(records[0], refused)

    async def _refused(self, records: list[Waiting]) -> MalformedError | None:
        """Hand them over; gives why they never will be taken, if so."""
        try:
            await self._send(records)
        except MalformedError as error:
            if error.code.startswith("malformed-"):
                return error
            raise
        return None

    async def _set_aside(self, one: Waiting, error: ChopmarkError) -> None:
        LOG.error(
            "the daemon does not take record %d (%s), which is set aside: %s",
            *(one.number, one.action, error),
            extra={"technician": one.technician, "action": one.action, "outcome": error.code},
        )
        async with self._lock:
            await asyncio.to_thread(self.spool.set_aside, one)
            if one.action != REFUSED:
                at = format_time(max(0, int(self.now() * 1000)))
                told = {"number": str(one.number), "action": _name(one.action)}
                await self._add(at, "gateway", REFUSED, _name(error.code)[:47], told)

    async def _send(self, records: list[Waiting]) -> None:
        body = {"source": self.spool.source, "records": [_plain(one) for one in records]}
        answer = await self.gateway.post(ROUTE, body)
        async with self._lock:
            await asyncio.to_thread(self.spool.drop, int(answer["taken"]))
            beyond = {key: str(count) for key, count in self.spool.take_beyond().items()}
            if beyond:
                at = format_time(max(0, int(self.now() * 1000)))
                told = dict(list(beyond.items())[:_MOST_ABOUT])
                await self._add(at, "gateway", "console.beyond", "done", told)

    async def _add_in_turn(
        self, at: str, who: str, action: str, outcome: str, about: dict[str, str]
    ) -> None:
        async with self._lock:
            await self._add(at, who, action, outcome, about)

    async def _add(
        self, at: str, who: str, action: str, outcome: str, about: dict[str, str]
    ) -> None:
        try:
            await asyncio.to_thread(self.spool.add, at, who, action, outcome, about)
        except (OSError, ChopmarkError) as error:
            LOG.error("%s is in the journal alone: %s", action, error)  # noqa: TRY400 - the reason says it all
        self._arrived.set()


def open_recorder(folder: Path, port: str, gateway: GatewayApi) -> ConsoleRecorder:
    """That of one port: each port has a process and a spool of its own; slow, it reads a file."""
    return ConsoleRecorder(Spool(folder / f"records-{_name(port)}"), gateway)


def _plain(one: Waiting) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _name(text: str, prefix: str = "") -> str:
    """A code as records have them."""
    plain = _OTHER.sub("-", text.lower()).strip("-._") or "unknown"
    return plain if plain.startswith(prefix) else prefix + plain


def _join(about: dict[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in about.items())

"""Sends the audit log to a receiver of syslog (docs/operations/audit.md#to-a-siem).

Rules:
1. Every record is sent, in order, at least once; the log in the store is the queue, and one page of
   it at a time is in memory. Nothing waits for the receiver.
2. Syslog has no receipt. A record counts as sent when the receiver's TCP has acknowledged it and
   the connection has stood for `SETTLE` seconds after that. Then the position is made durable. A
   connection that ends sooner, or a restart, sends again what came after it.
3. Whatever goes wrong is told once, and tried again later and later.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple

from chopmark.core.audit import parse_record
from chopmark.core.errors import MalformedError, TryAgainError
from chopmark.core.ports import Clock
from chopmark.core.syslog import Sender, encode_message, frame_message
from chopmark.ledger import audit as table
from chopmark.ledger.audit import Row
from chopmark.ledger.audit_sent import Sent, read_sent, write_sent
from chopmark.ledger.log import Log
from chopmark.mesh.backoff import Backoff
from chopmark.service.background import aside
from chopmark.service.config_model import Syslog
from chopmark.service.syslog_line import Line, LineError, open_line

LOG: Final = logging.getLogger("chopmark.audit")
PAGE: Final = 256
"""Records in memory at once: a megabyte at most."""
LOOK: Final = 1.0
"""Seconds between two looks at what is new."""
WAIT: Final = 0.02
"""Seconds between two looks at what the receiver's TCP has acknowledged."""
SETTLE: Final = 5.0
FIRST: Final = 1.0
TOP: Final = 60.0
"""Seconds of the first and of the longest pause between two attempts to connect."""
LATE: Final = 300.0
"""Seconds that a record may wait before that is an alarm."""


class _Candidate(NamedTuple):
    """A position whose bytes were acknowledged, and when (monotonic)."""

    sent: Sent
    at: float


class AuditSyslog:
    """Sends what the audit log of a gateway holds, and goes on.

    Args:
        syslog: where to.
        sender: who we are.
        log: our own.
        clock: the gateway's.
        connect: opens a connection; blocks.

    Attributes:
        connected: whether there is a connection.
        total: messages given to connections since the start, those sent again too.
    """

    def __init__(
        self,
        syslog: Syslog,
        sender: Sender,
        log: Log,
        clock: Clock,
        connect: Callable[[Syslog], Line] = open_line,
    ) -> None:
        self._syslog, self._sender, self._log, self._clock = syslog, sender, log, clock
        self._connect = connect
        self._backoff = Backoff(FIRST, TOP, Random())  # noqa: S311 - jitter
        self._sent = self._given = Sent()
        self._next = 0
        self._oldest: int | None = None
        self._candidate: _Candidate | None = None
        self._error: LineError | None = None
        self.connected = False
        self.total = 0

    @property
    def waiting(self) -> int:
        """Records that were not given to a connection that stands."""
        return max(0, self._next - 1 - self._given.number)

    @property
    def lag(self) -> float:
        """Age in seconds of the oldest of them; 0 if there are none."""
        if self._oldest is None:
            return 0.0
        return max(0.0, (self._clock.now_ms() - self._oldest) / 1000)

    def describe(self) -> dict[str, Any]:
        """The state as JSON."""
        error = self._error
        return {
            "state": "connected" if self.connected else "away" if error else "connecting",
            "host": self._syslog.host,
            "port": self._syslog.port,
            "reason": error and error.message,
            "hint": error and error.hint,
            "sent": self._sent.number + 1,
            "waiting": self.waiting,
            "lag_seconds": round(self.lag, 1),
        }

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        if self.lag < LATE:
            return []
        message = f"{self.waiting} audit records wait for {self._place()}"
        error = self._error
        reason, hint = (error.message, error.hint) if error else ("it is slow", "see to it")
        return [{"code": "audit-waiting", "message": f"{message}: {reason}", "hint": hint}]

    async def run(self) -> None:
        """Send for ever."""
        self._sent = self._given = await self._log.read(lambda reader, _: reader.look(read_sent))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all(), name="audit-syslog-send")
            tasks.create_task(self._look_all(), name="audit-syslog-look")

    async def _look_all(self) -> None:
        while True:
            with suppress(TryAgainError):  # the store has too much to do
                rows, tip = await self._read(1)
                self._next = tip.number
                self._oldest = _time_of(rows[0]) if rows else None
            await asyncio.sleep(LOOK)

    async def _send_all(self) -> None:
        while True:
            try:
                line = await aside(partial(self._connect, self._syslog), Line.close)
                try:
                    await self._use(line)
                finally:
                    line.close()
            except LineError as error:
                self._lost(error)
            except TryAgainError:  # the store has too much to do
                self._rewind()
            await asyncio.sleep(self._backoff.next())

    async def _use(self, line: Line) -> None:
        """Send over a connection until it ends."""
        since = _now()
        while True:
            line.check()  # in TLS 1.3 a refusal of our certificate comes after the handshake
            rows, _ = await self._read(PAGE)
            if rows:
                await self._give(line, rows)
            await self._settle(line, since)
            if not rows:
                await asyncio.sleep(LOOK)

    async def _give(self, line: Line, rows: list[Row]) -> None:
        data = b"".join(map(self._frame, rows))
        await aside(partial(line.send, data))
        while line.unacknowledged():
            await asyncio.sleep(WAIT)
            line.check()
        self._given, self._oldest = Sent(rows[-1].number, rows[-1].chain), None
        self.total += len(rows)

    async def _settle(self, line: Line, since: float) -> None:
        """Believe in a connection, and in what it took, once it has stood long enough after it."""
        line.check()
        if not self.connected and _now() - since >= SETTLE:
            self._standing()
        if self._candidate is None and self._given != self._sent:
            self._candidate = _Candidate(self._given, _now())
        elif self._candidate is not None and _now() - self._candidate.at >= SETTLE:
            sent, self._candidate = self._candidate.sent, None
            with suppress(TryAgainError):  # then more is sent again after a restart
                await self._log.write(lambda store: store.change(partial(write_sent, sent=sent)))
            self._sent = sent

    def _standing(self) -> None:
        """The receiver takes what we send."""
        if not self.connected:
            LOG.info("the audit log is sent to %s", self._place())
        self.connected, self._error = True, None
        self._backoff.reset()

    def _lost(self, error: LineError) -> None:
        if self._error is None or self._error.message != error.message:
            text = "the audit log is not sent to %s: %s"
            LOG.warning(text, self._place(), error, extra={"code": error.code})
        self.connected, self._error = False, error
        self._rewind()

    def _rewind(self) -> None:
        """What may not have come to the receiver is sent again."""
        self._given, self._candidate = self._sent, None

    async def _read(self, limit: int) -> tuple[list[Row], table.Tip]:
        call = partial(table.read_records, date=None, after=self._given.number, limit=limit)
        found: tuple[list[Row], table.Tip] = await self._log.read(
            lambda reader, _: reader.look(call)
        )
        return found

    def _frame(self, row: Row) -> bytes:
        try:
            record = parse_record(row.record)
        except MalformedError as error:  # newer software wrote it: the gap in the numbers shows
            LOG.error("audit record %d is not sent: %s", row.number, error)  # noqa: TRY400
            return b""
        return frame_message(encode_message(self._sender, row.number, row.chain, record))

    def _place(self) -> str:
        return f"{self._syslog.host}:{self._syslog.port}"


def _time_of(row: Row) -> int | None:
    """When a record was made, ms; None if newer software wrote it."""
    try:
        return parse_record(row.record).time
    except MalformedError:
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Keeps the audit log of a running gateway (docs/operations/audit.md).

Rules:
1. To take note costs the caller nothing and never fails; a moment later the record is durable, all
   that have come together in one transaction. While the disk takes nothing they wait, up to a
   bound; what goes beyond it is counted.
2. Of one action at most `MAX_ALIKE` records are made in a minute; the others are counted.
3. What is not told to us we look at: states by their watches, refusals by their counts.
4. A day that is over is closed, and then logged: its value goes into our own log once, though we
   be killed at any moment between. That an entry was made is written in its own transaction, as
   for any request that may be sent again; the request's name follows from the day's value.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import chopmark
from chopmark.api.identity import CALLER
from chopmark.core.audit import SALT, Day, Record, date_of, encode_record, make_entry, shorten
from chopmark.core.errors import (
    ChopmarkError,
    InternalError,
    MalformedError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.ports import AuditSink, Clock
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger import audit as table
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.requests import Claim
from chopmark.ledger.sequencer import Sequencer
from chopmark.service.clockguard import NONE, ClockGuard
from chopmark.service.standing import Standing
from chopmark.service.storage import Storage

LOG: Final = logging.getLogger("chopmark.audit")
PAUSE: Final = 60.0
"""Seconds between two lines that say that a day's root waits."""
LOOK: Final = 1.0
"""Seconds between two looks at what is watched."""
MINUTE: Final = 60
"""Looks after which counts are told, and days are closed and logged."""
MAX_ALIKE: Final = 60
"""Records of one action in a minute: a day has at most some tens of MB, whatever happens."""
MAX_PENDING: Final = 4096
"""Records that wait for the disk."""
MAX_TOLD: Final = 15
"""Causes in one record of refusals; what is left is told together."""
SETTLE: Final = 5.0
"""Seconds that the answer to a person's act waits for its record."""
RECORD: Final = 30.0
"""Seconds to wait for a day's entry to be durable."""
STARTS: Final = ("daemon.started", "daemon.stopped")

T = TypeVar("T")


@dataclass(slots=True)
class _Watch:
    """A state that is looked at: what it was, and why it is what it is."""

    look: Callable[[], str]
    reason: Callable[[], str | None]
    last: str
    about: Mapping[str, str]


@dataclass(slots=True)
class Auditing:
    """Implements `core.ports.AuditSink` on our own log.

    Attributes:
        fingerprint: SHA-256 of the configuration file, in hexadecimal.
        refused: gives the refusals by cause since the process began.
        named: takes those of whom it is known who was refused, by name, since it was last asked.
    """

    log: Log
    sequencer: Sequencer
    clock: Clock
    random: Callable[[int], bytes]
    fingerprint: str = ""
    refused: Callable[[], Counter[str]] = Counter
    named: Callable[[], Mapping[str, Counter[str]]] = dict
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _pending: list[Record] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)
    _alike: Counter[str] = field(default_factory=Counter)
    _beyond: Counter[str] = field(default_factory=Counter)
    _told: Counter[str] = field(default_factory=Counter)
    _written: int = 0
    _running: bool = False
    _failed: bool = False
    _late: bool = False
    _said: bool = False
    _quiet_until: float = 0.0

    def note(
        self, action: str, *, actor: str = "gateway", outcome: str = "done", **about: str | int
    ) -> None:
        """Take note of something; see `core.ports.AuditSink`."""
        self._alike[action] += 1
        if self._alike[action] > MAX_ALIKE or len(self._pending) >= MAX_PENDING:
            self._beyond[action] += 1
        else:
            self._add(action, actor, outcome, about)

    async def settle(self) -> None:
        """Wait until all that was noted is durable, for a bounded time; see `AuditSink`."""
        due = self._written + len(self._pending)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while self._running and self._written < due:
                    await self._settled.wait()

    def watch(
        self,
        name: str,
        look: Callable[[], str],
        usual: str,
        reason: Callable[[], str | None] = lambda: None,
        **about: str,
    ) -> None:
        """Look at a state from now on, and note `<name>.changed` whenever it is another.

        Args:
            name: what it is the state of, such as `hsm`.
            look: gives the state.
            usual: the state that is not worth a record at the start.
            reason: says why, if there is something to say.
            about: what else to say.
        """
        key = " ".join([name, *about.values()])
        self._watches[key] = _Watch(look, reason, usual, about)

    async def run(self) -> None:
        """Keep the log for ever; any error that ends it must end the process."""
        self._running, self._told = True, Counter(self.refused())
        self.named()  # nor what was before is told
        try:
            await self._note_start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_all(), name="audit-write")
                tasks.create_task(self._look_all(), name="audit-look")
        finally:
            self._running = False

    async def stop(self) -> None:
        """Note that we stop in order, once `run` has ended, and write what is left."""
        self._tell_counts()
        self.note("daemon.stopped", version=chopmark.__version__)
        await self.write()

    async def write(self) -> None:
        """Make what was noted durable; it waits where the disk refuses."""
        taken = self._pending[:MAX_PENDING]
        salted = [(record, self.random(SALT)) for record in taken]
        try:
            await self.log.write(lambda store: store.change(partial(table.append, records=salted)))
        except TryAgainError as error:
            if not self._failed:
                LOG.error("audit records wait for the disk: %s", error, extra={"code": error.code})  # noqa: TRY400 - the reason says it all
            self._failed = True
            return
        self._failed = False
        del self._pending[: len(taken)]
        self._written += len(taken)
        self._settled.set()
        self._settled = asyncio.Event()

    async def close_days(self) -> None:
        """Close the day that is over, and log the days that are closed and not logged."""
        today = date_of(self._now())
        try:
            await self.log.write(lambda store: store.change(partial(table.close_day, today=today)))
            for day in await self.log.read(lambda reader, _: reader.look(table.read_unlogged)):
                await self._log_day(day)
            self._late = self._said = False
        except InternalError:
            raise
        except ChopmarkError as error:  # the next look tries again
            self._say_late(error)
            self._late = True

    def _say_late(self, error: ChopmarkError) -> None:
        """One line for each outage, and no more than one a minute where outages come and go."""
        now = asyncio.get_running_loop().time()
        if not self._said and now >= self._quiet_until:
            self._said, self._quiet_until = True, now + PAUSE
            message = "the root of a day's audit log waits for the ledger: %s"
            LOG.warning(message, error, extra={"code": error.code})

    async def _log_day(self, day: Day) -> None:
        claim = Claim(day.value()[:16], 0)
        try:
            recorded = await self.sequencer.record([partial(make_entry, day)], RECORD, claim)
            entry = recorded.start
        except RefusedError as error:
            if error.code != "request-moved":
                raise
            parts = await self.log.read(lambda reader, _: reader.request_parts(claim.request, 0))
            entry = parts[0].start
        await self.log.write(
            lambda store: store.change(lambda db: table.mark_logged(db, day.number, entry))
        )
        found = (day.date, day.count, entry, day.chain.hex())
        LOG.info("%s: %d audit records, root in entry %d, chain %s", *found)

    async def _write_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self._pending:
                await _finish(self.write())

    async def _look_all(self) -> None:
        await self.close_days()
        while True:
            for _ in range(MINUTE):
                await asyncio.sleep(LOOK)
                self._look()
                if self._late:  # after a start it may be seconds until anything may be signed
                    await self.close_days()
            self._tell_counts()
            if self._pending:
                self._arrived.set()
            await self.close_days()

    async def _note_start(self) -> None:
        before, config = await self.log.read(lambda reader, _: reader.look(_read_last))
        now = {"version": chopmark.__version__, "config": self.fingerprint}
        self.note("daemon.started", before=before, entries=self.log.state.size, **now)
        if config not in (None, self.fingerprint):
            self.note("config.changed", before=config or "", after=self.fingerprint)
        self._look()

    def _look(self) -> None:
        for key, watch in self._watches.items():
            state = watch.look()
            if state != watch.last:
                said = watch.reason()
                about = dict(watch.about) | ({} if said is None else {"reason": said})
                changed = {"before": watch.last, "after": state}
                self.note(f"{key.partition(' ')[0]}.changed", **changed, **about)
                watch.last = state

    def _tell_counts(self) -> None:
        """Once a minute: what was refused, and what was too much to be recorded one by one."""
        named = self.named()
        for actor, counts in named.items():
            self._add("requests.refused", actor, "done", _bounded(counts))
        now = Counter(self.refused())
        refused, beyond = now - self._told - sum(named.values(), Counter()), self._beyond
        self._told, self._alike, self._beyond = now, Counter(), Counter()
        for action, counts in (("requests.refused", refused), ("audit.beyond", beyond)):
            if counts:
                self._add(action, "gateway", "done", _bounded(counts))

    def _add(self, action: str, actor: str, outcome: str, about: Mapping[str, str | int]) -> None:
        short = {k: shorten(v) if isinstance(v, str) else max(0, int(v)) for k, v in about.items()}
        record = Record(self._now(), shorten(actor) or "unknown", action, outcome, short)
        try:
            encode_record(record)
        except MalformedError:
            LOG.exception("an audit record cannot be made: %s", action)
            return
        self._pending.append(record)
        self._arrived.set()

    def _now(self) -> int:
        return max(0, self.clock.now_ms())


def watch_parts(
    auditing: Auditing,
    signer: HsmSigner,
    storage: Storage,
    guard: ClockGuard,
    replicas: Sequence[Replica],
    standing: Standing,
) -> None:
    """Watch what every gateway has: HSM, disk, clock, standing, and peers' logs for forks."""
    # Each start confirms; what matters is a ledger that is found to be behind.
    auditing.watch("ledger", lambda: "behind" if standing.state == "behind" else "ok", "ok")
    if guard.require != NONE:
        auditing.watch("clock", lambda: guard.state, "ok", lambda: guard.reason or None)
    auditing.watch("hsm", lambda: signer.state, "ready", lambda: signer.reason)
    auditing.watch("storage", lambda: storage.state, "ok")
    for replica in replicas:
        look, reason = partial(_judge, replica), partial(getattr, replica, "conflict")
        auditing.watch("fork", look, "none", reason, peer=replica.peer)


async def noted(audit: AuditSink, action: str, work: Awaitable[T], **about: str | int) -> T:
    """Do what a caller asks for, and note who asked and how it ended."""
    outcome = "broken-off"
    try:
        result = await work
        outcome = "done"
    except ChopmarkError as error:
        outcome = error.code
        raise
    finally:
        audit.note(action, actor=CALLER.get().client or "unknown", outcome=outcome, **about)
    await audit.settle()
    return result


def _judge(replica: Replica) -> str:
    return "found" if replica.conflict else "none"


def _read_last(db: sqlite3.Connection) -> tuple[str, str | None]:
    """How the run before ended, and the fingerprint of its configuration."""
    before = "nothing"
    for record in table.walk_back(db):
        if record.action not in STARTS:
            continue
        if before == "nothing":
            before = "stopped" if record.action == "daemon.stopped" else "cut-off"
        if record.action == "daemon.started":
            return before, str(record.about.get("config", ""))
    return before, None


def _bounded(counts: Counter[str]) -> dict[str, int]:
    most = counts.most_common(MAX_TOLD)
    rest = counts.total() - sum(count for _, count in most)
    return dict(most) | ({"other": rest} if rest else {})


async def _finish(work: Awaitable[None]) -> None:
    """Do it to the end, though we be cancelled: what is written and what waits must agree."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.result()
        raise

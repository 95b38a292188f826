"""Builds the gateway's parts from its configuration, and closes them again.

What belongs together is brought together in `service.parts`, subject by subject.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litestar.handlers import BaseRouteHandler

from chopmark.api.anchors import make_anchors_route
from chopmark.api.events import make_events_route
from chopmark.api.refusals import Refusals
from chopmark.api.submissions import make_witness_routes
from chopmark.api.tiles import make_tile_route
from chopmark.core.errors import MissingError
from chopmark.core.ports import AuditSink, Clock
from chopmark.hsm.signer import HsmSigner
from chopmark.hsm.start import open_signer
from chopmark.ledger.log import Log
from chopmark.ledger.rotation import apply_due, read_labels
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.worker import Worker
from chopmark.mesh.mesh import Mesh
from chopmark.service.access import TokenAccess
from chopmark.service.audit_syslog import AuditSyslog
from chopmark.service.auditing import Auditing
from chopmark.service.clockguard import ClockGuard
from chopmark.service.commitments import Commitments
from chopmark.service.config import Config
from chopmark.service.consents import Consents
from chopmark.service.credentials import PinSource
from chopmark.service.dealings import Dealings
from chopmark.service.documents import Documents
from chopmark.service.floors import tell_lost
from chopmark.service.forks import Forks
from chopmark.service.gateway import GatewayService
from chopmark.service.history import History
from chopmark.service.hsm import HsmService
from chopmark.service.live import Live
from chopmark.service.locking import lock_state
from chopmark.service.looplag import LoopLag
from chopmark.service.metrics import Metrics
from chopmark.service.noted import NotedForks, NotedKeys, NotedRosters
from chopmark.service.own_ledger import check_origin
from chopmark.service.parties import Parties
from chopmark.service.parts.answering import Answering, make_answering
from chopmark.service.parts.issuing import Issuing, make_issuing
from chopmark.service.parts.meeting import Meeting, make_meeting
from chopmark.service.parts.opening import Opened, open_ledgers
from chopmark.service.parts.outside import Outside
from chopmark.service.parts.overseeing import Overseeing, make_overseeing
from chopmark.service.places import log_path
from chopmark.service.report import Report
from chopmark.service.retention import Retention
from chopmark.service.rosters import Rosters
from chopmark.service.rotation import Rotation
from chopmark.service.salts import Salts
from chopmark.service.standing import Standing
from chopmark.service.storage import Storage
from chopmark.service.submissions import Submissions
from chopmark.service.tiles import TileService
from chopmark.service.token import hsm_config
from chopmark.service.traces import Traces
from chopmark.service.trust import Trust
from chopmark.service.uses import Uses

if TYPE_CHECKING:
    from chopmark.service.anchoring import Anchoring


@dataclass(frozen=True, slots=True)
class Parts:
    """What `main` runs."""

    gateway: GatewayService
    sequencer: Sequencer
    mesh: Mesh
    forks: Forks
    guard: ClockGuard
    report: Report
    log: Log
    storage: Storage
    lag: LoopLag
    refusals: Refusals
    metrics: Metrics
    trust: Trust
    standing: Standing
    signer: HsmSigner
    clock: Clock
    routes: Sequence[BaseRouteHandler]
    submissions: Submissions
    retention: Retention
    auditing: Auditing
    syslog: AuditSyslog | None
    rosters: Rosters
    live: Live
    salts: Salts
    history: History
    anchoring: "Anchoring | None"
    logs: Sequence[Log]
    """Ours, and what the replicas keep."""

    async def watch_disks(self) -> None:
        """Run until it is unknown what the disk of a ledger holds, whoever has written to it.

        A caller of the API hears of its own failed write; the process must end by it all the same.

        Raises:
            ExceptionGroup: of the InternalError `commit-unknown`.
        """
        async with asyncio.TaskGroup() as tasks:
            for log in self.logs:
                tasks.create_task(log.watch(), name=f"disk of {log.origin}")


async def build(config: Config, stack: AsyncExitStack, access: TokenAccess) -> Parts:
    """Open everything, in the order in which a fault is best explained.

    Args:
        config: checked configuration.
        stack: closes what was opened, whatever happens.
        access: to the token; it knows what the parts before have learnt of the PIN.

    Raises:
        ChopmarkError: with the first thing that is wrong.
    """
    state = config.gateway.state
    if not log_path(state).exists():
        hint = "create it with `chopmark init`, or take a lost one back with `chopmark recover`"
        raise MissingError("no-ledger", f"there is no ledger in {state}", hint=hint)
    stack.callback(lock_state(state).close)
    reading = Worker("read")
    stack.callback(reading.close)
    path = log_path(state)
    await reading.run(access.enter)
    await reading.run(apply_due, path)
    known = await reading.run(check_origin, config)
    signer = await open_signer(
        hsm_config(config, await reading.run(read_labels, path), known[1].name),
        config.gateway.origin,
        access.guard,
        known=known,
        book=access.book,
    )
    stack.push_async_callback(signer.close)
    return await open_parts(config, signer, reading, stack, Outside(), access.pins)


async def open_parts(
    config: Config,
    signer: HsmSigner,
    reading: Worker,
    stack: AsyncExitStack,
    outside: Outside,
    pins: PinSource | None = None,
) -> Parts:
    """Open the logs with a signer that is there, and bring all together; raises as `build`."""
    opened = await open_ledgers(config, signer, reading, stack, outside)
    blinding = Worker("blind")
    stack.callback(blinding.close)
    issuing = make_issuing(opened, blinding)
    meeting = make_meeting(opened, issuing)
    answering = make_answering(opened, issuing, meeting)
    overseeing = make_overseeing(opened, issuing, meeting, answering)
    anchoring = await _open_anchoring(opened, meeting, stack)
    if anchoring is not None:
        answering.verifier.anchored = anchoring.covering
        overseeing.report.anchoring = anchoring
    await meeting.forks.start()
    await tell_lost(opened.log, config.witness.log)
    pins = pins or PinSource(config)
    gateway = _make_gateway(opened, issuing, meeting, answering, overseeing, pins)
    if anchoring is not None:
        gateway.account = anchoring.account
    return _assemble(gateway, opened, issuing, meeting, answering, overseeing, anchoring)


async def _open_anchoring(
    opened: Opened, meeting: Meeting, stack: AsyncExitStack
) -> "Anchoring | None":
    if opened.config.anchor is None:
        return None
    from chopmark.service.anchoring import open_anchoring  # noqa: PLC0415 - of few gateways

    quorum = opened.trust.quorum is not None
    held = (opened.own, opened.log, opened.replicas, opened.signer, meeting.observe_own)
    return await open_anchoring(opened.config, *held, opened.clock, stack, quorum=quorum)


def _assemble(
    gateway: GatewayService,
    opened: Opened,
    issuing: Issuing,
    meeting: Meeting,
    answering: Answering,
    overseeing: Overseeing,
    anchoring: "Anchoring | None",
) -> Parts:
    tiles = make_tile_route(TileService(answering.logs))
    events = make_events_route(overseeing.live.events)
    return Parts(
        gateway=gateway,
        sequencer=issuing.sequencer,
        mesh=meeting.mesh,
        forks=meeting.forks,
        guard=issuing.guard,
        report=overseeing.report,
        log=opened.log,
        storage=opened.storage,
        lag=overseeing.lag,
        refusals=overseeing.refusals,
        metrics=overseeing.metrics,
        trust=opened.trust,
        standing=issuing.standing,
        signer=opened.signer,
        clock=opened.clock,
        routes=[
            *(tiles, events, make_anchors_route(anchoring)),
            *make_witness_routes(answering.submissions, gateway),
        ],
        anchoring=anchoring,
        submissions=answering.submissions,
        retention=answering.retention,
        auditing=overseeing.auditing,
        syslog=overseeing.syslog,
        rosters=opened.rosters,
        live=overseeing.live,
        salts=issuing.salts,
        logs=(opened.log, *(one.log for one in opened.replicas)),
        history=overseeing.history,
    )


def _make_documents(opened: Opened) -> Documents:
    """Who looks documents up: in our own log first."""
    own = opened.own
    logs = {one.peer: (one.member, one.log) for one in opened.replicas}
    return Documents({own.id: (own, opened.log)} | logs, opened.clock, own.id)


def _make_dealings(
    opened: Opened, issuing: Issuing, answering: Answering, audit: AuditSink
) -> Dealings:
    """Who records consents and uses, and traces documents."""
    own, now, shelves = opened.own, opened.clock.now_ms, answering.shelves
    commitments = Commitments(opened.log, issuing.sequencer, issuing.salts, opened.clock)
    parties = Parties((own, *opened.members.peers))
    scenarios, verifier = opened.members.scenarios, answering.verifier
    return Dealings(
        Consents(own, opened.log, commitments, parties, scenarios, now),
        Uses(own, shelves, verifier, commitments, parties, scenarios, now),
        Traces(shelves, verifier, opened.reading, now),
        audit,
    )


def _make_gateway(
    opened: Opened,
    issuing: Issuing,
    meeting: Meeting,
    answering: Answering,
    overseeing: Overseeing,
    pins: PinSource,
) -> GatewayService:
    """What the API talks to."""
    auditing, rosters = overseeing.auditing, opened.rosters
    rotation = Rotation(opened.config, opened.log, opened.signer, rosters)
    gateway = GatewayService(
        *(opened.own, issuing.sequencer, answering.logs, answering.signing, answering.verifier),
        _make_documents(opened),
        *(overseeing.report, opened.clock),
        *(NotedRosters(rosters, auditing), NotedKeys(rotation, auditing)),
        HsmService(opened.config, opened.signer, pins, auditing, opened.clock),
        NotedForks(meeting.forks, auditing),
        answering.witnessing,
        opened.members.catalogue,
    )
    gateway.audit = auditing
    gateway.salts = issuing.salts
    gateway.dealings = _make_dealings(opened, issuing, answering, auditing)
    return gateway

"""What tells people and machines how the gateway is: status, metrics, audit log."""

import socket
from dataclasses import dataclass
from secrets import token_hex

from chopmark.api.problems import REFUSED
from chopmark.api.refusals import NAMES, Refusals
from chopmark.core.syslog import Sender
from chopmark.service.audit_syslog import AuditSyslog
from chopmark.service.auditing import Auditing, watch_parts
from chopmark.service.history import History, Totals
from chopmark.service.live import Live
from chopmark.service.looplag import LoopLag
from chopmark.service.metrics import GatewayCollector, Metrics, Sources
from chopmark.service.parts.answering import Answering
from chopmark.service.parts.issuing import Issuing
from chopmark.service.parts.meeting import Meeting
from chopmark.service.parts.opening import Opened
from chopmark.service.report import Report


@dataclass(frozen=True, slots=True)
class Overseeing:
    """Status, metrics and audit log, and what is counted for them alone.

    Attributes:
        syslog: sends the audit log on; None if the configuration names nobody.
    """

    report: Report
    metrics: Metrics
    auditing: Auditing
    live: Live
    syslog: AuditSyslog | None
    lag: LoopLag
    refusals: Refusals
    history: History


def make_overseeing(
    opened: Opened, issuing: Issuing, meeting: Meeting, answering: Answering
) -> Overseeing:
    """Bring them together."""
    lag, refusals, syslog = LoopLag(), Refusals(), _make_syslog(opened)
    history = _make_history(opened, answering)
    report = Report(
        opened.own,
        opened.log,
        issuing.sequencer,
        opened.signer,
        meeting.mesh,
        opened.replicas,
        opened.clock,
        opened.storage,
        lag,
        meeting.forks,
        issuing.guard,
        opened.trust,
        issuing.standing,
        opened.rosters,
        answering.retention,
        issuing.salts,
        history,
        opened.config.hsm,
        syslog,
    )
    sources = Sources(
        *(report.status, opened.replicas, meeting.mesh, opened.storage, lag, refusals),
        *(opened.clock, meeting.blame, lambda: opened.signer.meter, issuing.sequencer.waits),
        *(answering.verifier.counts, syslog),
    )
    collector = GatewayCollector(sources)
    auditing = _make_auditing(opened, issuing, meeting, refusals)
    # Not of `outside`: what is told to listeners must not move what a simulation draws.
    live = Live(token_hex(6), answering.logs, report.live, meeting.forks.held)
    return Overseeing(report, Metrics(collector), auditing, live, syslog, lag, refusals, history)


def _make_auditing(
    opened: Opened, issuing: Issuing, meeting: Meeting, refusals: Refusals
) -> Auditing:
    random = opened.outside.random
    auditing = Auditing(opened.log, issuing.sequencer, opened.clock, random)
    auditing.refused, auditing.named = lambda: REFUSED + refusals.early(), NAMES.take
    opened.rosters.audit = meeting.forks.releases.audit = auditing
    watched = (opened.signer, opened.storage, issuing.guard, opened.replicas, issuing.standing)
    watch_parts(auditing, *watched)
    return auditing


def _make_history(opened: Opened, answering: Answering) -> History:
    def totals() -> Totals:
        verified = answering.verifier.counts.total()
        replicated = sum(one.log.state.size for one in opened.replicas)
        return Totals(opened.log.state.size, verified, replicated)

    return History(totals, opened.clock)


def _make_syslog(opened: Opened) -> AuditSyslog | None:
    syslog, own = opened.config.audit.syslog, opened.own
    if syslog is None:
        return None
    sender = Sender(socket.gethostname(), own.id, own.origin, syslog.enterprise)
    return AuditSyslog(syslog, sender, opened.log, opened.clock)

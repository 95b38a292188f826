"""What tells people and machines how the gateway is: status, metrics, audit log."""

from dataclasses import dataclass

from chopmark.api.problems import REFUSED
from chopmark.api.refusals import Refusals
from chopmark.service.auditing import Auditing, watch_parts
from chopmark.service.hsm_state import describe_times
from chopmark.service.looplag import LoopLag
from chopmark.service.metrics import GatewayCollector, Metrics
from chopmark.service.parts.answering import Answering
from chopmark.service.parts.issuing import Issuing
from chopmark.service.parts.meeting import Meeting
from chopmark.service.parts.opening import Opened
from chopmark.service.report import Report


@dataclass(frozen=True, slots=True)
class Overseeing:
    """Status, metrics and audit log, and what is counted for them alone."""

    report: Report
    metrics: Metrics
    auditing: Auditing
    lag: LoopLag
    refusals: Refusals


def make_overseeing(
    opened: Opened, issuing: Issuing, meeting: Meeting, answering: Answering
) -> Overseeing:
    """Bring them together."""
    lag, refusals = LoopLag(), Refusals()
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
    )
    collector = GatewayCollector(
        *(report.status, opened.replicas, meeting.mesh, opened.storage, lag, refusals),
        *(opened.clock, meeting.blame, lambda: describe_times(opened.signer)),
    )
    auditing = _make_auditing(opened, issuing, meeting, refusals)
    return Overseeing(report, Metrics(collector), auditing, lag, refusals)


def _make_auditing(
    opened: Opened, issuing: Issuing, meeting: Meeting, refusals: Refusals
) -> Auditing:
    random = opened.outside.random
    auditing = Auditing(opened.log, issuing.sequencer, opened.clock, random)
    auditing.refused = lambda: REFUSED + refusals.early()
    opened.rosters.audit = meeting.forks.releases.audit = auditing
    watched = (opened.signer, opened.storage, issuing.guard, opened.replicas, issuing.standing)
    watch_parts(auditing, *watched)
    return auditing

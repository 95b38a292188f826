"""What the parts count, as Prometheus metrics. Nothing is counted here: it is only read.

Names and units are Prometheus' own way (https://prometheus.io/docs/practices/naming/): seconds,
bytes, entries; a sum over a metric's labels makes sense. Labels take few values, all from the
configuration or from a fixed list: peers by member id, states and codes by name. No digest, address
or name of a client is among them.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from chopmark.api.problems import REFUSED
from chopmark.api.refusals import Refusals
from chopmark.core.ports import Clock
from chopmark.core.verdict import Word
from chopmark.hsm.meter import Meter
from chopmark.ledger.blame import Blame
from chopmark.ledger.replica import Replica
from chopmark.ledger.waits import BOUNDS as WAITS
from chopmark.ledger.waits import Waits
from chopmark.mesh.mesh import Mesh
from chopmark.service import alarms
from chopmark.service.audit_syslog import AuditSyslog
from chopmark.service.families import counter, counters, gauge, gauges, histogram, info
from chopmark.service.looplag import BOUNDS, LoopLag
from chopmark.service.metrics_mesh import tell_links, tell_peers
from chopmark.service.metrics_own import (
    tell_clock,
    tell_hsm,
    tell_log,
    tell_retention,
    tell_roster,
    tell_witnesses,
)
from chopmark.service.storage import Storage


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read.

    Attributes:
        status: gives the status as `GET /v1/status` does.
        replicas: of the peers.
        mesh: the link, and what is known of the peers.
        storage: the disk.
        lag: of the event loop.
        refusals: what the server refused before it was a request.
        clock: the gateway's.
        blame: who sent bad messages.
        meter: of the HSM.
        waits: for signed heads.
        verdicts: that were given.
        syslog: sends the audit log on, if anything does.
    """

    status: Callable[[], Mapping[str, Any]]
    replicas: Sequence[Replica]
    mesh: Mesh
    storage: Storage
    lag: LoopLag
    refusals: Refusals
    clock: Clock
    blame: Blame
    meter: Callable[[], Meter]
    waits: Waits
    verdicts: Mapping[Word, int]
    syslog: AuditSyslog | None


class GatewayCollector(Collector):
    """Reads the parts of a gateway. Call it on the event loop, which changes them."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        parts, status = self._from, self._from.status()
        yield _identity(status)
        yield gauge("ready", "1 if the gateway can do all of its work", status["ready"])
        yield from self._alarms(status)
        now = parts.clock.now_ms() / 1000
        yield gauge("clock_timestamp_seconds", "The gateway's clock, since the epoch", now)
        yield from tell_clock(status["clock"])
        yield from tell_log(status)
        about = "Time from an entry's arrival to its signed head: the longest under each head"
        waits = parts.waits
        yield histogram("log_signed_wait_seconds", about, WAITS, waits.buckets, waits.seconds)
        yield from tell_witnesses(status)
        yield from tell_hsm(status, parts.meter(), now)
        yield from tell_links(status, parts.mesh)
        yield from tell_peers(status, parts.replicas, parts.blame)
        yield from self._disk()
        yield from self._answers()
        yield from self._loop()
        yield from tell_roster(status["roster"])
        yield from tell_retention(status["retention"])
        yield from _audit(parts.syslog)
        yield from _anchor(status["anchor"])

    def _alarms(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        standing = {alarm["code"] for alarm in status["alarms"]}
        known = dict.fromkeys((*alarms.CODES, *sorted(standing)))
        values = {(code,): code in standing for code in known}
        yield gauges("alarm", "1 if an alarm stands", ("code",), values)

    def _disk(self) -> Iterator[Metric]:
        disk = self._from.storage
        yield gauge("storage_size_bytes", "Size of the disk with the ledger", disk.space.total)
        yield gauge("storage_free_bytes", "Bytes of it that are free", disk.space.free)
        if (days := disk.days_left) is not None:
            about = "Time until the disk is full, as it grows now"
            yield gauge("storage_left_seconds", about, days * 86_400)

    def _answers(self) -> Iterator[Metric]:
        given = self._from.verdicts
        verdicts = {(word.value,): given.get(word, 0) for word in Word}
        yield counters("verifications", "Verdicts given", ("verdict",), verdicts)
        about = "Refusals and failures that callers were told; of what is not there none counts"
        told = {(code,): count for code, count in REFUSED.items()}
        yield counters("api_problems", about, ("code",), told)
        about = "What the API refused before it was a request"
        refused = {(reason,): count for reason, count in self._from.refusals.counts.items()}
        yield counters("api_refusals", about, ("reason",), refused)

    def _loop(self) -> Iterator[Metric]:
        lag = self._from.lag
        about = "By how much the event loop was late"
        yield histogram("event_loop_lag_seconds", about, BOUNDS, lag.buckets, lag.total)
        about = "Greatest lag of the event loop in the last minute"
        yield gauge("event_loop_lag_max_seconds", about, lag.worst())


class Metrics:
    """The text of all metrics."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def render(self) -> bytes:
        """Prometheus' text format, version 0.0.4."""
        registry = CollectorRegistry()
        registry.register(_Collected(list(self._collector.collect())))
        # What is told of the process is read from files in /proc.
        process = await asyncio.to_thread(generate_latest, self._process)
        return generate_latest(registry) + process


class _Collected(Collector):
    """Metrics that are collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Nothing, so that registering it does not ask for metrics."""
        return []

    def collect(self) -> list[Metric]:
        """The metrics."""
        return self._metrics


def _identity(status: Mapping[str, Any]) -> Metric:
    labels = {name: str(status[name]) for name in ("id", "origin", "version")}
    protocol = str(status["protocol"]["newest"])
    return info("gateway", "Which gateway this is", labels | {"protocol": protocol})


def _audit(syslog: AuditSyslog | None) -> Iterator[Metric]:
    """How the audit log gets to its receiver; nothing without one."""
    if syslog is None:
        return
    about = "1 if the receiver of the audit log takes what is sent"
    yield gauge("audit_syslog_connected", about, syslog.connected)
    about = "Audit records that wait to be sent"
    yield gauge("audit_syslog_waiting_records", about, syslog.waiting)
    about = "Age of the oldest of them; 0 if there are none"
    yield gauge("audit_syslog_lag_seconds", about, syslog.lag)
    about = "Audit records given to the receiver, those sent again too"
    yield counter("audit_syslog_sent_records", about, syslog.total)


def _anchor(anchor: Mapping[str, Any] | None) -> Iterator[Metric]:
    """How the chain is followed, and our log anchored; nothing where none is."""
    if anchor is None:
        return
    about = "Blocks of the chain that were not read yet"
    yield gauge("anchor_lag_blocks", about, anchor["lag"] or 0)
    about = "Anchors that the contract counts and its nodes do not tell of"
    yield gauge("anchor_missing", about, anchor["missing"])
    yield counter("anchor_read", "Anchors read and compared", anchor["read"])
    sizes = {(one["id"],): one["size"] for one in anchor["logs"]}
    about = "Entries under the newest anchor of a member's log"
    yield gauges("anchor_entries", about, ("member",), sizes)
    if (own := anchor["own"]) is not None:
        yield counter("anchor_transactions", "Transactions made to anchor our log", own["sent"])

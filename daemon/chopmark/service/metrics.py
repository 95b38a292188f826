"""What the parts count, as Prometheus metrics. Nothing is counted here: it is only read.

Labels take few values, all from the configuration or from a fixed list: peers by member id, states
by name. No digest, address or name of a client is among them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from chopmark.api.refusals import Refusals
from chopmark.core.ports import Clock
from chopmark.ledger.blame import Blame
from chopmark.ledger.replica import Replica
from chopmark.mesh.mesh import Mesh
from chopmark.service.looplag import BOUNDS, LoopLag
from chopmark.service.standing import STATES as STANDINGS
from chopmark.service.storage import Storage

Series = Mapping[Any, float]
"""Values by the tuple of their labels' values, which mypy would want to be of one length."""
HSM_STATES: Final = ("ready", "away", "latched", "locked", "maintenance")
ALARMS: Final = (
    *("storage-alarm", "storage-full", "replicas-paused"),
    *("fork", "own-fork", "clock-wrong", "peer-clock"),
)
CLOCK_STATES: Final = ("ok", "unsynchronised", "jumped", "far-from-others")
PEER_STATES: Final = ("following", "catching-up", "waiting", "failed")
_EPOCH: Final = "1970-01-01T00:00:00Z"


class GatewayCollector(Collector):
    """Reads the parts of a gateway. Call it on the event loop, which changes them.

    Args:
        status: gives the status as `GET /v1/status` does.
        replicas: of the peers.
        mesh: the link, and what is known of the peers.
        storage: the disk.
        lag: of the event loop.
        refusals: what the server refused before it was a request.
        clock: the gateway's.
        blame: who sent bad messages.
        hsm_times: signatures by their time: see `describe_times`.
    """

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        replicas: Iterable[Replica],
        mesh: Mesh,
        storage: Storage,
        lag: LoopLag,
        refusals: Refusals,
        clock: Clock,
        blame: Blame,
        hsm_times: Callable[[], tuple[list[tuple[str, float]], float]],
    ) -> None:
        self._hsm_times = hsm_times
        self._clock = clock
        self._blame = blame
        self._status = status
        self._replicas = tuple(replicas)
        self._mesh = mesh
        self._storage = storage
        self._lag = lag
        self._refusals = refusals

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        status = self._status()
        yield _info(status)
        yield _gauge("ready", "1 if the gateway can do all of its work", status["ready"])
        about = "The gateway's clock, since the epoch"
        yield _gauge("clock_timestamp_seconds", about, self._clock.now_ms() / 1000)
        yield from self._guarded(status["clock"])
        yield from self._log(status)
        yield from self._witnessed(status)
        yield from self._hsm(status)
        yield from self._links(status)
        yield from self._peers(status)
        yield from self._disk(status)
        yield from self._loop()
        yield from _roster(status["roster"])
        yield from _retention(status["retention"])

    def _guarded(self, clock: Mapping[str, Any]) -> Iterator[Metric]:
        about = "1 if the kernel says that its clock is synchronised"
        yield _gauge("clock_synchronised", about, clock["synchronised"])
        state = {(): clock["state"]}
        yield _states("clock_state", "1 for the state of the clock", CLOCK_STATES, state, ())
        yield _counter("clock_jumps", "Times that the clock has jumped", clock["jumps"])
        offsets = {(peer,): offset for peer, offset in clock["offsets"].items()}
        about = "How far a peer's clock is ahead of ours, by its heartbeats"
        yield _gauges("clock_offset_seconds", about, ("peer",), offsets)

    def _log(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        counters = status["counters"]
        standing = {(): status["standing"]["state"]}
        about = "1 for whether our own log may be signed"
        yield _states("standing", about, STANDINGS, standing, ())
        yield _gauge("log_entries", "Durable entries of our own log", status["size"])
        signed = status["head"]["size"]
        yield _gauge("log_signed_entries", "Entries that our newest signed head covers", signed)
        waiting = status["intake"]["entries"]
        yield _gauge("intake_entries", "Entries that wait to be appended", waiting)
        yield _counter("recorded_entries", "Entries recorded", counters["entries"])
        yield _counter("appends", "Transactions that appended entries", counters["appends"])
        yield _counter("signed_heads", "Heads of our own log signed", counters["heads"])

    def _witnessed(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        """How our log is countersigned; nothing where no quorum is demanded."""
        witnessed = status["witnessed"]
        if witnessed["state"] == "none":
            return
        about = "Entries that our newest head with a quorum covers"
        yield _gauge("log_witnessed_entries", about, witnessed["size"])
        missing = witnessed["state"] == "missing"
        yield _gauge("quorum_missing", "1 if the quorum did not come in time", missing)
        signed = status["head"]["size"]
        lags = {(peer,): signed - seen["size"] for peer, seen in witnessed["cosigned"].items()}
        about = "Signed entries of our log that a witness has not countersigned"
        yield _gauges("witness_lag_entries", about, ("peer",), lags)

    def _hsm(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        hsm, counters = status["hsm"], status["counters"]
        yield _states("hsm_state", "1 for the state of the HSM", HSM_STATES, {(): hsm["state"]}, ())
        made = {
            ("checkpoint",): counters["checkpoints"],
            ("cosignature",): counters["cosignatures"],
            ("roster",): counters["rosters"],
            ("self-test",): counters["self_tests"],
            ("ceremony",): counters["ceremonies"],
            ("foreign-cosignature",): counters["foreign_cosignatures"],
        }
        yield _counters("hsm_signatures", "Signatures made by the HSM", ("type",), made)
        bad = counters["bad_signatures"]
        yield _counter("hsm_bad_signatures", "Signatures that did not verify, held back", bad)
        yield _counter("hsm_outages", "Times that the HSM went away", counters["outages"])
        yield from self._hsm_work(hsm)

    def _hsm_work(self, hsm: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauge("hsm_sessions", "Sessions of ours open in the token", hsm["sessions"])
        since = hsm["last_good_seconds"]
        if since is not None:
            about = "Time since a signature by the log key last verified"
            yield _gauge("hsm_last_good_seconds", about, since)
        errors = {(code,): count for code, count in hsm["errors"].items()}
        yield _counters("hsm_errors", "Errors of the HSM, by PKCS#11's name", ("code",), errors)
        healed = {(rung,): count for rung, count in hsm["healed"].items()}
        about = "Times that opening anew has helped at once, by how much was opened"
        yield _counters("hsm_healed", about, ("rung",), healed)
        buckets, total = self._hsm_times()
        about = "Time that the HSM takes for a signature"
        yield HistogramMetricFamily("chopmark_hsm_signing_seconds", about, buckets, total)
        if hsm["usage_limit"] is not None:
            about = "Signatures that count as made, of the number that a key may make"
            used = {(role,): count for role, count in hsm["used"].items()}
            yield _gauges("hsm_key_signatures", about, ("role",), used)
            yield _gauge("hsm_key_signatures_limit", "That number", hsm["usage_limit"])

    def _links(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        links = dict(zip(map(str, self._mesh.links.brokers), self._mesh.links.each, strict=True))
        up = {(broker,): link.connected for broker, link in links.items()}
        yield _gauges("broker_connected", "1 if the broker is connected", ("broker",), up)
        events = {
            (broker, name): count
            for broker, link in links.items()
            for name, count in asdict(link.counters).items()
        }
        about = "What the link to a broker has seen"
        yield _counters("link_events", about, ("broker", "event"), events)
        pace = status["pace"]
        yield _gauge("pace_slowed", "1 if our log waits for a peer", pace["slowed"])
        lags = {(peer,): lag for peer, lag in pace["lags"].items()}
        about = "Entries of our log that a peer that counts lacks"
        yield _gauges("pace_lag_entries", about, ("peer",), lags)
        about = "Messages from nobody that we know"
        yield _counter("stranger_messages", about, self._mesh.strangers)

    def _peers(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        peers = {(peer["id"],): peer for peer in status["peers"]}
        gauges = {
            "entries": ("Entries of a peer's log that are held", "size"),
            "signed_entries": ("Entries held that a head of the peer covers", "head_size"),
            "witnessed_entries": ("Entries held that a quorum has cosigned", "witnessed_size"),
            "missing_entries": ("Entries under a head of the peer that are not held", "missing"),
        }
        for name, (about, key) in gauges.items():
            values = {labels: peer[key] for labels, peer in peers.items()}
            yield _gauges(f"replica_{name}", about, ("peer",), values)
        times = {(r.peer,): r.log.state.seen_time for r in self._replicas if r.log.state.seen_time}
        about = "Time as of which answers about a peer hold, since the epoch"
        yield _gauges("replica_as_of_timestamp_seconds", about, ("peer",), times)
        states = {labels: peer["state"] for labels, peer in peers.items()}
        about = "1 for the state of a replica"
        yield _states("replica_state", about, PEER_STATES, states, ("peer",))
        events = {
            (replica.peer, name): count
            for replica in self._replicas
            for name, count in asdict(replica.counters).items()
        }
        about = "Messages of a member that were refused, by what was wrong"
        yield _counters("bad_messages", about, ("peer", "cause"), self._blame.counts)
        about = "What a replica has seen"
        yield _counters("replica_events", about, ("peer", "event"), events)

    def _disk(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        disk = self._storage
        yield _gauge("storage_size_bytes", "Size of the disk with the ledger", disk.space.total)
        yield _gauge("storage_free_bytes", "Bytes of it that are free", disk.space.free)
        if (days := disk.days_left) is not None:
            about = "Time until the disk is full, as it grows now"
            yield _gauge("storage_left_seconds", about, days * 86_400)
        about = "1 if an alarm stands"
        standing = {alarm["code"] for alarm in status["alarms"]}
        yield _gauges("alarm", about, ("code",), {(code,): code in standing for code in ALARMS})

    def _loop(self) -> Iterator[Metric]:
        about = "By how much the event loop was late"
        lag = HistogramMetricFamily("chopmark_event_loop_lag_seconds", about)
        count, buckets = 0, []
        for bound, number in zip((*map(str, BOUNDS), "+Inf"), self._lag.buckets, strict=True):
            count += number
            buckets.append((bound, count))
        lag.add_metric((), buckets, self._lag.total)
        yield lag
        about = "Greatest lag of the event loop in the last minute"
        yield _gauge("event_loop_lag_max_seconds", about, self._lag.worst())
        about = "What the API refused before it was a request"
        refused = {(reason,): count for reason, count in self._refusals.counts.items()}
        yield _counters("api_refusals", about, ("reason",), refused)


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


def _info(status: Mapping[str, Any]) -> Metric:
    info = InfoMetricFamily("chopmark_gateway", "Which gateway this is")
    info.add_metric((), {name: str(status[name]) for name in ("id", "origin", "version")})
    return info


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"chopmark_{name}", about, value=float(value))


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"chopmark_{name}", about, value=value)


def _gauges(name: str, about: str, labels: tuple[str, ...], values: Series) -> Metric:
    family = GaugeMetricFamily(f"chopmark_{name}", about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, float(value))
    return family


def _counters(name: str, about: str, labels: tuple[str, ...], values: Series) -> Metric:
    family = CounterMetricFamily(f"chopmark_{name}", about, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _states(
    name: str,
    about: str,
    known: tuple[str, ...],
    states: Mapping[Any, str],
    labels: tuple[str, ...],
) -> Metric:
    """One series for each state that can be: 1 for the one that is, 0 for the others."""
    values = {
        (*label, state): float(state == actual)
        for label, actual in states.items()
        for state in known
    }
    return _gauges(name, about, (*labels, "state"), values)


def _roster(roster: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("roster_version", "The roster in force; 0 without one", roster["version"] or 0)
    expires = datetime.fromisoformat(roster.get("expires") or _EPOCH).timestamp()
    about = "When the roster in force expires, since the epoch; 0 without one"
    yield _gauge("roster_expiry_timestamp_seconds", about, expires)
    about = "1 if members of two institutions have adopted a newer roster"
    yield _gauge("roster_stale", about, bool(roster.get("stale")))
    about = "1 if there are two valid texts of one version, and none is pinned"
    yield _gauge("roster_conflict", about, roster["conflict"] is not None)


def _retention(retention: Mapping[str, Any]) -> Iterator[Metric]:
    """What is removed from replicas, by which rule, and when."""
    if retention["after"] is not None:
        about = "Time after the end of all validity at which bodies of entries are removed"
        yield _gauge("retention_after_seconds", about, retention["after"])
    for name in ("last_run", "next_run"):
        time = datetime.fromisoformat(retention[name] or _EPOCH).timestamp()
        about = "When it was looked for what is over, or will be, since the epoch; 0 without one"
        yield _gauge(f"retention_{name}_timestamp_seconds", about, time)
    for what in ("bundles", "entries"):
        removed = {(peer,): counts[what] for peer, counts in retention["removed"].items()}
        about = f"{what.capitalize()} of a replica whose bodies are removed at present"
        yield _gauges(f"retention_pruned_{what}", about, ("peer",), removed)
    removed_now, restored = retention["ranges_removed"], retention["ranges_restored"]
    yield _counter("retention_removed_ranges", "Ranges removed since the start", removed_now)
    yield _counter("retention_restored_ranges", "Ranges fetched again since then", restored)

"""Metrics of what is in the box: log, witnesses of it, HSM, clock, roster, retention."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client.core import Metric

from chopmark.hsm.meter import BOUNDS, Meter
from chopmark.service.families import counter, counters, gauge, gauges, histogram, states
from chopmark.service.standing import STATES as STANDINGS

HSM_STATES: Final = ("ready", "away", "latched", "locked", "maintenance")
CLOCK_STATES: Final = ("ok", "unsynchronised", "jumped", "far-from-others")
_EPOCH: Final = "1970-01-01T00:00:00Z"


def tell_clock(clock: Mapping[str, Any]) -> Iterator[Metric]:
    """What the guard says about the clock."""
    about = "1 if the kernel says that its clock is synchronised"
    yield gauge("clock_synchronised", about, clock["synchronised"])
    about = "1 for the state of the clock"
    yield states("clock_state", about, CLOCK_STATES, {(): clock["state"]})
    yield counter("clock_jumps", "Times that the clock has jumped", clock["jumps"])
    offsets = {(peer,): offset for peer, offset in clock["offsets"].items()}
    about = "How far a peer's clock is ahead of ours, by its heartbeats"
    yield gauges("clock_offset_seconds", about, ("peer",), offsets)


def tell_log(status: Mapping[str, Any]) -> Iterator[Metric]:
    """Our own log."""
    counts, standing = status["counters"], status["standing"]["state"]
    about = "1 for whether our own log may be signed"
    yield states("log_standing", about, STANDINGS, {(): standing})
    yield gauge("log_entries", "Durable entries of our own log", status["size"])
    about = "Entries that our newest signed head covers"
    yield gauge("log_signed_entries", about, status["head"]["size"])
    waiting = status["intake"]["entries"]
    yield gauge("intake_entries", "Entries that wait to be appended", waiting)
    yield counter("log_recorded_entries", "Entries recorded", counts["entries"])
    yield counter("log_appends", "Transactions that appended entries", counts["appends"])
    yield counter("log_signed_heads", "Heads of our own log signed", counts["heads"])


def tell_witnesses(status: Mapping[str, Any]) -> Iterator[Metric]:
    """How our log is countersigned; nothing where no quorum is demanded."""
    witnessed = status["witnessed"]
    if witnessed["state"] == "none":
        return
    about = "Entries that our newest head with a quorum covers"
    yield gauge("log_witnessed_entries", about, witnessed["size"])
    missing = witnessed["state"] == "missing"
    yield gauge("quorum_missing", "1 if the quorum did not come in time", missing)
    signed = status["head"]["size"]
    lags = {(peer,): signed - seen["size"] for peer, seen in witnessed["cosigned"].items()}
    about = "Signed entries of our log that a witness has not countersigned"
    yield gauges("witness_lag_entries", about, ("peer",), lags)


def tell_hsm(status: Mapping[str, Any], meter: Meter, now: float) -> Iterator[Metric]:
    """The HSM; `now` is in seconds since the epoch."""
    hsm, counts = status["hsm"], status["counters"]
    yield states("hsm_state", "1 for the state of the HSM", HSM_STATES, {(): hsm["state"]})
    made = {
        ("checkpoint",): counts["checkpoints"],
        ("cosignature",): counts["cosignatures"],
        ("roster",): counts["rosters"],
        ("self-test",): counts["self_tests"],
        ("ceremony",): counts["ceremonies"],
        ("foreign-cosignature",): counts["foreign_cosignatures"],
    }
    yield counters("hsm_signatures", "Signatures made by the HSM", ("type",), made)
    bad = counts["bad_signatures"]
    yield counter("hsm_bad_signatures", "Signatures that did not verify, held back", bad)
    yield counter("hsm_outages", "Times that the HSM went away", counts["outages"])
    yield gauge("hsm_sessions", "Sessions of ours open in the token", hsm["sessions"])
    if (since := hsm["last_good_seconds"]) is not None:
        about = "When a signature by the log key last verified, since the epoch"
        yield gauge("hsm_last_good_timestamp_seconds", about, now - since)
    errors = {(code,): count for code, count in hsm["errors"].items()}
    yield counters("hsm_errors", "Errors of the HSM, by PKCS#11's name", ("code",), errors)
    healed = {(rung,): count for rung, count in hsm["healed"].items()}
    about = "Times that opening anew has helped at once, by how much was opened"
    yield counters("hsm_healed", about, ("rung",), healed)
    about = "Time that the HSM takes for a signature"
    yield histogram("hsm_signing_seconds", about, BOUNDS, meter.buckets, meter.seconds)
    yield from _usage(hsm)


def _usage(hsm: Mapping[str, Any]) -> Iterator[Metric]:
    """What is made of the signatures that a key may make; nothing without a limit."""
    if hsm["usage_limit"] is None:
        return
    about = "Signatures that count as made, of the number that a key may make"
    used = {(role,): count for role, count in hsm["used"].items()}
    yield gauges("hsm_key_signatures", about, ("role",), used)
    yield gauge("hsm_key_signatures_limit", "That number", hsm["usage_limit"])


def tell_roster(roster: Mapping[str, Any]) -> Iterator[Metric]:
    """The roster in force."""
    yield gauge("roster_version", "The roster in force; 0 without one", roster["version"] or 0)
    about = "When the roster in force expires, since the epoch; 0 without one"
    yield gauge("roster_expiry_timestamp_seconds", about, _seconds(roster.get("expires")))
    about = "1 if members of two institutions have adopted a newer roster"
    yield gauge("roster_stale", about, bool(roster.get("stale")))
    about = "1 if there are two valid texts of one version, and none is pinned"
    yield gauge("roster_conflict", about, roster["conflict"] is not None)


def tell_retention(retention: Mapping[str, Any]) -> Iterator[Metric]:
    """What is removed from replicas, by which rule, and when."""
    if retention["after"] is not None:
        about = "Time after the end of all validity at which bodies of entries are removed"
        yield gauge("retention_after_seconds", about, retention["after"])
    for name in ("last_run", "next_run"):
        about = "When it was looked for what is over, or will be, since the epoch; 0 without one"
        yield gauge(f"retention_{name}_timestamp_seconds", about, _seconds(retention[name]))
    for what in ("bundles", "entries"):
        removed = {(peer,): counts[what] for peer, counts in retention["removed"].items()}
        about = f"{what.capitalize()} of a replica whose bodies are removed at present"
        yield gauges(f"retention_pruned_{what}", about, ("peer",), removed)
    removed_now, restored = retention["ranges_removed"], retention["ranges_restored"]
    yield counter("retention_removed_ranges", "Ranges removed since the start", removed_now)
    yield counter("retention_restored_ranges", "Ranges fetched again since then", restored)


def _seconds(time: str | None) -> float:
    return datetime.fromisoformat(time or _EPOCH).timestamp()

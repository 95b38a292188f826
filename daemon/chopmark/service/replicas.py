"""What is held here of each peer's log, as JSON (docs/api.md, `GET /v1/replicas`).

`GET /v1/peers` tells of members and of how their logs are followed; this tells of the copies: how
far they reach, as of when they are whole, and what can be read of them.
"""

from typing import Any

from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica

NOTHING_REMOVED = {"bundles": 0, "entries": 0}


def describe_replica(
    replica: Replica, now: int, warning: str | None, removed: dict[str, int] | None
) -> dict[str, Any]:
    """One replica.

    Args:
        replica: it.
        now: the clock, ms since the Unix epoch.
        warning: what every verdict about its log says, if there is something.
        removed: what retention has removed of it, if that was counted.
    """
    state, stop = replica.log.state, replica.stopped
    seen = state.seen_time * 1000
    return {
        "id": replica.peer,
        "origin": replica.origin,
        "size": state.size,
        "head": {"size": state.head.size, "root": encode_base64(state.head.root)},
        "missing": replica.missing,
        "witnessed_size": state.witnessed_size,
        "as_of": format_time(seen) if seen else None,
        "age_seconds": round(max(0, now - seen) / 1000, 1) if seen else None,
        "frozen": None if stop is None else _describe_stop(stop.reason, stop.below, stop.found_at),
        "paused": replica.paused,
        "warning": warning,
        "index": describe_index(replica.log),
        "removed": removed or NOTHING_REMOVED,
    }


def describe_index(log: Log) -> dict[str, Any]:
    """How far the digest index of a log is."""
    state = "ready" if log.index.is_whole else "failed" if log.index.problem else "rebuilding"
    return {"state": state, "position": log.index.position, "size": log.state.size}


def _describe_stop(reason: str, below: int, found_at: int | None) -> dict[str, Any]:
    found = None if found_at is None else format_time(found_at)
    return {"reason": reason, "below": below, "found_at": found}

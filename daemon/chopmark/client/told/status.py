"""`GET /v1/status` and `GET /v1/peers` in words: names and values, and a table of the peers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_LOOKS: Final = (("looked", "last_run"), ("looks again", "next_run"))
_LINKS: Final = {"True": "online", "False": "offline"}
PEER_HEADINGS: Final = ("id", "institution", "place", "link", "replica", "entries", "of", "as of")
"""Of the table of peers."""


def peer_row(peer: Mapping[str, Any]) -> list[object]:
    """Cells of one peer, under `PEER_HEADINGS`."""
    link = _LINKS.get(str(peer.get("online")), "unknown")
    return [
        peer.get("id"),
        peer.get("institution"),
        peer.get("jurisdiction"),
        link,
        peer.get("state"),
        peer.get("size"),
        peer.get("head_size"),
        # Cosigners sign whole seconds; without their fraction the table fits into 80 columns.
        str(peer.get("as_of") or "").replace(".000Z", "Z"),
    ]


def peer_notes(peer: Mapping[str, Any]) -> Iterator[str]:
    """What is to be said of a peer besides its row."""
    if peer.get("reason"):
        yield f"{peer['id']} {peer.get('state')}: {peer['reason']}"
    if peer.get("successor"):
        yield f"{peer['id']} has ended: {peer['successor']} is its successor"


def status_fields(state: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Names and values of a status, in the order in which one wants to know them."""
    yield "institution", f"{state.get('institution')} ({state.get('jurisdiction')})"
    yield "log", state["origin"]
    yield "entries", state.get("size")
    standing = state.get("standing") or {}
    if standing.get("state") in ("behind", "confirming"):
        yield "signing", f"{standing['state']}: {standing.get('reason')}"
    disk = state.get("storage")
    if isinstance(disk, dict):
        yield "disk", describe_disk(disk)
    lag = (state.get("event_loop") or {}).get("lag_ms_max_minute")
    if lag is not None:
        yield "event loop", f"at most {lag} ms late in the last minute"
    witnessed = state.get("witnessed")
    if isinstance(witnessed, dict):
        yield "witnessed", describe_witnessed(witnessed)
    yield "retention", _retention(state.get("retention") or {})
    yield "syslog", describe_syslog((state.get("audit") or {}).get("syslog"))
    for name in ("hsm", "broker", "pace", "clock", "counters"):
        parts = state.get(f"{name}s") if name == "broker" else [state.get(name)]
        for part in parts if isinstance(parts, list) else [state.get(name)]:
            if isinstance(part, dict) and part:
                yield name, _LINES.get(name, _describe)(part)
    for member, index in (state.get("index") or {}).items():
        if index.get("state") != "ready":
            yield f"index {member}", _describe(index)
    yield "version", state.get("version")


def describe_witnessed(part: Mapping[str, Any]) -> str:
    """How far institutions have countersigned our log, and each witness."""
    if part.get("state") == "none":
        return "no quorum is demanded"
    each = [f"{peer} at {seen.get('size')}" for peer, seen in (part.get("cosigned") or {}).items()]
    behind = f", {part['lag']} entries wait" if part.get("lag") else ""
    return ", ".join([f"{part.get('state')} at {part.get('size')}{behind}", *each])


def _retention(part: dict[str, Any]) -> str | None:
    """The rule, what it has removed, and when it is looked; nothing without a rule."""
    if part.get("after") is None:
        return None
    rule = f"{part['after'] / 86_400:g} days after validity has ended"
    removed = [
        f"{counts.get('entries')} of {peer}"
        for peer, counts in (part.get("removed") or {}).items()
        if counts.get("entries")
    ]
    what = f"entries removed: {', '.join(removed)}" if removed else "nothing is removed"
    times = [f"{word} {part[key]}" for word, key in _LOOKS if part.get(key)]
    return "; ".join([rule, what, *times])


def describe_syslog(part: dict[str, Any] | None) -> str | None:
    """How the audit log gets to its receiver; nothing without one."""
    if not part:
        return None
    waiting = f", {part['waiting']} records wait" if part.get("waiting") else ""
    reason = f": {part['reason']}" if part.get("reason") else ""
    return f"{part.get('state')} ({part.get('host')}:{part.get('port')}){waiting}{reason}"


def _pace(part: dict[str, Any]) -> str:
    """What connected peers lack of our log, and whether it waits for them."""
    lags = part.get("lags") or {}
    behind = ", ".join(f"{peer} lacks {lag}" for peer, lag in lags.items())
    state = "slowed for a peer that is behind" if part.get("slowed") else "free"
    return f"{state}: {behind}" if behind else state


def describe_disk(disk: Mapping[str, Any]) -> str:
    """How full the disk is, and until when there is room."""
    days = disk.get("days_left")
    left = "" if days is None else f", full in {days} days at this rate"
    used, free = float(disk.get("used") or 0), int(disk.get("free_bytes") or 0)
    return f"{used:.1%} used, {free / 1e9:.1f} GB free{left}"


def _hsm(part: dict[str, Any]) -> str:
    """How it is, and why; `chopmark hsm status` has the rest."""
    reason = f": {part['reason']}" if part.get("reason") else ""
    unlock = f", unlock {part['unlock']}" if part.get("unlock") else ""
    more = f"token {part.get('token')}{unlock}; more by `chopmark hsm status`"
    return f"{part.get('state')}{reason} ({more})"


def _describe(part: dict[str, Any]) -> str:
    """The state first, the rest behind it as the gateway names it."""
    rest = [f"{k} {v}" for k, v in part.items() if k != "state" and v is not None]
    return ", ".join([str(part["state"]), *rest] if "state" in part else rest)


_LINES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {"hsm": _hsm, "pace": _pace}

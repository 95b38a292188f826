"""`show status`: one screen of 80×24: what works, what does not, and what to do next."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from chopmark.console import layout
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.showing import Screen, objects
from chopmark.console.snapshot import Snapshot, take
from chopmark.console.wire.text import columns
from chopmark.core.errors import ChopmarkError

LINES: Final = 22
"""Of 24, the prompt and the line of the command need two."""
_BROKERS: Final = 3
"""Brokers with a line of their own."""

Part = tuple[str, str, str]
"""Key of the mark (`ok`, `bad`, `odd`), key of the part, and a text."""
Problem = tuple[str, str, str]
"""Code, message and hint."""


async def status(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show it."""
    seen = await take(given.gateway, given.config, given.admin)
    await show_snapshot(Screen(given.desk), seen)


async def show_snapshot(screen: Screen, seen: Snapshot) -> None:
    """One screen of what was found."""
    parts = [*_gateway_parts(screen, seen), *_box_parts(screen, seen)]
    lines = [
        _head(screen, seen),
        *_name(screen, seen),
        "",
        *(_line(screen, part) for part in parts),
    ]
    if isinstance(seen.status, ChopmarkError) and seen.log:
        lines += ["", screen.t("show.last-words")]
        lines += [f"  {layout.cut(line, screen.width - 2)}" for line in seen.log]
    problems = list(dict.fromkeys(_problems(screen, seen)))
    title = "show.next" if problems else "show.all-well"
    lines += ["", screen.t(title), *_fit(screen, problems, LINES - len(lines) - 2)]
    await screen.say(lines)


def _head(screen: Screen, seen: Snapshot) -> str:
    who, state = "?", "down"
    if isinstance(seen.status, Mapping):
        who, state = str(seen.status.get("id")), str(seen.status.get("state"))
    elif not isinstance(seen.config, Exception):
        who = seen.config.gateway.id
    left = f"{layout.cut(who, 20)}  {screen.t(f'state.{state}')}"
    return layout.pad(left, screen.width - 20) + f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"


def _name(screen: Screen, seen: Snapshot) -> Iterator[str]:
    if isinstance(seen.status, Mapping):
        told = [seen.status.get(name) for name in ("institution", "origin", "version")]
        yield layout.cut("  ".join(str(one) for one in told if one), screen.width)


def _line(screen: Screen, part: Part) -> str:
    mark, name, text = part
    head = f"{layout.pad(screen.t(f'mark.{mark}'), 5)} {layout.pad(screen.label(name), 9)} "
    return head + layout.cut(text, screen.width - columns(head))


def _gateway_parts(screen: Screen, seen: Snapshot) -> Iterator[Part]:
    """What the gateway says; or that it does not, and how systemd sees it."""
    if isinstance(seen.status, ChopmarkError):
        yield "bad", "gateway", seen.status.message
        if seen.unit is not None:
            said = f": {seen.unit.said}" if seen.unit.said else ""
            restarts = screen.t("show.restarts", count=seen.unit.restarts)
            yield (
                "odd" if seen.unit.works else "bad",
                "service",
                f"{seen.unit.state}{said}; {restarts}",
            )
        return
    status = seen.status
    reasons = [str(one) for one in status.get("reasons") or ()]
    yield "bad" if reasons else "ok", "gateway", screen.t(f"show.{'not-' * bool(reasons)}ready")
    yield _ledger(screen, status)
    yield _hsm(screen, status.get("hsm") or {})
    brokers = objects(status.get("brokers"))
    yield from (_broker(screen, one) for one in brokers[:_BROKERS])
    if peers := objects(status.get("peers")):
        yield _peers(screen, peers)


def _ledger(screen: Screen, status: Mapping[str, Any]) -> Part:
    witnessed, standing = status.get("witnessed") or {}, status.get("standing") or {}
    quorum = screen.t(f"quorum.{witnessed.get('state')}", size=witnessed.get("size"))
    text = screen.t("show.entries", count=status.get("size"), quorum=quorum)
    if standing.get("state") in ("behind", "confirming"):
        return "bad", "ledger", f"{text}; {standing['state']}: {standing.get('reason')}"
    return "odd" if witnessed.get("state") == "missing" else "ok", "ledger", text


def _hsm(screen: Screen, part: Mapping[str, Any]) -> Part:
    state = screen.state(part)
    reason = f": {part['reason']}" if part.get("reason") else f" ({part.get('token')})"
    return "ok" if part.get("state") == "ready" else "bad", "hsm", state + reason


def _broker(screen: Screen, part: Mapping[str, Any]) -> Part:
    there = part.get("state") == "connected"
    state = screen.state(part)
    reason = f": {part['reason']}" if part.get("reason") else ""
    mark = "bad" if not there else "odd" if reason else "ok"
    return mark, "broker", f"{part.get('host')}:{part.get('port')} {state}{reason}"


def _peers(screen: Screen, peers: list[Mapping[str, Any]]) -> Part:
    away = [str(one.get("id")) for one in peers if one.get("online") is False]
    online = sum(one.get("online") is True for one in peers)
    missing = sum(one.get("missing") or 0 for one in peers)
    text = screen.t("show.peers", online=online, all=len(peers))
    text += f": {screen.t('show.peers-away', names=', '.join(away))}" if away else ""
    text += f"; {screen.t('show.missing', count=missing)}" if missing else ""
    return "ok" if online == len(peers) and not missing else "odd", "peers", text


def _box_parts(screen: Screen, seen: Snapshot) -> Iterator[Part]:
    """What the box tells whether the gateway answers or not."""
    if isinstance(seen.config, Exception):
        yield "bad", "config", seen.config.message
    clock = seen.clock
    yield (
        "ok" if clock.synchronised else "odd",
        "clock",
        screen.t("show.synchronised" if clock.synchronised else "show.unsynchronised"),
    )
    yield _disk(screen, seen)
    yield _network(screen, seen)


def _disk(screen: Screen, seen: Snapshot) -> Part:
    storage = seen.status.get("storage") if isinstance(seen.status, Mapping) else None
    if isinstance(storage, Mapping):
        mark = "bad" if storage.get("state") != "ok" else "odd" if storage.get("soon") else "ok"
        return mark, "disk", _room(screen, storage)
    if seen.space is None:
        return "odd", "disk", screen.t("show.not-seen")
    told = {"used": seen.space.used, "free_bytes": seen.space.free}
    return "bad" if seen.space.used > 0.97 else "ok", "disk", _room(screen, told)


def _room(screen: Screen, told: Mapping[str, Any]) -> str:
    free = f"{(told.get('free_bytes') or 0) / 1e9:.1f} GB"
    text = screen.t("show.room", used=f"{told.get('used') or 0:.1%}", free=free)
    days = told.get("days_left")
    return text if days is None else text + screen.t("show.days", days=days)


def _network(screen: Screen, seen: Snapshot) -> Part:
    links = [one for one in seen.network.outward if one.addresses] or seen.network.outward
    if not links:
        return "odd", "network", screen.t("show.no-links")
    told = [f"{one.name} {one.state} {' '.join(one.addresses[:1])}".rstrip() for one in links]
    route = next((one for one in seen.network.routes if one.startswith("default")), "")
    route = route.rpartition(" dev ")[0]
    if seen.network.problem:  # what was not seen is no fault of the network
        return "odd", "network", "; ".join([*told, seen.network.problem])
    works = any(one.addresses and one.carrier is not False for one in links)
    return "ok" if works else "bad", "network", "; ".join([*told, *([route] if route else [])])


def _problems(screen: Screen, seen: Snapshot) -> Iterator[Problem]:
    """The gravest first: without a daemon nothing else counts."""
    if isinstance(seen.config, Exception):
        yield seen.config.code, seen.config.message, seen.config.hint
    if isinstance(seen.status, ChopmarkError):
        yield seen.status.code, seen.status.message, seen.status.hint
    else:
        yield from _status_problems(seen.status)
    storage = seen.status.get("storage") if isinstance(seen.status, Mapping) else None
    if isinstance(storage, Mapping) and storage.get("soon"):
        hint = screen.t("show.soon-do")
        yield "storage-soon", screen.t("show.soon", days=storage.get("days_left")), hint
    if not seen.clock.synchronised:
        yield "clock-unsynchronised", screen.t("show.unkept"), ""
    if seen.refused:
        hint = screen.t("show.refused-do")
        yield "records-refused", screen.t("show.refused", count=seen.refused), hint


def _status_problems(status: Mapping[str, Any]) -> Iterator[Problem]:
    """What the gateway itself says; why it is not ready, if nothing else explains that."""
    found = [*_hsm_problem(status.get("hsm") or {}), *_alarms(status), *_brokers_away(status)]
    yield from dict.fromkeys(found)
    if not found:
        yield from (("not-ready", str(reason), "") for reason in status.get("reasons") or ())


def _hsm_problem(hsm: Mapping[str, Any]) -> Iterator[Problem]:
    if hsm.get("state") not in ("ready", None):
        message = f"HSM {hsm['state']}: {hsm.get('reason')}"
        yield f"hsm-{hsm['state']}", message, str(hsm.get("hint") or "")


def _alarms(status: Mapping[str, Any]) -> Iterator[Problem]:
    """All but that about the HSM's state, which is told at once, while an alarm waits a minute."""
    told = f"hsm-{(status.get('hsm') or {}).get('state')}"
    for one in objects(status.get("alarms")):
        if one.get("code") != told:
            yield str(one.get("code")), str(one.get("message")), str(one.get("hint") or "")


def _brokers_away(status: Mapping[str, Any]) -> Iterator[Problem]:
    """Those about which no alarm says more."""
    told = [str(one.get("message")) for one in objects(status.get("alarms"))]
    for one in objects(status.get("brokers")):
        where = f"broker {one.get('host')}:{one.get('port')}"
        if one.get("state") != "connected" and not any(text.startswith(where) for text in told):
            yield "broker-away", f"{where} is away: {one.get('reason')}", ""


def _fit(screen: Screen, problems: list[Problem], room: int) -> Iterator[str]:
    """As many as there is room for, and how many more there are."""
    for at, (code, message, hint) in enumerate(problems):
        lines = screen.problem(code, message, hint, room=2 * screen.width - 20)
        rest = len(problems) - at - 1
        if len(lines) + (rest > 0) > room and at:
            yield screen.t("show.more", count=rest + 1)
            return
        room -= len(lines)
        yield from lines


COMMANDS = (Command(("show", "status"), "help.show.status", Role.OBSERVE, status),)

"""`show hsm`, `keys`, `ledger`, `peers`, `broker`: what the gateway says of its parts.

Names are in the person's language; what the gateway itself says is as it stands in its log too.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chopmark.client.told.hsm import hsm_fields
from chopmark.client.told.keys import key_fields, key_state, keys_note, title
from chopmark.client.told.status import (
    PEER_HEADINGS,
    describe_syslog,
    describe_witnessed,
    peer_notes,
    peer_row,
)
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.showing import Screen, ask, objects
from chopmark.console.tokens import ask_tokens, show_tokens

_REPLICA: Final = ("id", "entries", "missing", "witnessed", "as of", "state")


async def hsm(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show how the HSM is; before there is a gateway, which tokens there are."""
    screen = Screen(given.desk)
    if not await asyncio.to_thread(given.config.exists):
        await screen.say([screen.t("show.tokens")])
        await show_tokens(screen, await ask_tokens(given.admin, given.who))
        return
    state = await ask(given, "/v1/hsm")
    await screen.say([f"HSM  {screen.state(state)}"])
    await screen.fields(hsm_fields(state))


async def keys(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show a block for each key."""
    screen, rows = Screen(given.desk), objects(await ask(given, "/v1/keys"))
    for row in rows:
        await screen.say([f"{title(row)}  {key_state(row)}"])
        await screen.fields(key_fields(row))
        for one in row.get("wrong") or ():
            await screen.fields([("wrong", one)])
    if note := keys_note(rows):
        await screen.prose(note)


async def ledger(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show our own log, and the replicas."""
    screen, status = Screen(given.desk), await ask(given, "/v1/status")
    replicas = objects(await ask(given, "/v1/replicas"))
    await screen.fields(_ledger(screen, status))
    if replicas:
        await screen.say()
        await screen.table(_REPLICA, (screen.row(_replica(one)) for one in replicas))
    for one in replicas:
        if one.get("frozen"):
            await screen.prose(f"{one.get('id')}: {one['frozen'].get('reason')}")


def _ledger(screen: Screen, status: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    head, standing = status.get("head") or {}, status.get("standing") or {}
    yield "log", status.get("origin")
    yield "entries", status.get("size")
    yield "signed", head.get("size")
    yield "root", head.get("root")
    yield "witnessed", describe_witnessed(status.get("witnessed") or {})
    reason = f": {standing['reason']}" if standing.get("reason") else ""
    yield "standing", f"{screen.state(standing)}{reason}"
    for member, index in (status.get("index") or {}).items():
        where = f"{index.get('position')} / {index.get('size')}"
        yield f"index {member}", f"{screen.state(index)}, {where}"
    roster = status.get("roster") or {}
    yield "roster", roster.get("version")
    yield "syslog", describe_syslog((status.get("audit") or {}).get("syslog"))


def _replica(one: Mapping[str, Any]) -> list[object]:
    state = "frozen" if one.get("frozen") else "paused" if one.get("paused") else "ok"
    as_of = str(one.get("as_of") or "").replace(".000Z", "Z")
    sizes = (one.get("size"), one.get("missing"), one.get("witnessed_size"))
    return [one.get("id"), *sizes, as_of, state]


async def peers(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show each peer, and how far its replica is."""
    screen, found = Screen(given.desk), objects(await ask(given, "/v1/peers"))
    if not found:
        await screen.say([screen.t("show.no-peers")])
        return
    rows = (screen.row(peer_row(one)) for one in found)
    await screen.table(PEER_HEADINGS, rows, ("id", "replica", "as of"))
    for note in (note for peer in found for note in peer_notes(peer)):
        await screen.prose(note)


async def broker(given: Surroundings, _: Mapping[str, str]) -> None:
    """Show each broker: whether we are connected, and why not."""
    screen, status = Screen(given.desk), await ask(given, "/v1/status")
    for one in objects(status.get("brokers")):
        where = f"{one.get('host')}:{one.get('port')}"
        await screen.say([f"{where}  {screen.state(one)}"])
        await screen.fields([("reason", one.get("reason"))])
    pace = status.get("pace") or {}
    lags = ", ".join(f"{peer} {lag}" for peer, lag in (pace.get("lags") or {}).items())
    await screen.fields([("lag", lags or None)])
    for alarm in objects(status.get("alarms")):
        if alarm.get("code") == "broker-fault":
            code, hint = str(alarm["code"]), str(alarm.get("hint") or "")
            await screen.say(screen.problem(code, str(alarm.get("message")), hint))


COMMANDS = (
    Command(("show", "hsm"), "help.show.hsm", Role.OBSERVE, hsm),
    Command(("show", "keys"), "help.show.keys", Role.OBSERVE, keys),
    Command(("show", "ledger"), "help.show.ledger", Role.OBSERVE, ledger),
    Command(("show", "peers"), "help.show.peers", Role.OBSERVE, peers),
    Command(("show", "broker"), "help.show.broker", Role.OBSERVE, broker),
)

"""`chopmark status`: how the gateway is."""

from typing import Any

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, say_table, styled
from chopmark.client.told.status import PEER_HEADINGS, peer_notes, peer_row, status_fields
from chopmark.core.inert import clean

_COLOURS = {"ready": "green", "degraded": "yellow"}


def status(*, options: Given) -> int:
    """Show how the gateway is: its log, its HSM, its brokers, and its peers."""
    with options.connect() as gateway:
        state = gateway.status()
    if options.json:
        say_json(state)
        return 0
    say(styled(state["id"], "bold"), "  ", styled(state["state"], _COLOURS.get(state["state"], "")))
    say_fields(status_fields(state))
    disk = state.get("storage")
    if isinstance(disk, dict) and disk.get("soon"):
        say(styled("WARNING ", "yellow"), f"the disk is full in {disk.get('days_left')} days")
        say("  hint: make room, or move the ledger to a larger one")
    for alarm in state.get("alarms") or []:
        say_alarm(alarm)
    peers = [peer for peer in state.get("peers") or [] if isinstance(peer, dict)]
    if peers:
        say()
        show_peers(peers)
    return 0


def say_alarm(alarm: object) -> None:
    """One alarm, with what to do about it."""
    if isinstance(alarm, dict):
        say(styled("ALARM ", "red"), clean(str(alarm.get("message"))))
        if alarm.get("hint"):
            say("  hint: ", clean(str(alarm["hint"])))


def show_peers(peers: list[dict[str, Any]]) -> None:
    """A table of the peers and their replicas."""
    rows = [peer_row(peer) for peer in peers]
    say_table(PEER_HEADINGS, rows, whole=("id", "replica", "as of"))
    for note in (note for peer in peers for note in peer_notes(peer)):
        say_prose(note, indent=0)

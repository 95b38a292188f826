"""What stands below the gateway: the box's network and its clock."""

from datetime import UTC, datetime
from typing import Final

from chopmark.console.box.clock import read_clock
from chopmark.console.commands.configure_network import change as change_network
from chopmark.console.commands.show_box import network as show_network
from chopmark.console.commissioning.noted import this_start
from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.core.errors import RefusedError, UsageError

CHANGE: Final = "change"
SLACK: Final = 60
"""Seconds by which a clock that is set by hand may differ: others discard what is beyond."""
_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M")


async def look_network(scene: Scene) -> Seen:
    """Somebody has seen it since the box was started, or has gone on with it."""
    return await _agreed(scene, "network")


async def do_network(scene: Scene) -> None:
    """Show it; a change is root's, where the image has that, and is kept or taken back here.

    Raises:
        RefusedError: `step-declined`: the change is not what was wanted.
    """
    await show_network(scene.around, {})
    if (await scene.ask("network.right")).lower().startswith("c"):
        await change_network(scene.around)
        await show_network(scene.around, {})
        if (await scene.ask("network.keep")).lower().startswith("n"):
            await scene.admin("network-rollback")
            hint = "`commission` asks again; `configure network` has VLAN and servers, too"
            raise RefusedError("step-declined", "the network is as it was", hint=hint)
        await scene.admin("network-confirm")
    scene.notes.agree("network", this_start())


async def look_clock(scene: Scene) -> Seen:
    """A time daemon keeps it, or somebody has compared it since the box was started."""
    kept = await read_clock()
    if kept.synchronised:
        return Seen(
            done=True, told=f"{kept.now:%Y-%m-%d %H:%M} UTC, {kept.source or 'synchronised'}"
        )
    return await _agreed(scene, "clock")


async def do_clock(scene: Scene) -> None:
    """Show it, and how far off it is from a time that is typed.

    Raises:
        RefusedError: `clock-far-off`.
        UsageError: `bad-time`.
    """
    seen = await read_clock()
    await scene.say("clock.shown", now=f"{seen.now:%Y-%m-%d %H:%M:%S}", reason=seen.reason)
    typed = await scene.ask("clock.compare")
    if typed:
        off = how_far_off(typed, datetime.now(UTC))
        await scene.say("clock.off", seconds=f"{off:+d}")
        if abs(off) > SLACK:
            message = f"the clock of the box is off by {off:+d} s"
            hint = "connect its time server, or have root set it; then `commission` again"
            raise RefusedError("clock-far-off", message, hint=hint)
    scene.notes.agree("clock", this_start())


def how_far_off(typed: str, now: datetime) -> int:
    """Seconds by which the box is ahead of a typed time (UTC); a minute typed is any in it.

    Raises:
        UsageError: `bad-time`.
    """
    for form in _FORMATS:
        try:
            told = datetime.strptime(typed, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        off = int((now - told).total_seconds())
        return 0 if form is _FORMATS[1] and 0 <= off < 60 else off
    hint = "type it as 2026-11-30 18:05, in UTC, or nothing if the time shown is right"
    raise UsageError("bad-time", f"no time: {typed[:32]!r}", hint=hint)


async def _agreed(scene: Scene, step: str) -> Seen:
    if await scene.config() is not None or scene.notes.read().agreed.get(step) == this_start():
        return Seen(done=True, told=scene.t("seen"))
    return OPEN


NETWORK: Final = Step("network", look_network, do_network)
CLOCK: Final = Step("clock", look_clock, do_clock)

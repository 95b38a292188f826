"""Who the gateway is to be: names that its log has for ever, and its first broker."""

from collections.abc import Callable
from typing import Final

import msgspec

from chopmark.console.commissioning.noted import Who
from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import ChopmarkError, UsageError
from chopmark.core.member import check_institution, check_jurisdiction, check_member_id
from chopmark.core.text import parse_decimal
from chopmark.service.config_doors import check_host

_PORTS: Final = range(1, 65_536)
_BROKER: Final = "127.0.0.1:1883"


async def look(scene: Scene) -> Seen:
    """By the configuration; before there is one, by what was typed."""
    config = await scene.config()
    if config is not None:
        return Seen(done=True, told=f"{config.gateway.id}, {config.gateway.origin}")
    who = scene.notes.read().who
    return OPEN if who is None else Seen(done=True, told=f"{who.member}, {who.origin}")


async def do(scene: Scene) -> None:
    """Ask for all, and have it confirmed."""
    member = await _ask(scene, "member", check_member_id)
    origin = await _ask(scene, "origin", check_origin)
    institution = await _ask(scene, "institution", check_institution)
    jurisdiction = (
        await _ask(scene, "jurisdiction", lambda it: check_jurisdiction(it.upper()))
    ).upper()
    host, port = read_broker(await _ask(scene, "broker", read_broker, _BROKER))
    who = Who(member, origin, institution, jurisdiction, host, port)
    await show(scene, who)
    await scene.agree("name.right")
    scene.notes.write(msgspec.structs.replace(scene.notes.read(), who=who))


async def show(scene: Scene, who: Who) -> None:
    """All that was typed."""
    await scene.say("name.shown", broker=f"{who.host}:{who.port}", **msgspec.structs.asdict(who))


def read_broker(text: str) -> tuple[str, int]:
    """`HOST:PORT`.

    Raises:
        UsageError: `console-value`.
    """
    host, _, port = text.rpartition(":")
    if not host:
        hint = f"type it as HOST:PORT, such as {_BROKER}"
        raise UsageError("console-value", f"no broker: {text!r}", hint=hint)
    number = read_port(port)
    check_host("broker", host)
    return host.strip("[]"), number


def read_port(text: str) -> int:
    """A TCP port; raises as `read_broker`, and `malformed-number`."""
    number = parse_decimal(text, "PORT")
    if number not in _PORTS:
        hint = f"type {_PORTS.start} to {_PORTS.stop - 1}"
        raise UsageError("console-value", f"no port: {text!r}", hint=hint)
    return number


async def _ask(scene: Scene, key: str, check: Callable[[str], object], default: str = "") -> str:
    """Until it is one that may be."""
    while True:
        answer = await scene.ask(f"name.{key}", default=default)
        try:
            check(answer)
        except ChopmarkError as error:
            await scene.say("again", problem=error.message)
        else:
            return answer


NAME: Final = Step("name", look, do)

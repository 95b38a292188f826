"""The way to a broker on another machine: a certificate for it, and the broker by TLS."""

from collections.abc import Mapping
from typing import Any, Final

from chopmark.console.commissioning.naming import read_port
from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.console.transfer.files import receive_file, send_file
from chopmark.core.errors import ChopmarkError
from chopmark.service.config_doors import is_loopback
from chopmark.service.config_model import Broker, Config

_READS: Final = 8883
_PUBLISHES: Final = 8884
"""Ports of a broker that ties the client id to the certificate (docs/operations/brokers.md)."""
LIMIT: Final = 6000
"""Bytes of a certificate with those above it."""
SECONDS: Final = 300


async def look_certificate(scene: Scene) -> Seen:
    """Not needed on this machine; else by what root has put in place."""
    config = await scene.config()
    if config is None:
        return OPEN
    if not _far(config):
        return Seen(done=True, told=scene.t("certificate.none"))
    there = await scene.admin("setup-look")
    return Seen(done=bool(there["ca"] and there["certificate"]), told=scene.t("certificate.there"))


async def do_certificate(scene: Scene) -> None:
    """Hand the request out; take CA and certificate in."""
    desk, there = scene.around.desk, await scene.admin("setup-look")
    name = (await scene.need_config()).gateway.id
    if not (there["request"] and await _wants(scene, "certificate.again")):
        request = str((await scene.admin("transport-request"))["request"])
        await desk.say(request.rstrip())
        await scene.say("certificate.request", name=name)
        if await _wants(scene, "certificate.as-file"):
            await send_file(desk, f"{name}.csr", request.encode())
        await scene.ask("certificate.wait")
    if not there["ca"]:
        await scene.say("certificate.ca")
        ca = await receive_file(desk, "ca.pem", limit=LIMIT)
        await scene.admin("transport-put", ca=ca.decode("ascii", "replace"))
    await scene.say("certificate.own")
    own = await receive_file(desk, f"{name}.pem", limit=LIMIT)
    await scene.admin("transport-put", certificate=own.decode("ascii", "replace"))


async def look_broker(scene: Scene) -> Seen:
    """Each one on another machine by TLS, and no change waits to be confirmed."""
    config = await scene.config()
    if config is None or any(one.tls is None for one in _far(config)):
        return OPEN
    told = ", ".join(f"{one.host}:{one.port}" for one in config.broker)
    pending = _far(config) and (await scene.admin("config-state"))["seconds_left"] is not None
    return Seen(done=not pending, told=told)


async def do_broker(scene: Scene) -> None:
    """Have the brokers that were named taken by TLS, and keep that."""
    state = await scene.admin("config-state")
    if state["seconds_left"] is None:
        for one in _far(await scene.config()):
            if one.tls is None:
                state = await _change(scene, one)
        await scene.around.desk.say(str(state["differences"]))
        await scene.admin("config-commit", seconds=SECONDS)
    await scene.admin("config-confirm")


async def _change(scene: Scene, broker: Broker) -> Mapping[str, Any]:
    tls = {"host": broker.host, "port": broker.port, "tls": True}
    publish = await _ask_publish_port(scene, broker)
    if publish != broker.port:
        tls["publish_port"] = publish
    remove = [broker.host, broker.port]
    return await scene.admin("config-change", remove_broker=remove, add_broker=tls)


async def _ask_publish_port(scene: Scene, broker: Broker) -> int:
    """Without it the two connections of a gateway would throw each other out for ever."""
    await scene.say("broker.ports", broker=f"{broker.host}:{broker.port}")
    usual = _PUBLISHES if broker.port == _READS else broker.port
    while True:
        answer = await scene.ask("broker.publish", default=str(broker.publish_port or usual))
        try:
            return read_port(answer)
        except ChopmarkError as error:
            await scene.say("again", problem=error.message)


async def _wants(scene: Scene, key: str) -> bool:
    return (await scene.ask(key, default="no")).lower().startswith("y")


def _far(config: Config | None) -> tuple[Broker, ...]:
    """The brokers on other machines."""
    brokers = () if config is None else config.broker
    return tuple(one for one in brokers if not _is_here(one))


def _is_here(broker: Broker) -> bool:
    host = f"[{broker.host}]" if ":" in broker.host else broker.host
    return host == "localhost" or is_loopback(f"{host}:{broker.port}")


CERTIFICATE: Final = Step("certificate", look_certificate, do_certificate)
BROKER: Final = Step("broker", look_broker, do_broker)

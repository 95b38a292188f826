"""The box as the verbs see it: its parts, and the one change at a time that is made to it."""

import asyncio
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from chopmark.admin.candidate import CONFIG_MODE, Candidates
from chopmark.admin.ending import Ending
from chopmark.admin.firmware import Firmware
from chopmark.admin.joining import Joining, parse_certificates
from chopmark.admin.looking import Looking
from chopmark.admin.network import NETWORKD, Networks
from chopmark.admin.problems import describe_error
from chopmark.admin.programs import Programs
from chopmark.admin.requests import Broker as Asked
from chopmark.admin.requests import Change, Network, Source
from chopmark.admin.rollback import AGAIN, Rollback
from chopmark.admin.setting_up import SettingUp
from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import ChopmarkError, ExistsError, InternalError, MissingError
from chopmark.service.config import parse_config
from chopmark.service.config_edit import set_brokers, set_firmware, set_names
from chopmark.service.config_model import Broker, BrokerTls, Config
from chopmark.service.config_model import Firmware as FirmwareSource
from chopmark.service.platform import not_here

LOG: Final = logging.getLogger("chopmark.admin")
UNITS: Final = {
    "gateway": "chopmark.service",
    "hsm": "chopmark-hsm.service",
    "broker": "mosquitto.service",
}
"""The units that a caller may name."""
GATEWAY: Final = UNITS["gateway"]
RECOVERY: Final = "chopmark-recover.service"
_MAX_REPORT: Final = 65_536


@dataclass(slots=True)
class Box:
    """The parts that change the box.

    Attributes:
        lock: held while something is changed.
        looking: what only the daemon's user sees.
        rollback: takes back a configuration that nobody confirms.
        network_rollback: the same of the box's network.
        firmware: the slots.
    """

    programs: Programs
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    looking: Looking = field(init=False)
    rollback: Rollback = field(init=False)
    network_rollback: Rollback = field(init=False)
    firmware: Firmware = field(init=False)
    _recovery: asyncio.Task[None] | None = None
    _starting: bool = False

    def __post_init__(self) -> None:
        self.looking = Looking(self.programs)
        self.rollback = Rollback(lambda: self.candidates, self.lock)
        self.network_rollback = Rollback(lambda: self.networks, self.lock)
        self.firmware = Firmware(self.programs)

    @property
    def candidates(self) -> Candidates:
        """The candidate and the unconfirmed change."""
        settings = self.programs.settings
        return Candidates(settings.config, settings.folder, self._restart_gateway)

    @property
    def networks(self) -> Networks:
        """The network in force and the one before it; raises `not-on-this-platform`."""
        settings = self.programs.settings
        if not settings.image.exists():
            raise not_here("network")
        return Networks(settings.network, settings.folder, self._restart_network)

    @property
    def setting_up(self) -> SettingUp:
        """What makes a gateway."""
        return SettingUp(self.programs)

    @property
    def joining(self) -> Joining:
        """What a gateway that was set up needs to meet the others."""
        return Joining(self.programs)

    @property
    def ending(self) -> Ending:
        """What takes everything off the box."""
        return Ending(self.programs)

    @property
    def busy(self) -> bool:
        """Whether something is going on that an end of the service would break off."""
        recovering = self._recovery is not None and not self._recovery.done()
        waits = self.rollback.waits or self.network_rollback.waits
        return self.lock.locked() or waits or recovering or self.firmware.busy

    async def start(self) -> None:
        """Take back what a service before this one has left unconfirmed."""
        self._starting = True  # nothing may wait for units that wait for us
        try:
            if self.candidates.applied is not None:
                await _take_back(self.rollback, "config-rollback")
            if self.programs.settings.image.exists() and self.networks.applied is not None:
                await _take_back(self.network_rollback, "network-rollback")
        finally:
            self._starting = False

    async def go_on(self) -> None:
        """Go on with a reset that a service before this one has begun."""
        async with self.lock:
            try:
                await self.ending.go_on()
            except ChopmarkError as error:
                LOG.error("a reset waits: %s", error, extra={"code": error.code})  # noqa: TRY400 - expected

    async def close(self) -> None:
        """Stop what waits; a change that is not confirmed is taken back by the next service."""
        await self.rollback.close()
        await self.network_rollback.close()
        await self.firmware.close()
        if self._recovery is not None:
            self._recovery.cancel()
            with suppress(asyncio.CancelledError):
                await self._recovery

    def config_state(self) -> dict[str, Any]:
        """What the candidate changes, and the seconds until an applied change is taken back.

        `stuck` is null, or says as problem details what keeps a change from being taken back.
        """
        left = self.rollback.left
        if left is not None:
            left = max(0, round(left - asyncio.get_running_loop().time()))
        stuck = self.rollback.stuck or (_damaged() if self.candidates.damaged else None)
        told = None if stuck is None else describe_error(stuck)
        return {
            "differences": self.candidates.differences(),
            "seconds_left": left,
            "stuck": told,
        }

    def change(self, asked: Change) -> dict[str, Any]:
        """Change the candidate."""
        settings = self.programs.settings
        self.candidates.change(partial(_edit, asked, settings.broker, self._firmware_ca))
        return self.config_state()

    def put_firmware_ca(self, pem: str) -> dict[str, Any]:
        """Put the CA of the source of releases in place, for a source that is named after that.

        Raises:
            MalformedError: `malformed-certificate`.
        """
        parse_certificates(pem)
        replace_file(self._firmware_ca, pem.encode(), CONFIG_MODE)
        return {}

    async def commit(self, seconds: int) -> dict[str, Any]:
        """Apply the candidate for so many seconds."""
        try:
            await self.candidates.apply()
        except (ChopmarkError, OSError):
            if self.candidates.applied is not None:  # the disk has not let it be taken back either
                self.rollback.arm(AGAIN)
            raise
        self.rollback.arm(seconds)
        return {"seconds": seconds}

    async def confirm(self) -> dict[str, Any]:
        """Keep what was applied."""
        self.candidates.confirm()
        self.rollback.forget()
        return {}

    async def roll_back(self) -> dict[str, Any]:
        """Take back what was applied."""
        await self.candidates.take_back()
        self.rollback.forget()
        return {}

    async def apply_network(self, asked: Network) -> dict[str, Any]:
        """Change the box's network for so many seconds."""
        await self.networks.apply(asked)
        self.network_rollback.arm(asked.seconds)
        return {"seconds": asked.seconds}

    async def confirm_network(self) -> dict[str, Any]:
        """Keep the network as it was applied."""
        self.networks.confirm()
        self.network_rollback.forget()
        return {}

    async def roll_back_network(self) -> dict[str, Any]:
        """Have the network as it was before."""
        await self.networks.take_back()
        self.network_rollback.forget()
        return {}

    async def unit(self, action: str, name: str) -> dict[str, Any]:
        """Start, stop or restart a unit of the list."""
        await self.programs.control(action, UNITS[name])
        return {}

    async def reboot(self) -> dict[str, Any]:
        """Have the box start again, after this was answered."""
        await self.programs.control("--no-block", "reboot")
        return {}

    async def recover(self) -> dict[str, Any]:
        """Begin to take the ledger back from the peers; the gateway is stopped for it.

        Raises:
            ExistsError: `already-running`: it is going on.
        """
        if self._recovery is not None and not self._recovery.done():
            raise ExistsError("already-running", "the recovery is going on")
        await self.programs.control("stop", GATEWAY)
        self._report.unlink(missing_ok=True)
        work = self._recover()
        self._recovery = asyncio.get_running_loop().create_task(work, name="recovery")
        return {}

    async def recovered(self) -> dict[str, Any]:
        """How far a recovery has come: `none`, `running`, or `ended` with what it said.

        It said `report`, or `error` as problem details; null where it could not say anything.
        """
        if self._recovery is not None and not self._recovery.done():
            return {"state": "running"}
        try:
            said = read_bounded(self._report, _MAX_REPORT)
        except MissingError:
            return {"state": "none" if self._recovery is None else "ended", "report": None}
        return {"state": "ended", "report": _find_object(said.decode("utf-8", "replace"))}

    @property
    def _firmware_ca(self) -> Path:
        return self.programs.settings.config.with_name("firmware-ca.pem")

    @property
    def _report(self) -> Path:
        return self.programs.settings.runtime / "recover.json"

    async def _recover(self) -> None:
        try:
            await self.programs.control("start", "--wait", RECOVERY, seconds=None)
        except ChopmarkError as error:
            LOG.warning("the recovery has not ended well: %s", error, extra={"code": error.code})

    async def _restart_network(self) -> None:
        early = ("--no-block",) if self._starting else ()
        await self.programs.control(*early, "restart", NETWORKD)

    async def _restart_gateway(self) -> None:
        """With another configuration, if it runs; one that does not run is not started."""
        early = ("--no-block",) if self._starting else ()
        await self.programs.control(*early, "try-restart", GATEWAY)


async def _take_back(rollback: Rollback, verb: str) -> None:
    LOG.warning("an unconfirmed change is taken back", extra={"verb": verb})
    if not await rollback.attempt():
        rollback.arm(AGAIN)


def _damaged() -> ChopmarkError:
    message = "what was noted of an unconfirmed change is damaged: it cannot be taken back"
    hint = "look through institution and brokers (`show broker`), change what is wrong by"
    hint += " `configure`; then `configure confirm`"
    return InternalError("commit-damaged", message, hint=hint)


def _find_object(said: str) -> dict[str, Any] | None:
    """The first object of JSON in what a program said, between lines of its log."""
    decoder = json.JSONDecoder()
    for line in re.finditer(r"^\{", said, re.MULTILINE):
        try:
            found = decoder.raw_decode(said, line.start())[0]
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _edit(asked: Change, files: Path, firmware_ca: Path, text: str) -> str:
    names = {"institution": asked.institution, "jurisdiction": asked.jurisdiction}
    given = {key: value for key, value in names.items() if value is not None}
    text = set_names(text, given) if given else text
    config = parse_config(text.encode())
    if asked.firmware is not None:
        text = set_firmware(text, _make_source(config.firmware, asked.firmware, firmware_ca))
    brokers = config.broker
    if asked.remove_broker is not None:
        brokers = _without(brokers, *asked.remove_broker)
    if asked.add_broker is not None:
        brokers = (*brokers, _make_broker(config, asked.add_broker, files))
    return text if brokers == config.broker else set_brokers(text, brokers)


def _make_source(
    known: FirmwareSource | None, asked: Source | str, ca: Path
) -> FirmwareSource | None:
    """With the CA in place, and the certificate that we have there already."""
    if isinstance(asked, str):
        return None
    known = known or FirmwareSource(source=asked.url)
    return msgspec.structs.replace(
        known,
        source=asked.url,
        ca=ca if ca.exists() else known.ca,
        proxy=None if asked.proxy is None else _end(*asked.proxy),
    )


def _end(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _without(brokers: tuple[Broker, ...], host: str, port: int) -> tuple[Broker, ...]:
    left = tuple(one for one in brokers if (one.host, one.port) != (host, port))
    if len(left) == len(brokers):
        message = f"no broker {host}:{port} is configured"
        raise MissingError("no-such-broker", message, hint="`show broker` lists them")
    return left


def _make_broker(config: Config, asked: Asked, files: Path) -> Broker:
    """With the certificates that this gateway shows to other brokers already, if there are any."""
    if not asked.tls:
        return Broker(host=asked.host, port=asked.port, publish_port=asked.publish_port)
    known = next((one.tls for one in config.broker if one.tls is not None), None)
    usual = BrokerTls(
        ca=files / "ca.pem",
        certificate=files / f"{config.gateway.id}.pem",
        key=files / f"{config.gateway.id}.key",
    )
    tls = msgspec.structs.replace(known or usual, name=asked.name)
    return Broker(host=asked.host, port=asked.port, publish_port=asked.publish_port, tls=tls)

"""The gateway and its box at one moment: all parts are asked at once, each with its deadline.

With the daemon down it says what the box itself tells: how systemd sees it, its last words, the
disk, and what is wrong with the configuration.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.console.box.clock import BoxClock, read_clock
from chopmark.console.box.journal import Wanted, read_log
from chopmark.console.box.network import Network, read_network
from chopmark.console.box.sensors import Space
from chopmark.console.box.units import DAEMON, Unit, read_units
from chopmark.console.command import Admin, GatewayApi
from chopmark.console.place import find_folder
from chopmark.console.spool import count_aside
from chopmark.console.stateside import look_at_space
from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.service.config import load_config
from chopmark.service.config_model import Config

GATEWAY_SECONDS: Final = 1.5
"""A gateway that is well answers in milliseconds, with HSM and brokers away too."""
LOG_SECONDS: Final = 1.0
"""For log and disk, which are asked after the gateway has not answered: together below three."""
_LINES: Final = 4
_STATE: Final = Path("/var/lib/chopmark")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was found.

    Attributes:
        status: of the gateway (`GET /v1/status`), or why there is none.
        config: the configuration, or what is wrong with it.
        unit: how systemd sees the daemon; None where systemd does not tell.
        log: its last lines, where it does not answer.
        space: the file system of its state, if it can be looked at and the gateway does not tell.
        clock: of the system.
        network: of the box.
        refused: records of this console that the daemon would not take.
    """

    status: Mapping[str, Any] | ChopmarkError
    config: Config | ConfigurationError
    unit: Unit | None
    log: tuple[str, ...]
    space: Space | None
    clock: BoxClock
    network: Network
    refused: int = 0


async def take(gateway: GatewayApi, path: Path, admin: Admin) -> Snapshot:
    """Ask all parts at once; raises nothing about any of them."""
    config = await asyncio.to_thread(read_config, path)
    state = config.gateway.state if isinstance(config, Config) else _STATE
    (status, log, space), unit, clock, network = await asyncio.gather(
        _ask_gateway(gateway, admin, state),
        _ask_unit(),
        read_clock(),
        read_network(),
    )
    refused = await asyncio.to_thread(count_aside, find_folder())
    return Snapshot(status, config, unit, log, space, clock, network, refused)


def read_config(path: Path) -> Config | ConfigurationError:
    """The configuration, or what is wrong with it."""
    try:
        return load_config(path)
    except ConfigurationError as error:
        return error


async def _ask_gateway(
    gateway: GatewayApi, admin: Admin, state: Path
) -> tuple[Mapping[str, Any] | ChopmarkError, tuple[str, ...], Space | None]:
    """Its status; where there is none, its last words, and the disk that it would tell of."""
    try:
        status = await gateway.get("/v1/status", seconds=GATEWAY_SECONDS)
    except ChopmarkError as error:
        return error, *await asyncio.gather(_ask_log(), _look_at_disk(admin, state))
    return status if isinstance(status, dict) else {}, (), None


async def _ask_log() -> tuple[str, ...]:
    try:
        return tuple(await read_log(Wanted(_LINES), LOG_SECONDS))
    except (ChopmarkError, OSError):
        return ()


async def _ask_unit() -> Unit | None:
    try:
        return next(iter(await read_units((DAEMON,))), None)
    except ChopmarkError:
        return None


async def _look_at_disk(admin: Admin, state: Path) -> Space | None:
    try:
        async with asyncio.timeout(LOG_SECONDS):
            return await look_at_space(admin, state)
    except TimeoutError:
        return None

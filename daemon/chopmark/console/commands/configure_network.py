"""`configure network …`: the box's own network, which the appliance's image has (systemd-networkd).

What is typed is looked at here, and root applies it for a time, as a change of the configuration:
unless `configure network confirm` follows, it is taken back. Without the image root answers E-1900.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from chopmark.console.command import Argument, Command, Role, Surroundings
from chopmark.console.words import t
from chopmark.core.errors import ChopmarkError, UsageError
from chopmark.core.text import parse_decimal
from chopmark.service.config_doors import check_host

SECONDS: Final = 300
NONE: Final = "none"
_VLANS: Final = range(1, 4095)
_PORTS: Final = range(1, 65_536)
Value = TypeVar("Value")


async def change(around: Surroundings) -> None:
    """Ask for the address of the box, and have it applied; raises what root says."""
    desk = around.desk
    method = await desk.ask(t(desk.language, "configure.ask.method"), default="dhcp")
    if method == "dhcp":
        await _dhcp(around, {})
        return
    if method != "static":
        raise UsageError("console-value", f"no way: {method[:32]!r}", hint="dhcp or static")
    names = {"ADDRESS": "address", "GATEWAY": "gateway"}
    given = {
        name: await desk.ask(t(desk.language, f"configure.ask.{key}"))
        for name, key in names.items()
    }
    await _static(around, given)


async def _dhcp(around: Surroundings, _: Mapping[str, str]) -> None:
    await _apply(around, method="dhcp")


async def _static(around: Surroundings, given: Mapping[str, str]) -> None:
    address = _read(given["ADDRESS"], _interface, "192.0.2.10/24")
    gateway = _read(given["GATEWAY"], ipaddress.ip_address, "192.0.2.1")
    if gateway not in address.network:
        hint = f"an address of {address.network}"
        raise UsageError("console-value", f"{gateway} cannot be reached from {address}", hint=hint)
    await _apply(around, method="static", address=str(address), gateway=str(gateway))


async def _vlan(around: Surroundings, given: Mapping[str, str]) -> None:
    vlan = 0 if given["ID"] == NONE else _number(given["ID"], "ID", _VLANS)
    await _apply(around, vlan=vlan)


async def _dns(around: Surroundings, given: Mapping[str, str]) -> None:
    servers = [str(_read(one, ipaddress.ip_address, "192.0.2.53")) for one in given.values()]
    await _apply(around, dns=servers)


async def _ntp(around: Surroundings, given: Mapping[str, str]) -> None:
    await _apply(around, ntp=[_read(one, _host, "time.example") for one in given.values()])


async def _proxy(around: Surroundings, given: Mapping[str, str]) -> None:
    host = _read(given["HOST"], _host, "proxy.example")
    await _apply(around, proxy=[host, _number(given["PORT"], "PORT", _PORTS)])


async def _apply(around: Surroundings, **network: Any) -> None:
    await around.admin.do("network-apply", who=around.who, seconds=SECONDS, **network)
    text = t(around.desk.language, "configure.network-applied", seconds=SECONDS)
    await around.desk.say(text)


async def _confirm(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("network-confirm", who=around.who)
    await around.desk.say(t(around.desk.language, "configure.confirmed"))


async def _rollback(around: Surroundings, _: Mapping[str, str]) -> None:
    await around.admin.do("network-rollback", who=around.who)
    await around.desk.say(t(around.desk.language, "configure.network-taken-back"))


def _read(text: str, parse: Callable[[str], Value], example: str) -> Value:
    try:
        return parse(text)
    except (ValueError, ChopmarkError):
        hint = f"type it as {example}"
        raise UsageError("console-value", f"{text[:64]!r} cannot be used", hint=hint) from None


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """An address with the size of its network, without which it would have no neighbours."""
    if "/" not in text:
        raise ValueError(text)
    return ipaddress.ip_interface(text)


def _host(text: str) -> str:
    if text.startswith(("-", ".", "_")):
        raise ValueError(text)
    check_host("network", text)
    return text


def _number(text: str, what: str, valid: range) -> int:
    number = parse_decimal(text, what)
    if number not in valid:
        hint = f"type {valid.start} to {valid.stop - 1}"
        raise UsageError("console-value", f"{what} cannot be {number}", hint=hint)
    return number


def _changing(word: str, run: Any, *arguments: Argument) -> Command:
    path, key = ("configure", "network", word), f"help.configure.network-{word}"
    return Command(path, key, Role.SERVICE, run, arguments, changes=True)


def _servers(count: int, key: str) -> tuple[Argument, ...]:
    return tuple(Argument(f"SERVER{at}", key, optional=at > 1) for at in range(1, count + 1))


COMMANDS: Final = (
    _changing("dhcp", _dhcp),
    _changing(
        "static",
        _static,
        Argument("ADDRESS", "help.configure.address"),
        Argument("GATEWAY", "help.configure.gateway"),
    ),
    _changing("vlan", _vlan, Argument("ID", "help.configure.vlan")),
    _changing("dns", _dns, *_servers(3, "help.configure.dns")),
    _changing("ntp", _ntp, *_servers(4, "help.configure.ntp")),
    _changing(
        "proxy",
        _proxy,
        Argument("HOST", "help.configure.proxy"),
        Argument("PORT", "help.configure.proxy-port"),
    ),
    _changing("confirm", _confirm),
    _changing("rollback", _rollback),
)

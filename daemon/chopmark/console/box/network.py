"""Interfaces, addresses, routes and name servers of this machine.

Its unit lets the console have no network, and no way to ask the kernel of one (`ip`). Where it may
not, systemd-networkd is asked, which tells over a unix socket.
"""

import ipaddress
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chopmark.console.programs import run
from chopmark.core.errors import ChopmarkError, MissingError

SECONDS: Final = 1.5
_CLASS: Final = Path("/sys/class/net")
_NETWORKD: Final = "org.freedesktop.network1"
_DESCRIBE: Final = (
    *("busctl", "--json=short", "call", _NETWORKD, "/org/freedesktop/network1"),
    *(f"{_NETWORKD}.Manager", "Describe"),
)
_RESOLV: Final = Path("/etc/resolv.conf")
_MAX: Final = 64
"""Of each sort that are looked at."""


@dataclass(frozen=True, slots=True)
class Link:
    """One interface.

    Attributes:
        name: of the kernel.
        state: `up`, `down` … (operstate).
        carrier: whether a cable is in; None if that is not told.
        speed: Mbit/s, if it is told.
        mac: its address on the wire.
        addresses: of IP, with their prefix lengths.
    """

    name: str
    state: str
    carrier: bool | None
    speed: int | None
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """What there is; `problem` says what could not be asked."""

    links: tuple[Link, ...]
    routes: tuple[str, ...]
    servers: tuple[str, ...]
    problem: str = ""

    @property
    def outward(self) -> tuple[Link, ...]:
        """All but loopback."""
        return tuple(link for link in self.links if link.name != "lo")


async def read_network(seconds: float = SECONDS) -> Network:
    """Ask the kernel; raises nothing."""
    servers, problem = tuple(_servers()), ""
    addresses: dict[str, list[str]] = {}
    routes: list[str] = []
    try:
        addresses, routes = await _look(seconds)
    except (ChopmarkError, ValueError, LookupError, TypeError) as error:
        problem = str(error)
    links = tuple(_link(path, addresses.get(path.name, [])) for path in _paths())
    return Network(links, tuple(routes[:_MAX]), servers, problem)


async def _look(seconds: float) -> tuple[dict[str, list[str]], list[str]]:
    """Of the kernel; of systemd-networkd where that may not be. Raises what hinders the first."""
    routes: list[str] = []
    try:
        addresses = _addresses(await _ask("address", seconds))
        for family in ("-4", "-6"):
            routes += _routes(await _ask("route", seconds, family))
    except ChopmarkError:
        with suppress(ChopmarkError, ValueError, LookupError, TypeError):
            return parse_networkd(await _ask_networkd(seconds))
        raise
    return addresses, routes


async def _ask(what: str, seconds: float, family: str = "-0") -> Any:
    options = () if family == "-0" else (family,)
    said = await run(("ip", "-j", *options, what, "show"), seconds)
    if said.code != 0:
        raise MissingError("program-failed", f"ip: {said.errors.strip()[:200]}")
    return json.loads(said.output or "[]")


async def _ask_networkd(seconds: float) -> Any:
    """By D-Bus: `networkctl` refuses whoever has another network than systemd-networkd."""
    said = await run(_DESCRIBE, seconds)
    if said.code != 0:
        raise MissingError("program-failed", f"busctl: {said.errors.strip()[:200]}")
    return json.loads(json.loads(said.output)["data"][0])


def parse_networkd(answer: Any) -> tuple[dict[str, list[str]], list[str]]:
    """Addresses by interface, and routes, of what systemd-networkd says of itself (Describe)."""
    addresses: dict[str, list[str]] = {}
    routes: list[str] = []
    for link in answer["Interfaces"]:
        name = str(link["Name"])
        addresses[name] = [
            f"{_address(one['Address'])}/{one['PrefixLength']}" for one in link.get("Addresses", [])
        ]
        for one in link.get("Routes", []):
            if one.get("TypeString", "unicast") == "unicast":
                routes += _route(one, name)
    return addresses, routes


def _route(one: Any, name: str) -> Iterator[str]:
    size, target = one["DestinationPrefixLength"], _address(one["Destination"])
    if size and target.startswith(("fe80:", "ff00:")):
        return
    via = f" via {_address(one['Gateway'])}" if one.get("Gateway") else ""
    yield f"{f'{target}/{size}' if size else 'default'}{via} dev {name}"


def _address(octets: list[int]) -> str:
    return str(ipaddress.ip_address(bytes(octets)))


def _addresses(answer: Any) -> dict[str, list[str]]:
    return {
        str(one["ifname"]): [
            f"{info['local']}/{info['prefixlen']}" for info in one.get("addr_info", []) if info
        ]
        for one in answer
        if one
    }


def _routes(answer: Any) -> Iterator[str]:
    for one in answer:
        target, device = str(one["dst"]), str(one.get("dev", "?"))
        if not target.startswith(("fe80:", "ff00:", "multicast")):
            via = f" via {one['gateway']}" if one.get("gateway") else ""
            yield f"{target}{via} dev {device}"


def _paths() -> list[Path]:
    try:
        return sorted(path for path in _CLASS.iterdir() if (path / "operstate").exists())[:_MAX]
    except OSError:
        return []


def _link(path: Path, addresses: list[str]) -> Link:
    carrier, speed = _read(path / "carrier"), _read(path / "speed")
    return Link(
        path.name,
        _read(path / "operstate") or "?",
        None if carrier not in ("0", "1") else carrier == "1",
        int(speed) if speed.isdecimal() else None,
        _read(path / "address"),
        tuple(addresses),
    )


def _read(path: Path) -> str:
    """A file of the kernel; empty where it does not tell, as of a link that is down."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200].strip()
    except OSError:
        return ""


def _servers() -> Iterator[str]:
    """The name servers of resolv.conf(5)."""
    try:
        lines = _RESOLV.read_text(encoding="utf-8", errors="replace").splitlines()[:200]
    except OSError:
        return
    for words in map(str.split, lines):
        if words[:1] == ["nameserver"] and len(words) > 1 and _is_address(words[1]):
            yield words[1]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

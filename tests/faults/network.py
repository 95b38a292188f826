"""Gateways and their broker, each in a network namespace of its own, and cables to be cut.

The broker's namespace has one cable (a veth pair) to each gateway's. A cable is cut, in one
direction or both, or made to lose packets, by nftables in the gateway's namespace. Clients need no
network: a gateway's unix socket is reached from anywhere.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from rig.broker import Broker, BrokerFailedError
from rig.gateway import Gateway, Who

Way = Literal["out", "in"]
_HOOKS: Final = {"out": "output", "in": "input"}
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Space:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command in it: replaced by the command, so that process ids stay."""
        ip = shutil.which("ip", path=_PATH)
        assert ip is not None
        return (ip, "netns", "exec", self.name)

    def connect(self, other: "Space", number: int) -> None:
        """Lay a cable: this side has the address 10.77.N.1, the other 10.77.N.2."""
        ours, theirs = f"v{number}", "v"
        peer = ("peer", "name", theirs, "netns", other.name)
        run("ip", "-n", self.name, "link", "add", ours, "type", "veth", *peer)
        for space, device, last in ((self, ours, 1), (other, theirs, 2)):
            run("ip", "-n", space.name, "addr", "add", f"10.77.{number}.{last}/24", "dev", device)
            run("ip", "-n", space.name, "link", "set", device, "up")

    def lose(self, percent: int, *ways: Way) -> None:
        """Drop so many packets of a hundred on the way out, in, or both."""
        self.mend()
        run(*self.prefix, "nft", "add", "table", "inet", "cable")
        verdict = "drop" if percent == 100 else f"numgen random mod 100 < {percent} drop"
        for way in ways:
            hook = f"{{ type filter hook {_HOOKS[way]} priority 0; }}"
            run(*self.prefix, "nft", "add", "chain", "inet", "cable", way, hook)
            rule = ("rule", "inet", "cable", way, "meta", "l4proto", "tcp", *verdict.split())
            run(*self.prefix, "nft", "add", *rule)

    def mend(self) -> None:
        """The cable is whole again."""
        run(*self.prefix, "nft", "flush", "ruleset")

    def remove(self) -> None:
        run("ip", "netns", "del", self.name)


class FarBroker(Broker):
    """Mosquitto in a namespace, listening on all its addresses."""

    def __init__(self, folder: Path, space: Space) -> None:
        self.prefix = space.prefix
        super().__init__(folder)

    def _write_files(self) -> None:
        super()._write_files()
        conf = self.folder / "mosquitto.conf"
        here = f"listener {self.port}"
        conf.write_text(conf.read_text().replace(f"{here} {self.host}", here))

    def _accepts(self) -> bool:
        probe = f"import socket; socket.create_connection(({self.host!r}, {self.port}), 1)"
        command = [*self.prefix, sys.executable, "-c", probe]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


class Network:
    """Gateways and a broker, all running; a context manager."""

    def __init__(self, folder: Path, members: Sequence[Who]) -> None:
        self.spaces: dict[str, Space] = {}
        self.gateways: dict[str, Gateway] = {}
        self.broker: Broker | None = None
        self._folder, self._members = folder, members

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._remove()

    def _build(self) -> None:
        middle = self._add_space("broker")
        for number, who in enumerate(self._members):
            middle.connect(self._add_space(who.id), number)
        self.broker = FarBroker(self._folder / "broker", middle)
        for number, who in enumerate(self._members):
            gateway = Gateway(self._folder / who.id, who, self.broker)
            text = gateway.config.read_text()
            far = f'host = "10.77.{number}.1"'
            gateway.config.write_text(text.replace(f'host = "{self.broker.host}"', far))
            gateway.program = (*self.spaces[who.id].prefix, *gateway.program)
            self.gateways[who.id] = gateway
        for gateway in self.gateways.values():
            gateway.add_peers([g for g in self.gateways.values() if g is not gateway])
        for gateway in self.gateways.values():
            gateway.start()

    def _add_space(self, name: str) -> Space:
        self.spaces[name] = Space(f"chop-{os.getpid()}-{name}")
        return self.spaces[name]

    def _remove(self) -> None:
        for gateway in self.gateways.values():
            gateway.stop()
        if self.broker is not None:
            self.broker.stop()
        for space in self.spaces.values():
            space.remove()


def run(*command: str) -> None:
    """Run a command to its end.

    Raises:
        BrokerFailedError: with what it said.
    """
    environment = os.environ | {"PATH": _PATH}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BrokerFailedError(f"{' '.join(command)}: {done.stderr}")

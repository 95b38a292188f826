"""Mosquittos with TLS, set up by the commands and templates that docs/operations/brokers.md names."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chopmark.mesh.broker import Broker as Address
from chopmark.mesh.broker import Tls
from rig.broker import Broker, free_port

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "firmware-config/mosquitto"
PAGE = (ROOT / "docs/operations/brokers.md").read_text()
NAME = "broker.bank-hk.example"


def commands(section: str) -> list[str]:
    """The blocks of commands of a section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def run(script: str, folder: Path) -> None:
    """Run commands of the page; fails with what they said."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


class Authority:
    """A CA in a folder, and those who ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._set_up, self._request, self._issue, self._server = commands("Certificates")
        run(self._set_up, folder)

    def issue(self, name: str, *, instead: tuple[str, str] = ("", "")) -> None:
        """`name`.key and `name`.pem for a gateway; `instead` changes what the CA is told."""
        script = (self._request + self._issue).replace("hk-1", name)
        run(script.replace(*instead) if instead[0] else script, self.folder)

    def issue_server(self) -> None:
        """server.key and server.pem."""
        run(self._server, self.folder)

    def revoke(self, name: str) -> None:
        """A new crl.pem without this certificate."""
        (script,) = commands("Revoking")
        run(script.replace("hk-1", name), self.folder)

    def tls(self, member: str, **changes: Path | str) -> Tls:
        """What a member's link is given."""
        folder = self.folder
        values = {
            "ca": folder / "ca.pem",
            "certificate": folder / f"{member}.pem",
            "key": folder / f"{member}.key",
            "name": NAME,
            "member": member,
        }
        return Tls(**{**values, **changes})  # type: ignore[arg-type]


class SecureBroker(Broker):
    """Mosquitto with chopmark.conf, filled in with places of its own.

    Args:
        folder: for everything.
        authority: of its certificate, and of its clients'.
        acl: its access list.
        bridge: lines to change in bridge.conf, as for `sed`; without, there is no bridge.
    """

    def __init__(
        self, folder: Path, authority: Authority, acl: str, bridge: Sequence[str] = ()
    ) -> None:
        self.authority = authority
        self.publish_port = free_port()
        self.place = folder / "chopmark"
        self.access = acl
        self._bridge = bridge
        if not (authority.folder / "server.pem").exists():
            authority.issue_server()
        super().__init__(folder, persistence=True)

    def broker_for(self, member: str) -> Address:
        """What a member's link is given."""
        return Address(self.host, self.port, self.publish_port, self.authority.tls(member))

    def install(self) -> None:
        """Put certificates, access list and templates in place, by the page's commands."""
        staging = self.folder / "staging"
        staging.mkdir(exist_ok=True)
        for name in ("ca.pem", "crl.pem", "server.pem", "server.key"):
            (staging / name).write_bytes((self.authority.folder / name).read_bytes())
        (staging / "acl").write_text(self.access)
        for path in TEMPLATES.iterdir():
            (staging / path.name).write_text(self._fill(path.read_text()))
        (script,) = commands("The broker")
        lines = [one for one in script.splitlines() if not one.startswith("systemctl")]
        (self.folder / "conf.d").mkdir(exist_ok=True)
        (self.folder / "system").mkdir(exist_ok=True)
        run(self._fill("\n".join(lines)).replace("-g mosquitto ", ""), staging)

    def crl_unit(self, key: str) -> str:
        """A command of the unit that watches the list."""
        text = (self.folder / "system/chopmark-mosquitto-crl.service").read_text()
        return text.partition(f"\n{key}=")[2].partition("\n")[0]

    def _fill(self, text: str) -> str:
        text = text.replace("/etc/mosquitto/chopmark", str(self.place))
        text = text.replace("/etc/mosquitto/conf.d", str(self.folder / "conf.d"))
        text = text.replace("/etc/systemd/system", str(self.folder / "system"))
        for listener, port in ((8883, self.port), (8884, self.publish_port)):
            text = re.sub(rf"(?m)^listener {listener}$", f"listener {port} {self.host}", text)
        return text

    def _write_files(self) -> None:
        self.install()
        if self._bridge:
            text = (self.folder / "staging/bridge.conf").read_text()
            for change in self._bridge:
                old, new = change.split("=>")
                text = text.replace(old, new)
            (self.folder / "conf.d/bridge.conf").write_text(text)
        main = [
            "persistence true",  # as Debian's mosquitto.conf
            f"persistence_location {self.folder}/",
            "log_dest stdout",
            *(one for one in self._settings if one.startswith("user")),
            f"include_dir {self.folder / 'conf.d'}",
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join(main) + "\n")

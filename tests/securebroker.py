"""Mosquittos with TLS, set up by the commands and templates of docs/operations/brokers.md."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

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
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


class Authority:
    """A CA in a folder, and those who ask it; `host` is one more name of its broker."""

    def __init__(self, folder: Path, host: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._set_up, self._request, self._issue, self._server = commands("Certificates")
        names = f"DNS:{NAME}, IP:127.0.0.1" + (f", DNS:{host}" if host else "")
        run(self._set_up.replace(f"DNS:{NAME}", names), folder)

    def issue(self, name: str, member: str = "", *, instead: tuple[str, str] = ("", "")) -> None:
        """`name`.key and `name`.pem for a gateway; `instead` changes what the CA is told."""
        script = (self._request + self._issue).replace("CN=hk-1", f"CN={member or name}")
        script = re.sub(r"(?<!=)hk-1", name, script)
        run(script.replace(*instead) if instead[0] else script, self.folder)

    def sign(self, name: str) -> None:
        """`name`.pem for the request `name`.csr, which has come from elsewhere."""
        run(re.sub(r"(?<!=)hk-1", name, self._issue), self.folder)

    def issue_server(self, *, instead: tuple[str, str] = ("", "")) -> None:
        """server.key and server.pem."""
        run(self._server.replace(*instead) if instead[0] else self._server, self.folder)

    def revoke(self, name: str) -> None:
        """A new crl.pem without this certificate."""
        (script,) = commands("Revoking")
        run(script.replace("hk-1", name), self.folder)

    def ends(self, name: str) -> int:
        """When a certificate ends, ms since the Unix epoch."""
        found = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        return int(found.not_valid_after_utc.timestamp() * 1000)

    def tls(self, name: str, member: str = "") -> Tls:
        """What a member's link is given, with the files of this name."""
        folder = self.folder
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        return Tls(folder / "ca.pem", certificate, key, NAME, member or name)


class SecureBroker(Broker):
    """Mosquitto with chopmark.conf, filled in with places of its own.

    Args:
        folder: for everything.
        authority: of its certificate, and of its clients'.
        acl: its access list.
        bridge: what to change in bridge.conf; without, there is no bridge.
        change: what to change in the templates.
        host: the address that it listens at.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        acl: str,
        *,
        bridge: Mapping[str, str] | None = None,
        change: tuple[str, str] = ("", ""),
        host: str = "127.0.0.1",
    ) -> None:
        self.authority = authority
        self.publish_port = free_port()
        self.place = folder / "chopmark"
        self.access = acl
        self._bridge = bridge
        self._change = change
        if not (authority.folder / "server.pem").exists():
            authority.issue_server()
        super().__init__(folder, persistence=True, host=host)

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

    def reload(self) -> None:
        """SIGHUP."""
        self._signal(signal.SIGHUP)

    def crl_unit(self, key: str) -> str:
        """A command of the unit that watches the list."""
        text = (self.folder / "system/chopmark-mosquitto-crl.service").read_text()
        return text.partition(f"\n{key}=")[2].partition("\n")[0]

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return super()._accepts() and probe.connect_ex((self.host, self.publish_port)) == 0

    def _fill(self, text: str) -> str:
        if self._change[0]:
            text = text.replace(*self._change)
        text = text.replace("/etc/mosquitto/chopmark", str(self.place))
        text = text.replace("/etc/mosquitto/conf.d", str(self.folder / "conf.d"))
        text = text.replace("/etc/systemd/system", str(self.folder / "system"))
        for listener, port in ((8883, self.port), (8884, self.publish_port)):
            text = re.sub(rf"(?m)^listener {listener}$", f"listener {port} {self.host}", text)
        return text

    def _write_files(self) -> None:
        self.install()
        if self._bridge:
            for kind in ("pem", "key"):
                ours = (self.authority.folder / f"bridge.{kind}").read_bytes()
                (self.place / f"bridge.{kind}").write_bytes(ours)
            text = (self.folder / "staging/bridge.conf").read_text()
            for old, new in self._bridge.items():
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


SPOILT = {
    "expired": ("-batch", "-batch -startdate 20200101000000Z -enddate 20200131000000Z"),
    "server-use": ("-extensions gateway", "-extensions broker"),
}
"""What the CA is told otherwise."""


def spoil(change: str, authority: Authority, foreign: Authority, folder: Path) -> Tls | None:
    """Files with one thing wrong."""
    good = authority.tls("hk-1")
    if change == "mode":
        copy = _closed(good.key, folder)
        copy.chmod(0o640)
        return replace(good, key=copy)
    if change == "password":
        run(f"openssl pkey -aes256 -passout pass:x -in {good.key} -out locked.key", folder)
        return replace(good, key=folder / "locked.key")
    if change in SPOILT:
        authority.issue(change, "hk-1", instead=SPOILT[change])
        return authority.tls(change, member="hk-1")
    return {
        "foreign-client": replace(foreign.tls("hk-1"), ca=good.ca),
        "foreign-broker": replace(good, ca=foreign.folder / "ca.pem"),
        "name": replace(good, name="other.example"),
        "cn": replace(authority.tls("mo-1"), member="hk-1"),
        "key": replace(good, key=authority.folder / "mo-1.key"),
        "no-key": replace(good, key=_closed(authority.folder / "ca.pem", folder)),
        "absent": replace(good, certificate=authority.folder / "nobody.pem"),
        "not-pem": replace(good, ca=authority.folder / "ca.key"),
        "plain": None,
    }[change]


def _closed(file: Path, folder: Path) -> Path:
    """A copy that its owner alone may open."""
    copy = folder / file.name
    copy.write_bytes(file.read_bytes())
    copy.chmod(0o400)
    return copy


def wait_until_past(folder: Path) -> None:
    """A list of revoked certificates is past its date."""
    crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    while crl.next_update_utc is None or datetime.now(UTC) <= crl.next_update_utc:
        time.sleep(0.05)

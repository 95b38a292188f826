"""Two boxes in containers, with nothing set up but the package, and how they are commissioned.

hk-1 is set up by what its technician's console asks of chopmark-admin. sz-1 is set up by commands,
as root types them, and its HSM's module is kept apart (chopmark-hsm.service). Between them is a
cable; Mosquitto runs on sz-1, on both addresses that it has.
"""

import json
import os
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from bootedbox import Box
from wires import Cable

from serialline import SerialLine

PIN: Final = "73501946"
SOFTHSM: Final = "/etc/chopmark/softhsm2.conf"
CONFIG: Final = "/etc/chopmark/gateway.toml"
PYTHON: Final = "/opt/chopmark/bin/python"
ASK: Final = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.stdin.buffer.read())
    while part := connection.recv(65536):
        sys.stdout.buffer.write(part)
"""
DIALOUT: Final = 20
"""The group of serial ports, in each Debian; udev cannot give it to a pty."""
REMOTE: Final = "unix:path=/run/chopmark-hsm/pkcs11.sock"


class Pair:
    """Both boxes, and the line to the console of hk-1."""

    def __init__(self, folder: Path, layers: tuple[Path, Path], cable: Cable) -> None:
        self.cable = cable
        self.line = SerialLine()
        os.chown(self.line.box, 0, DIALOUT)
        Path(self.line.box).chmod(0o660)
        here, there = cable.spaces
        self.hk = Box(folder / "hk", "hk-1", layers, here, port=self.line.box)
        self.sz = Box(folder / "sz", "sz-1", layers, there)

    @property
    def boxes(self) -> tuple[Box, Box]:
        return self.hk, self.sz

    def boot(self) -> None:
        """Power on, both at once."""
        each(self.boxes, Box.boot)

    def close(self) -> None:
        each(self.boxes, Box.halt)
        self.line.close()

    def commission(self) -> None:
        """From two bare boxes to two that cosign each other's logs."""
        self._start_broker()
        each(self.boxes, lambda box: self._admin() if box is self.hk else self._commands())
        blocks = {box: cli(box, "peers", "export") for box in self.boxes}
        self.sz.write("/etc/chopmark/peer", blocks[self.hk])
        self.sz.run("sh", "-ec", f"cat /etc/chopmark/peer >>{CONFIG}; rm /etc/chopmark/peer")
        each(self.boxes, unattended)
        self.sz.systemctl("restart", "chopmark")
        words = sha256(blocks[self.sz].encode()).hexdigest()
        admin(self.hk, "peers-pin", blocks=blocks[self.sz], fingerprint=words)
        admin(self.hk, "unit-restart", unit="gateway")
        for box in self.boxes:
            box.wait_for(lambda box=box: is_ready(box), "the gateway to be ready")

    def _start_broker(self) -> None:
        address = self.cable.addresses[1]
        lines = [f"listener 1883 {address}", "listener 1883 127.0.0.1", "allow_anonymous true"]
        self.sz.write("/etc/mosquitto/conf.d/mesh.conf", "\n".join([*lines, ""]))
        self.sz.systemctl("restart", "mosquitto")

    def _admin(self) -> None:
        """hk-1, by the verbs of its console."""
        box = self.hk
        box.write("/etc/chopmark/admin.toml", 'clock = "none"\n')
        make_token(box, "chopmark", "/var/lib/chopmark/tokens")
        box.systemctl("start", "chopmark-admin.socket", "chopmark-diagnose.socket")
        admin(box, "pin-put", pin=PIN)
        who = {"member": "hk-1", "origin": "bank-hk.example/hk-1", "jurisdiction": "HK"}
        broker = [self.cable.addresses[1], 1883]
        named = {"institution": "Bank of Hong Kong (example)", "module": "softhsm"}
        admin(box, "gateway-init", **who, **named, token_label="hk-1", broker=broker)
        admin(box, "unit-start", unit="gateway")

    def _commands(self) -> None:
        """sz-1, by docs/operations/install.md and hsm-isolation.md."""
        box = self.sz
        conf = "directories.tokendir = /var/lib/chopmark-hsm/tokens\nobjectstore.backend = file\n"
        box.write(SOFTHSM, conf + "log.level = ERROR\nlibrary.reset_on_fork = true\n")
        make_token(box, "chopmark-hsm", "/var/lib/chopmark-hsm/tokens")
        module = "/usr/lib/softhsm/libsofthsm2.so"
        box.write("/etc/chopmark/hsm.env", f"MODULE={module}\nSOFTHSM2_CONF={SOFTHSM}\n")
        shipped = "/usr/share/chopmark/chopmark.service.d/isolation.conf"
        box.run(
            "install",
            "-D",
            "-m644",
            shipped,
            "/etc/systemd/system/chopmark.service.d/isolation.conf",
        )
        box.systemctl("daemon-reload")
        box.systemctl("enable", "--now", "chopmark-hsm")
        box.write("/etc/chopmark/credentials/hsm-pin", PIN, 0o400)
        self._initialise(box)
        box.systemctl("start", "chopmark")

    def _initialise(self, box: Box) -> None:
        options = {
            "config": "/var/lib/chopmark/gateway.toml",
            "id": "sz-1",
            "origin": "bank-sz.example/sz-1",
            "institution": "Bank of Shenzhen (example)",
            "jurisdiction": "CN",
            "module": "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
            "token-label": "sz-1",
            "cosigner-key": "p256",
            "state": "/var/lib/chopmark",
            "broker": "127.0.0.1:1883",
            "clock": "none",
        }
        unit = (
            *("User=chopmark", "Group=chopmark", "SupplementaryGroups=chopmark-hsm"),
            *("StateDirectory=chopmark", f"Environment=P11_KIT_SERVER_ADDRESS={REMOTE}"),
            "LoadCredential=hsm-pin:/etc/chopmark/credentials/hsm-pin",
        )
        run = ("systemd-run", "--quiet", "--pipe", "--wait", *(f"--property={one}" for one in unit))
        words = [f"--{name}={value}" for name, value in options.items()]
        box.run(*run, "/opt/chopmark/bin/chopmark", "init", *words)
        box.run("install", "-m644", options["config"], CONFIG)
        box.run("rm", options["config"])


def each(boxes: tuple[Box, ...], do: Any) -> None:
    """Do something with all boxes at once; raises what the first of them raises."""
    failed: list[BaseException] = []

    def work(box: Box) -> None:
        try:
            do(box)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(box,)) for box in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def make_token(box: Box, user: str, folder: str) -> None:
    """A SoftHSM token for the box, by SoftHSM's own tool; its PIN is of no worth."""
    box.run("install", "-d", "-m700", "-o", user, "-g", user, folder)
    words = ("--init-token", "--free", "--label", box.name, "--so-pin", PIN, "--pin", PIN)
    box.run("env", f"SOFTHSM2_CONF={SOFTHSM}", "softhsm2-util", *words, user=user)


def admin(box: Box, verb: str, **values: Any) -> Any:
    """What chopmark-admin does for the console's user."""
    asked = json.dumps({"verb": verb, **values}) + "\n"
    said = box.run(
        PYTHON, "-Ic", ASK, "/run/chopmark-admin.sock", user="chopmark-console", given=asked
    )
    answer = json.loads(said.stdout)
    assert "done" in answer, f"{verb}: {answer}\n{box.log('chopmark-admin')}"
    return answer["done"]


def unattended(box: Box) -> None:
    """Nobody comes by to give the PIN after a boot."""
    box.run("sed", "-i", 's/^unlock = .*/unlock = "auto"/', CONFIG)


def cli(box: Box, *words: str, check: bool = True) -> str:
    """What `chopmark` prints, for root."""
    return box.run("chopmark", *words, check=check).stdout


def status(box: Box) -> dict[str, Any]:
    """What `chopmark status` knows, or nothing."""
    said = box.run("chopmark", "--json", "status", check=False)
    return dict(json.loads(said.stdout)) if said.stdout.startswith("{") else {}


def is_ready(box: Box) -> bool:
    """Whether it may issue, and a quorum would countersign."""
    said = status(box)
    peers = said.get("peers", [])
    return bool(said.get("ready")) and all(one["online"] for one in peers)

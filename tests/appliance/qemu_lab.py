"""The world around two boxes in QEMU: a network namespace with a bridge, and what a bank's LAN has.

DHCP and names by dnsmasq, time by chronyd, the broker by Mosquitto with TLS: all real, all in a
namespace of their own. Needs root.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from imagebuild.description import FOLDER
from rig.authority import Authority

BROKER: Final = "broker.example"
RELEASES: Final = "updates.example"
HOST: Final = "10.77.0.1"
PUBLISHING: Final = 8884
"""Port at which gateways publish, as the template has it."""
NEEDS: Final = ("qemu-system-x86_64", "swtpm", "dnsmasq", "chronyd", "mosquitto", "mcopy", "e2fsck")
STRANGER: Final = 53_530
"""Port of a server that the boxes have no business with."""
TEMPLATE: Final = FOLDER / "mosquitto/chopmark.conf"
SBIN: Final = "/usr/sbin:/sbin:/usr/local/sbin"


_SERVER: Final = """
import functools, http.server, ssl, sys
host, folder, certificate, key = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer((host, 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def find(program: str) -> str | None:
    """Path of a program, also of root's."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def wait_for(truth: Callable[[], object], what: str, seconds: float) -> None:
    """Wait until something is so; generous, since all machines share two cores."""
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


class Lab:
    """The namespace, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"chopmark-{os.getpid()}"
        self.authority = Authority(folder)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Bridge, time, names, broker."""
        _ip("netns", "add", self.name)
        self._ip("link", "set", "lo", "up")
        self._ip("link", "add", "br0", "type", "bridge")
        self._ip("addr", "add", f"{HOST}/24", "dev", "br0")
        self._ip("link", "set", "br0", "up")
        self._serve_time()
        self._serve_names()
        self._serve_broker()
        self._serve_stranger()

    def stop(self) -> None:
        """All that was started, and the namespace."""
        for process in reversed(self._running):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self.name)

    def add_tap(self, name: str) -> None:
        """A machine's port on the bridge."""
        self._ip("tuntap", "add", "dev", name, "mode", "tap")
        self._ip("link", "set", name, "master", "br0", "up")

    def run(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a program in the namespace; its output goes to a file."""
        program = find(words[0])
        assert program is not None, f"{words[0]} is not installed (./setup.sh appliance)"
        command = ("ip", "netns", "exec", self.name, program, *words[1:])
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Power off: SIGKILL, and wait."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        self._running.remove(process)

    def _serve_time(self) -> None:
        """A server that says what this machine's clock says, and never sets it (-x)."""
        conf = self.folder / "chrony.conf"
        conf.write_text(
            f"local stratum 3\nallow 10.77.0.0/24\nbindaddress {HOST}\ncmdport 0\n"
            f"pidfile {self.folder}/chronyd.pid\n"
        )
        self.run("chronyd", "chronyd", "-d", "-x", "-u", "root", "-f", str(conf))

    def _serve_stranger(self) -> None:
        """What no configuration names: a box that reached it would hear an answer."""
        words = ("python3", "-m", "http.server", str(STRANGER), "--bind", HOST)
        self.run("stranger", *words, "--directory", str(self.folder / "nothing"))

    def serve_releases(self, folder: Path) -> None:
        """A bank's server of releases, by HTTPS."""
        pair = self.authority.issue("releases", hosts=(RELEASES,))
        words = (HOST, str(folder), str(pair.certificate), str(pair.key))
        self.run("releases", "python3", "-c", _SERVER, *words)

    def _serve_names(self) -> None:
        options = (
            *("--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"),
            *("--interface=br0", "--bind-interfaces"),
            *(f"--address=/{BROKER}/{HOST}", f"--address=/{RELEASES}/{HOST}"),
            *("--dhcp-range=10.77.0.50,10.77.0.99,1h", f"--dhcp-option=option:ntp-server,{HOST}"),
            *(f"--dhcp-leasefile={self.folder}/leases", f"--pid-file={self.folder}/dnsmasq.pid"),
        )
        self.run("dnsmasq", "dnsmasq", *options)

    def _serve_broker(self) -> None:
        """The one of `firmware-config/mosquitto`, with two ports; who may do what is left open."""
        conf = self.folder / "mosquitto.conf"
        if not conf.exists():
            self._write_broker(conf)
        self.run("mosquitto", "mosquitto", "-c", str(conf))

    def _write_broker(self, conf: Path) -> None:
        server = self.authority.issue("server", hosts=(BROKER,))
        access = self.folder / "acl"
        access.write_text("pattern readwrite #\n")
        places = {
            "ca.pem": self.authority.path,
            "crl.pem": self.authority.revoke(),
            "server.pem": server.certificate,
            "server.key": server.key,
            "acl": access,
        }
        text = TEMPLATE.read_text().replace("persistence true", "persistence false")
        for name, path in places.items():
            text = text.replace(f"/etc/mosquitto/chopmark/{name}\n", f"{path}\n")
        text = text.replace("tls_version tlsv1.2", "tls_version tlsv1.3")
        conf.write_text(f"user root\n{text}")

    def _ip(self, *words: str) -> None:
        _ip("-n", self.name, *words)


def _ip(*words: str) -> None:
    program = find("ip") or "ip"
    subprocess.run([program, *words], check=True, capture_output=True)

"""A real rsyslog that takes syslog over TLS from who has a certificate, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from rig.authority import Authority, Pair
from rig.broker import free_port
from rig.patience import PATIENCE

NAME = "siem.example"
CLIENT = "hk-1"
_FIELDS = (
    *("syslogfacility-text", "syslogseverity-text", "timereported:::date-rfc3339", "hostname"),
    *("app-name", "procid", "msgid", "structured-data", "msg"),
)
_CONF = """\
global(workDirectory="{folder}" defaultNetstreamDriver="gtls" maxMessageSize="16k"
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/name" permittedPeer=["{client}"])
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="fields" type="string" string="{fields}\\n")
action(type="omfile" file="{received}" template="fields")
"""


class Received(NamedTuple):
    """A message as rsyslog has read it."""

    facility: str
    severity: str
    time: str
    host: str
    app: str
    process: str
    id: str
    data: str
    text: str


class Syslogd:
    """rsyslog, stopped until `start`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.authority = Authority(folder, "ca")
        self.pair = self.authority.issue(NAME, file="server", hosts=(NAME,))
        self.received = folder / "received"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, pair: Pair | None = None) -> None:
        """Start, with this certificate, and wait until it listens."""
        program = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None, "rsyslog is not installed (apt install rsyslog rsyslog-gnutls)"
        used, conf = pair or self.pair, self.folder / "rsyslog.conf"
        conf.write_text(
            _CONF.format(
                folder=self.folder,
                ca=self.authority.path,
                certificate=used.certificate,
                key=used.key,
                client=CLIENT,
                port=self.port,
                fields="|".join(f"%{name}%" for name in _FIELDS),
                received=self.received,
            )
        )
        command = [program, "-n", "-f", str(conf), "-i", str(self.folder / "pid")]
        with (self.folder / "rsyslog.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + PATIENCE
        while not self._accepts():
            assert self._process.poll() is None, (self.folder / "rsyslog.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self) -> None:
        """Kill it; harmless if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(PATIENCE)

    def messages(self) -> list[Received]:
        """What it has received and written, whole lines only."""
        if not self.received.exists():
            return []
        whole = self.received.read_text(encoding="utf-8").rpartition("\n")[0]
        return [Received(*line.split("|", 8)) for line in whole.split("\n") if line]

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

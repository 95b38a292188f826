"""A real ejabberd with mod_mqtt, in a folder of its own and without Erlang's network of nodes."""

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chopmark.mesh.broker import Broker as Address
from chopmark.mesh.rights import readable, writable
from rig.broker import free_port
from rig.process import Process
from securebroker import Authority

TEMPLATE: Final = Path(__file__).parent / "integration/ejabberd.yml"


class Ejabberd:
    """ejabberd under `folder`, started at once and killed as a context manager.

    It takes seconds to start: `wait` waits until it accepts.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self.folder, self.authority = folder, authority
        self.log = folder / "console.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._write_files()
        self.start()

    def broker_for(self, member: str) -> Address:
        """What a member's link is given."""
        return Address(self.host, self.port, None, self.authority.tls(member), member)

    def start(self) -> None:
        """Start it."""
        home, *_ = Path("/usr/lib").glob("*/ejabberd-*/ebin")
        environment = {
            "ERL_LIBS": str(home.parents[1]),
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
            "ERL_CRASH_DUMP_BYTES": "0",
            "HOME": str(self.folder),
        }
        command = ["erl", "-noinput", "-mnesia", "dir", f'"{self.folder}/db"', "-s", "ejabberd"]
        self._process = Process(command, self.log, environment)

    def wait(self) -> None:
        """Wait until it accepts."""
        self._process.wait_until(self._accepts)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill()

    def _write_files(self) -> None:
        folder, authority = self.folder, self.authority.folder
        if not (authority / "server.pem").exists():
            self.authority.issue_server()
        both = [(authority / name).read_bytes() for name in ("server.pem", "server.key")]
        (folder / "broker.pem").write_bytes(b"".join(both))
        (folder / "ca.pem").write_bytes((authority / "ca.pem").read_bytes())
        text = TEMPLATE.read_text().replace("FOLDER", str(folder)).replace("PORT", str(self.port))
        for word, filters in (("WRITABLE", writable("%u")), ("READABLE", readable("%u"))):
            rights = "\n".join(f'      "{one}": members' for one in filters)
            text = text.replace(word, rights)
        (folder / "ejabberd.yml").write_text(text)

    def _accepts(self) -> bool:
        time.sleep(0.05)
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

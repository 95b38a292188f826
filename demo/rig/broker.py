"""A real Mosquitto on a free loopback port, in a folder of its own."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from chopmark.mesh.broker import Broker as Address
from rig.patience import PATIENCE

_HOST = "127.0.0.1"
_PORTS = (16384, 32768)
_BLOCK = 64
_left: list[int] = []
os.register_at_fork(after_in_child=_left.clear)  # they are the parent's


class BrokerFailedError(RuntimeError):
    """Mosquitto did not start; the message ends with its log."""


def find_mosquitto() -> str:
    """Path of the program; Debian keeps it where the PATH of a user does not look."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise BrokerFailedError("mosquitto is not installed (apt install mosquitto)")
    return found


def free_port() -> int:
    """A TCP port on loopback that nobody listened on a moment ago.

    It lies below those that the kernel gives to connections: one of these could take it while
    a program that had it starts again. It is given once only, and to no other process at work on
    this machine: who asks for one may use it much later.
    """
    while True:
        if not _left:
            _left.extend(_claim())
        port = _left.pop()
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_HOST, port))
            return port


def _claim() -> range:
    """Some ports for this process alone: it holds a name for them until it ends, however it does.

    Such a name is of the network namespace, as ports are, and leaves no file.
    """
    starts = range(*_PORTS, _BLOCK)
    for start in random.sample(starts, len(starts)):
        with socket.socket(socket.AF_UNIX) as name, suppress(OSError):
            name.bind(f"\0chopmark-ports-{start}")
            name.detach()
            return range(start, start + _BLOCK)
    raise BrokerFailedError("other processes have taken all ports for tests")


class Broker:
    """Mosquitto under `folder`, started at once and stopped as a context manager.

    All methods block; in an event loop call them through `asyncio.to_thread`. `prefix` stands
    before its command.

    Args:
        folder: for configuration, log and database; made if missing.
        persistence: keep sessions and messages over a clean stop (and, every second, a kill).
        acl: lines of an access list; everything is allowed without.
        extra: more lines of configuration.
        host: the address that it listens at.
    """

    prefix: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        *,
        persistence: bool = False,
        acl: Sequence[str] | None = None,
        extra: Sequence[str] = (),
        host: str = _HOST,
    ) -> None:
        self.host = host
        self.port = free_port()
        self.folder = folder
        self.log = folder / "mosquitto.log"
        self._settings = [*_settings(folder, persistence=persistence), *extra]
        self._acl = acl
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def broker_for(self, _member: str) -> Address:
        """What a member's link is given."""
        return Address(self.host, self.port)

    def start(self) -> None:
        """Start on the same port as before and wait until it accepts."""
        self._write_files()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, find_mosquitto(), "-c", str(self.folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_accepts(self._process)

    def stop(self) -> None:
        """Stop cleanly (the database is written). Harmless if it does not run."""
        self._end(kill=False)

    def kill(self) -> None:
        """SIGKILL: what was not on disk is lost."""
        self._end(kill=True)

    def restart(self) -> None:
        """Stop cleanly and start again on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stand, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def _write_files(self) -> None:
        lines = [f"listener {self.port} {self.host}", *self._settings]
        if self._acl is not None:
            access = self.folder / "acl"
            access.write_text("\n".join(self._acl) + "\n")
            access.chmod(0o600)
            lines.append(f"acl_file {access}")
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def _wait_until_it_accepts(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            if self._accepts():
                return
            time.sleep(0.02)
        self.kill()
        raise BrokerFailedError(f"mosquitto does not accept: {self.log.read_text()[-2000:]}")

    def _accepts(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # else a frozen one would not hear it
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _settings(folder: Path, *, persistence: bool) -> list[str]:
    lines = [
        "allow_anonymous true",
        "log_dest stdout",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "max_inflight_messages 200",
        # The default of 1,000 drops messages of slow subscribers that are online. 0 is said to
        # mean no limit, which Mosquitto honours from 2.0.22 on only.
        "max_queued_messages 1000000",
        "max_queued_bytes 1073741824",
        "max_packet_size 262144",
        "set_tcp_nodelay true",
        f"persistence {'true' if persistence else 'false'}",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it becomes `mosquitto`, who may not write in `folder`
    if persistence:
        lines += [f"persistence_location {folder}/", "autosave_interval 1"]
    return lines

"""A PKCS#11 module in processes of its own, away from the daemon: one for each caller.

`python -m chopmark.hsm.isolation --module PATH --socket PATH` listens on a unix socket, and gives
each connection to a `p11-kit remote` as its standard input and output: that loads the module, and
answers p11-kit's RPC. A caller loads `p11-kit-client.so` in place of the module, with
P11_KIT_SERVER_ADDRESS=unix:path=SOCKET in its environment (docs/operations/hsm-isolation.md).

- A module that crashes takes nobody with it: its caller's connection ends.
- A caller that closes its connection ends the module. One that does not end by itself within
  `GRACE`, because it hangs in the driver or waits for a network HSM, is killed. So a caller breaks
  a call that hangs off by shutting its connection down (`rpc.break_off`), and connects anew.
- No process outlives this one.

One thread, which never waits for anything but events.
"""

import argparse
import contextlib
import logging
import os
import select
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GRACE: Final = 0.5
"""Seconds that a module has to end after its caller has gone."""
MAX_CALLERS: Final = 16
"""The daemon, and a few commands of operators beside it; more is a mistake."""
_MODE: Final = 0o660

_log: Final = logging.getLogger("chopmark.hsm.isolation")


@dataclass(slots=True)
class _Caller:
    """A connection and the process that serves it, which is killed at `kill_at` at the latest."""

    connection: socket.socket
    process: subprocess.Popen[bytes]
    pidfd: int
    is_gone: bool = False
    kill_at: float | None = None


class Supervisor:
    """Starts a command for each connection, and ends it with the connection.

    Args:
        listener: listens on a unix socket.
        command: serves one caller on its standard input and output.
    """

    def __init__(self, listener: socket.socket, command: Sequence[str]) -> None:
        self._listener = listener
        # Whatever happens to this process, the kernel kills those it started.
        self._command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self._events = select.epoll()
        self._events.register(listener.fileno(), select.EPOLLIN)
        self._connections: dict[int, _Caller] = {}
        self._processes: dict[int, _Caller] = {}

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self.step()

    def step(self) -> None:
        """Wait for something to happen, and handle it."""
        numbers = [number for number, _ in self._events.poll(self._until_next_kill())]
        for number in numbers:
            if number in self._connections:
                self._end_connection(self._connections[number])
            elif number in self._processes:
                self._reap(self._processes[number])
        # Last, so that no number of a file that was closed just now means another one above.
        if self._listener.fileno() in numbers:
            self._accept()
        self._kill_late()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        if len(self._processes) >= MAX_CALLERS:
            _log.warning("%d callers are served: one more is sent away", len(self._processes))
            connection.close()
            return
        number = connection.fileno()
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is ours, the path an operator's
                self._command, stdin=number, stdout=number, start_new_session=True
            )
        except OSError as error:
            _log.warning("%s does not start: %s", self._command[0], error.strerror)
            connection.close()
            return
        caller = _Caller(connection, process, os.pidfd_open(process.pid))
        self._connections[number] = caller
        self._processes[caller.pidfd] = caller
        # What the caller sends is the module's to read; here only the end of it counts.
        self._events.register(number, select.EPOLLRDHUP)
        self._events.register(caller.pidfd, select.EPOLLIN)

    def _end_connection(self, caller: _Caller) -> None:
        """The process may have the last of it open still: it sees the end, and ends too."""
        if caller.connection.fileno() in self._connections:
            number = caller.connection.fileno()
            self._events.unregister(number)
            del self._connections[number]
            caller.connection.close()
            caller.is_gone, caller.kill_at = True, time.monotonic() + GRACE

    def _reap(self, caller: _Caller) -> None:
        status = caller.process.wait()
        if not caller.is_gone:
            _log.warning("the module's process %d ended (status %d)", caller.process.pid, status)
        self._end_connection(caller)
        self._events.unregister(caller.pidfd)
        os.close(caller.pidfd)
        del self._processes[caller.pidfd]

    def _until_next_kill(self) -> float | None:
        times = [one.kill_at for one in self._processes.values() if one.kill_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _kill_late(self) -> None:
        now = time.monotonic()
        for caller in self._processes.values():
            if caller.kill_at is None or now < caller.kill_at:
                continue
            _log.warning("the module's process %d hangs, and is killed", caller.process.pid)
            # It is a session of its own, so what it started goes with it. Killed once: one that
            # the kernel itself holds in a driver stays till that lets go.
            caller.kill_at = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(caller.process.pid, signal.SIGKILL)


def listen(path: Path) -> socket.socket:
    """Listen on a unix socket for its owner and group, in the place of one that was left behind.

    Raises:
        SystemExit: there is something else at that path, or it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o777 & ~_MODE)
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise SystemExit(f"{path} is there, and is no socket")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
    except OSError as error:
        raise SystemExit(f"cannot listen at {path}: {error.strerror or error}") from None
    finally:
        os.umask(before)
    listener.listen()
    return listener


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(description="A PKCS#11 module in processes of its own.")
    parser.add_argument("--module", required=True, help="path of the module")
    parser.add_argument("--socket", required=True, type=Path, help="path of the unix socket")
    arguments = parser.parse_args()
    if not Path(arguments.module).is_file():
        raise SystemExit(f"there is no PKCS#11 module at {arguments.module}")
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    _log.info("%s is served at %s", arguments.module, arguments.socket)
    Supervisor(listen(arguments.socket), ("p11-kit", "remote", arguments.module)).run()


if __name__ == "__main__":
    main()

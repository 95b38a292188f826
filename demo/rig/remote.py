"""A PKCS#11 module in a process of its own, behind p11-kit's RPC: it can be killed, and come back.

p11-kit-client.so reads P11_KIT_SERVER_ADDRESS when it is loaded, so a process keeps to one address:
what listens there may change.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from rig.process import Process
from rig.token import Token


def find_client_module() -> str:
    """Path of p11-kit's client module.

    Raises:
        RuntimeError: it is not installed.
    """
    for path in Path("/usr/lib").glob("*/pkcs11/p11-kit-client.so"):
        return str(path)
    raise RuntimeError("p11-kit's client is not installed (apt install p11-kit-modules)")


class Remote:
    """Serves the module of a token at a socket; started by `start`, or as a context manager.

    Args:
        path: of the socket, short.
        module: path of the module served.
        environment: what the module needs.
        server: p11-kit's own server, in place of chopmark's supervisor; it needs the token's label.
    """

    def __init__(
        self, path: Path, module: str, environment: Mapping[str, str], server: str | None = None
    ) -> None:
        self.path = path
        self._module, self._environment = module, environment
        self._server = server
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """What P11_KIT_SERVER_ADDRESS must say."""
        return f"unix:path={self.path}"

    def client(self, token: Token) -> Token:
        """The token as callers of this server see it."""
        environment = {"P11_KIT_SERVER_ADDRESS": self.address}
        return Token(find_client_module(), token.label, token.credentials, environment)

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed."""
        return self._process is not None

    def start(self) -> Self:
        """Start, and wait until it accepts; one that runs is killed."""
        self.kill()
        self.path.unlink(missing_ok=True)
        self._process = Process(self._command(), self.path.with_suffix(".log"), self._environment)
        self._process.wait_until(self._accepts)
        return self

    def kill(self) -> None:
        """SIGKILL for it and all processes that serve somebody. Harmless if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            children = self._children(process)
            process.kill()
            for child in children:
                _kill(child)

    def children(self) -> list[int]:
        """Process ids of those that serve somebody."""
        return self._children(self._process) if self._process is not None else []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _command(self) -> list[str]:
        if self._server is None:
            command = [sys.executable, "-m", "chopmark.hsm.isolation"]
            return [*command, "--module", self._module, "--socket", str(self.path)]
        command = ["p11-kit", "server", "--foreground", "--name", str(self.path)]
        return [*command, "--provider", self._module, f"pkcs11:token={self._server}"]

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    @staticmethod
    def _children(process: Process) -> list[int]:
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return [int(word) for word in path.read_text().split()]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

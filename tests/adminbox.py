"""A box for tests of `chopmark-admin`: the real service, token, `chopmark init` and daemon.

Only systemd is a STAND-IN here: a small program that takes systemctl's words and starts, stops and
restarts the real daemon. It writes down what it was told, with the digest of the configuration.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pytest

from rig.broker import free_port
from rig.patience import PATIENCE
from rig.token import MODULE, SoftToken, provision_token

CONTROL = """\
#!{python}
import hashlib, json, os, signal, subprocess, sys, time
folder, config = {folder!r}, {config!r}
words = [one for one in sys.argv[1:] if not one.startswith("--")]
pid_file = os.path.join(folder, "daemon.pid")
def digest():
    try:
        return hashlib.sha256(open(config, "rb").read()).hexdigest()
    except OSError:
        return ""
def running():
    try:
        pid = int(open(pid_file).read())
        os.kill(pid, 0)
        state = open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[0]
        return pid if state != "Z" else None
    except (OSError, ValueError):
        return None
def stop():
    pid = running()
    if pid:
        os.kill(pid, signal.SIGTERM)
        while running():
            time.sleep(0.02)
def start():
    if not running():
        log = open(os.path.join(folder, "daemon.log"), "ab")
        made = subprocess.Popen([sys.executable, "-m", "chopmark.service.main", "--config", config],
            env={environment!r}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
        open(pid_file, "w").write(str(made.pid))
with open(os.path.join(folder, "control.log"), "a") as log:
    log.write(json.dumps([words, digest()]) + "\\n")
if os.path.exists(os.path.join(folder, "refuse")):
    sys.exit("Job for chopmark.service failed.")
if words[1:] == ["chopmark.service"]:
    was = running()
    if words[0] in ("stop", "restart", "try-restart"):
        stop()
    if words[0] in ("start", "restart") or (words[0] == "try-restart" and was):
        start()
if words == ["start", "chopmark-recover.service"]:
    with open({report!r}, "wb") as out:
        done = subprocess.run([sys.executable, "-m", "chopmark.cli.main", "--json", "--config",
            config, "recover", "--patience", "3"], env={environment!r},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    sys.exit(done.returncode)
"""


@dataclass
class AdminBox:
    """One box under `folder`; `service` is the running chopmark-admin."""

    folder: Path
    console: str = field(default_factory=lambda: str(os.geteuid()))
    program: Sequence[str] = (sys.executable, "-m", "chopmark.admin.main")
    service: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.config = self.folder / "etc" / "gateway.toml"
        self.state = self.folder / "state"
        self.own = self.folder / "admin"
        self.api = self.folder / "api.sock"
        self.socket = self.folder / "admin.sock"
        self.pins = self.folder / "credentials"
        self.config.parent.mkdir(parents=True)
        self._write_settings()
        self._write_control()

    @cached_property
    def token(self) -> SoftToken:
        """Its token, made when it is first needed: many tests need none."""
        return provision_token(self.folder / "hsm", "hk-1")

    def environment(self) -> dict[str, str]:
        lent = {"CREDENTIALS_DIRECTORY": str(self.pins)}
        return {**os.environ, **self.token_environment, **lent}

    @property
    def token_environment(self) -> dict[str, str]:
        """Where the token will be."""
        return {"SOFTHSM2_CONF": str(self.folder.absolute() / "hsm" / "softhsm2.conf")}

    def _write_settings(self) -> None:
        values: dict[str, Any] = {
            "console": self.console,
            "daemon": str(os.geteuid()),
            "config": str(self.config),
            "state": str(self.state),
            "copies": str(self.folder / "copies"),
            "api": str(self.api),
            "metrics": "",
            "clock": "none",
            "credentials": str(self.pins),
            "broker": str(self.config.parent / "broker"),
            "folder": str(self.own),
            "runtime": str(self.folder / "run"),
            "python": sys.executable,
            "control": [str(self.folder / "control")],
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines += ["[modules]", f'softhsm = "{MODULE}"', "[environment]"]
        lines += [f'{key} = "{value}"' for key, value in self.token_environment.items()]
        (self.folder / "admin.toml").write_text("\n".join(lines) + "\n")

    def _write_control(self) -> None:
        path = self.folder / "control"
        text = CONTROL.format(
            python=sys.executable,
            folder=str(self.folder),
            config=str(self.config),
            environment=self.environment(),
            report=str(self.folder / "run" / "recover.json"),
        )
        path.write_text(text)
        path.chmod(0o755)

    def adopt(self, config: Path, state: Path) -> Self:
        """Look after a gateway that somebody else runs."""
        self.config, self.state = config, state
        self._write_settings()
        return self

    def start(self) -> Self:
        """Start the service, and wait until it answers."""
        settings = ("--settings", str(self.folder / "admin.toml"), "--socket", str(self.socket))
        with (self.folder / "admin.log").open("ab") as log:
            self.service = subprocess.Popen([*self.program, *settings], stdout=log, stderr=log)
        self.wait_for(self._accepts, "the service to listen")
        return self

    def start_dying(self) -> None:
        """Start a service that ends by itself before it answers."""
        with pytest.raises(AssertionError):
            self.start()
        self.service = None

    def kill(self) -> None:
        """SIGKILL the service."""
        if self.service is not None:
            self.service.kill()
            self.service.wait(PATIENCE)
            self.service = None
        self.socket.unlink(missing_ok=True)

    def kill_daemon(self) -> None:
        """SIGKILL the daemon, if it runs."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "daemon.pid").read_text())
            os.kill(pid, signal.SIGKILL)
            self.wait_for(lambda: not _runs(pid), "the daemon to end")

    def programs(self) -> list[int]:
        """Programs that the service has begun, and that outlive its SIGKILL."""
        own = f"SOFTHSM2_CONF={self.token_environment['SOFTHSM2_CONF']}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                begun = re.search(rb"chopmark\.(cli|admin)\.", (folder / "cmdline").read_bytes())
                if begun and own in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def stop(self) -> int:
        """Stop the service in order."""
        service, self.service = self.service, None
        if service is None:
            return 0
        service.terminate()
        return service.wait(PATIENCE)

    def close(self) -> None:
        """Stop service and daemon."""
        self.stop()
        with suppress(OSError, ValueError):
            pid = int((self.folder / "daemon.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            self.wait_for(lambda: not _runs(pid), "the daemon to end")

    def ask(self, verb: str, **values: Any) -> Any:
        """What it answers."""
        return self.send(json.dumps({"verb": verb, **values}).encode() + b"\n")

    def send_or_dead(self, verb: str, **values: Any) -> Any:
        """What it answers, or None if it is killed over it."""
        answer = self.ask(verb, **values)
        if answer is None and self.service is not None:
            assert self.service.wait(PATIENCE) == -signal.SIGKILL
        return answer

    def do(self, verb: str, **values: Any) -> Mapping[str, Any]:
        """The same, of what must be done."""
        answer = self.ask(verb, **values)
        assert "done" in answer, answer
        done: Mapping[str, Any] = answer["done"]
        return done

    def refused(self, verb: str, **values: Any) -> str:
        """The code of the refusal."""
        answer = self.ask(verb, **values)
        assert "error" in answer, answer
        return str(answer["error"]["code"])

    def send(self, data: bytes, *, seconds: float = PATIENCE) -> Any:
        """What it answers to these bytes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(self.socket))
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            said = b""
            with suppress(ConnectionResetError):
                while part := connection.recv(65_536):
                    said += part
        return json.loads(said) if said else None

    def init(self) -> None:
        """Set the gateway up by the service."""
        self.do("pin-put", pin=self.token.read_pin())
        self.do("gateway-init", **self.who())

    def who(self, **changes: Any) -> dict[str, Any]:
        """Values of `gateway-init`."""
        return {
            "member": "hk-1",
            "origin": "bank-hk.example/hk-1",
            "institution": "Bank of Hong Kong (example)",
            "jurisdiction": "HK",
            "module": "softhsm",
            "token_label": "hk-1",
            "broker": ["127.0.0.1", free_port()],
            **changes,
        }

    def controlled(self) -> list[tuple[list[str], str]]:
        """What the stand-in for systemctl was told, with the digest of the configuration then."""
        path = self.folder / "control.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def is_up(self) -> bool:
        """Whether the daemon answers."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.api)) == 0

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            log = self.folder / "admin.log"
            assert time.monotonic() < deadline, f"waited in vain for {what}\n{log.read_text()}"
            time.sleep(0.02)

    def _accepts(self) -> bool:
        if self.service is not None and self.service.poll() is not None:
            raise AssertionError((self.folder / "admin.log").read_text())
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

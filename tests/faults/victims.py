"""Starts and watches victims (`writer.py`), and keeps outside of them what they answered."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from oracle import Answer, Heads, check_gateway

from chopmark.ledger.store import read_keys
from rig.broker import Broker
from rig.gateway import HONG_KONG, Gateway
from rig.patience import PATIENCE
from rig.unixsocket import is_listening

_WRITER = Path(__file__).with_name("writer.py")
_ROOT = _WRITER.parents[2]
"""Seconds after which a victim that says nothing counts as hung."""
COPY = Path("replica") / "copy.db"


@dataclass(frozen=True, slots=True)
class Box:
    """The folder of a gateway: configuration, token and state."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def copy_to(self, folder: Path) -> "Box":
        """The same gateway, as it is now, in another place."""
        shutil.copytree(self.folder, folder)
        for name in ("gateway.toml", "hsm/softhsm2.conf"):
            path = folder / name
            path.write_text(path.read_text().replace(str(self.folder), str(folder)))
        return Box(folder)

    def mend_token(self, backup: "Box") -> bool:
        """Bring a token back that SoftHSM broke; whether that was needed.

        SoftHSM truncates `token.object` at each login and writes it anew, with no copy: a kill
        or an error between the two leaves an empty file, and the token is gone.
        """
        broken = [path for path in self.folder.glob("hsm/tokens/*/*.object") if _is_empty(path)]
        for path in broken:
            original = backup.folder / path.relative_to(self.folder)
            if original.exists():
                shutil.copy(original, path)
            else:  # a head mark that was being made; the one before it is still there
                path.unlink()
        return bool(broken)

    def job(self, **more: Any) -> dict[str, Any]:
        hsm = self.folder / "hsm"
        conf, credentials = str(hsm / "softhsm2.conf"), str(hsm)
        environment = {"SOFTHSM2_CONF": conf, "CREDENTIALS_DIRECTORY": credentials}
        job = {"config": str(self.folder / "gateway.toml"), "environment": environment}
        standard = {"seed": "s", "commits": 1, "each": 6, "replicate": True, "target": None}
        return job | standard | {"bug": None} | more


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def make_box(folder: Path) -> Box:
    """A gateway that was initialised, and never started."""
    with Broker(folder / "broker") as broker:  # only its address is needed
        return Box(Gateway(folder / "gateway", HONG_KONG, broker).folder)


@dataclass
class Ledger:
    """What victims on one ledger have answered, and the heads they showed."""

    box: Box
    answers: list[Answer] = field(default_factory=list)
    heads: Heads = field(init=False)
    checked: int = 0
    """How many of the answers the last whole check has compared; others begin there."""

    def __post_init__(self) -> None:
        self.heads = Heads(read_keys(self.box.state / "log.db")[0])

    def hear(self, said: dict[str, Any]) -> None:
        if "says" in said:
            says = [bytes.fromhex(s) if isinstance(s, str) else tuple(s) for s in said["says"]]
            indexed = enumerate(says, said["start"])
            self.answers += [Answer(index, one, said["signed"]) for index, one in indexed]
        elif "proof" in said:
            self.heads.add_proof(said["proof"].encode())

    def check(self, *, restarted: bool = True, whole: bool = True) -> list[str]:
        """What is wrong; all answers are compared where the check is a whole one."""
        copy = self.box.state / COPY
        replicas = [copy] if copy.exists() else []
        answers = self.answers if whole else self.answers[self.checked :]
        how = {"restarted": restarted, "whole": whole}
        faults = check_gateway(self.box.state, answers, self.heads, replicas, **how)
        if whole:
            self.checked = len(self.answers)
        return faults


class Victim:
    """One running child; its lines are to be read by one thread."""

    def __init__(self, path: Path, job: dict[str, Any], patience: float) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.settimeout(patience)
        self._line.connect(str(path))
        self._line.sendall(json.dumps(job).encode() + b"\n")
        self._lines = self._line.makefile("rb")
        self.pid = int(self._next_said()["pid"])
        self.end = "killed"
        """How it ended: `done`, `failed` (an error of ours), `crashed`, `hung`, or `killed`."""
        self.told: object = None
        self.refused: list[str] = []

    def _next_said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._lines.readline())
        return said

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends."""
        try:
            for line in self._lines:
                if not line.endswith(b"\n"):
                    break  # killed while it spoke
                said = json.loads(line)
                self._remember(said)
                yield said
        except TimeoutError:
            self.end = "hung"
            self.kill()
        finally:
            self._lines.close()
            self._line.close()

    def go_on(self) -> None:
        """Let the thread run that waits."""
        self._line.sendall(b"g")

    def kill(self) -> None:
        """SIGKILL; harmless if it has ended."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _remember(self, said: dict[str, Any]) -> None:
        for end in ("done", "failed", "crashed"):
            if end in said:
                self.end, self.told = end, said[end]
        if "refused" in said:
            self.refused.append(said["refused"])


class Nursery:
    """The process that victims are forked from; a context manager.

    Attributes:
        patience: seconds without a word, after which a victim counts as hung.
    """

    def __init__(self, folder: Path) -> None:
        self.patience = PATIENCE
        self._socket = folder / "w.sock"
        self._log = folder / "writer.log"
        path = os.pathsep.join(str(_ROOT / part) for part in ("daemon", "demo", "tests"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(_WRITER), str(self._socket)],
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        wait_for(lambda: is_listening(self._socket) or self._process.poll() is not None)
        if self._process.poll() is not None:
            raise RuntimeError(self._log.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def start(self, box: Box, **job: Any) -> Victim:
        return Victim(self._socket, box.job(**job), self.patience)

    def run(self, ledger: Ledger, **job: Any) -> Victim:
        """Run a victim to its end, and keep its answers."""
        victim = self.start(ledger.box, **job)
        for said in victim.lines():
            ledger.hear(said)
        return victim

    def recover(self, ledger: Ledger, **job: Any) -> list[str]:
        """Start again after a fault; gives what is wrong then."""
        victim = self.run(ledger, seed="again", commits=1, **job)
        if victim.end != "done":
            return [f"it does not come back: {victim.end}: {victim.told}"]
        return ledger.check()


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.01)

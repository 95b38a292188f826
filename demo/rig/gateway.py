"""A real gateway: its own token, ledger, socket and port under one folder, and its daemon."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx

from chopmark.client.unix_socket import UnixTransport
from rig.authority import Authority
from rig.broker import Broker, free_port
from rig.patience import PATIENCE
from rig.token import Token, provision_token

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""httpx would read all authorities for each client, which takes longer than to ask and answer."""


class GatewayFailedError(RuntimeError):
    """A gateway did not do what it was started for; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who a gateway is."""

    id: str
    origin: str
    institution: str
    jurisdiction: str


SHENZHEN: Final = Who("sz-1", "bank-sz.example/sz-1", "Bank of Shenzhen (example)", "CN")
HONG_KONG: Final = Who("hk-1", "bank-hk.example/hk-1", "Bank of Hong Kong (example)", "HK")
MACAO: Final = Who("mo-1", "bank-mo.example/mo-1", "Bank of Macao (example)", "MO")
MEMBERS: Final = (SHENZHEN, HONG_KONG, MACAO)


class Gateway:
    """One gateway under `folder`, initialised by the command that operators use.

    All methods block; in an event loop call them through `asyncio.to_thread`. `program` is the
    command of its daemon, for those who start it in another way. `rule` is the witness rule: most
    that need a gateway need no quorum. Its `token` is one of SoftHSM unless another is given, which
    may need another type of `cosigner` key. It signs `alone`, without a peer's word after a start,
    unless that is what a test or the demo is about.
    """

    def __init__(
        self,
        folder: Path,
        who: Who,
        broker: Broker,
        rule: str = "none",
        *,
        alone: bool = True,
        token: Token | None = None,
        cosigner: str = "ed25519",
    ) -> None:
        self.who = who
        self.folder = folder
        self.config = folder / "gateway.toml"
        self.socket = folder / "api.sock"
        self.state = folder / "state"
        self.log = folder / "gateway.log"
        self.port = free_port()
        self.metrics_port = free_port()
        self.tls_port = 0
        self.page_port = 0
        self.program: Sequence[str] = (sys.executable, "-m", "chopmark.service.main")
        self.variables: dict[str, str] = {}  # more of its daemon's environment
        self.listener: socket.socket | None = None  # handed to its daemon, as systemd does
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self.token = token or provision_token(folder / "hsm", who.id)
        self._initialise(broker, cosigner)
        text = self.config.read_text()
        self.config.write_text(text.replace('rule = "jurisdictions"', f'rule = "{rule}"'))
        self.sign_alone(alone=alone)

    @property
    def address(self) -> str:
        """What `--gateway` takes."""
        return f"unix:{self.socket}"

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        if self._process is None:
            raise GatewayFailedError(f"{self.who.id} does not run")
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """The environment of its programs; no secret is in it, only where secrets lie."""
        return {
            **os.environ,
            **self.token.environment,
            "CREDENTIALS_DIRECTORY": str(self.token.credentials),
            "CHOPMARK_CONFIG": str(self.config),
            "CHOPMARK_GATEWAY": self.address,
        }

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `chopmark` as somebody at this gateway."""
        command = [sys.executable, "-m", "chopmark.cli.main", *arguments]
        done = subprocess.run(
            command,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if check and done.returncode != 0:
            message = f"chopmark {' '.join(arguments)} at {self.who.id}: exit {done.returncode}"
            raise GatewayFailedError(f"{message}\n{done.stdout}{done.stderr}")
        return done

    def export(self) -> str:
        """The block by which others pin it."""
        return self.cli("peers", "export").stdout

    def add_peers(self, others: Sequence["Gateway"]) -> None:
        """Pin others by the blocks that they export."""
        self.pin(other.export() for other in others)

    def pin(self, blocks: Iterable[str]) -> None:
        """Pin others by these blocks."""
        with self.config.open("a") as file:
            file.write("\n" + "\n".join(blocks))

    def sign_alone(self, *, alone: bool) -> None:
        """Whether it signs without a peer's word after a start; read at the next one."""
        text = self.config.read_text()
        changed = re.sub(r"(?m)^alone = (true|false)$", f"alone = {str(alone).lower()}", text)
        self.config.write_text(changed)

    def serve_tls(self, authority: Authority, *more: str) -> None:
        """Have it listen for TLS too, from its next start on; `more` stands behind `[api.tls]`."""
        pair = authority.issue("localhost", file=f"{self.who.id}-api")
        self.tls_port = free_port()
        values = {
            "listen": f"127.0.0.1:{self.tls_port}",
            "certificate": pair.certificate,
            "key": pair.key,
            "client_ca": authority.path,
            "crl": authority.revoke(),
        }
        lines = [f'{key} = "{value}"' for key, value in values.items()]
        with self.config.open("a") as file:
            file.write("\n".join(["", "[api.tls]", *lines, *more, ""]))

    def serve_page(self, authority: Authority, *more: str) -> None:
        """Have it serve the page too, from its next start on; `more` stands in `[api.page]`."""
        pair = authority.issue("localhost", file=f"{self.who.id}-page")
        self.page_port = free_port()
        values = {
            "listen": f"127.0.0.1:{self.page_port}",
            "certificate": pair.certificate,
            "key": pair.key,
        }
        lines = [f'{key} = "{value}"' for key, value in values.items()]
        with self.config.open("a") as file:
            file.write("\n".join(["", "[api.page]", *lines, *more, ""]))

    def start(self) -> Self:
        """Start the daemon and wait until it is ready, and listens wherever it is to."""
        self.launch()
        self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        """Wait until it is ready, and listens wherever it is to: each door opens by itself."""
        self.wait_for(self.is_ready, "to be ready")
        self.wait_for(self._listens, "to listen at all its ports")

    def launch(self) -> None:
        """Start the daemon."""
        passed = () if self.listener is None else (self.listener.fileno(),)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_handing_over(passed), *self.program, "--config", str(self.config)],
                env=self.environment() | self.variables,
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the one who started us to handle
            )

    def stop(self) -> int:
        """Stop the daemon in order; gives its exit code. Harmless if it does not run."""
        return self._end(signal.SIGTERM)

    def signal_reload(self) -> None:
        """SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def is_ready(self) -> bool:
        """Whether it says that it is ready; an error if it has ended."""
        return self._is_good("/readyz")

    def is_answering(self) -> bool:
        """Whether it answers, ready or not; an error if it has ended."""
        return self._is_good("/healthz")

    def _is_good(self, path: str) -> bool:
        self._must_run()
        try:
            with self.client() as client:
                return client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def _listens(self) -> bool:
        """Whether somebody listens at each of its ports; the kernel is asked, so none is called."""
        self._must_run()
        found = set()
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == "0A":
                    found.add(int(local.rpartition(":")[2], 16))
        return self._ports() <= found

    def _ports(self) -> set[int]:
        """What its configuration says."""
        config = tomllib.loads(self.config.read_text())
        api = config.get("api", {})
        parts = [config.get("metrics", {}), api, api.get("tls", {}), api.get("page", {})]
        listed = [part["listen"] for part in parts if part.get("listen")]
        return {int(one.rpartition(":")[2]) for one in listed}

    def _must_run(self, why: str = "") -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            tail = self.log.read_text()[-3000:]
            raise GatewayFailedError(f"{self.who.id} ended with {code} {why}\n{tail}")

    def client(self) -> httpx.Client:
        """An HTTP client on its socket."""
        transport = UnixTransport(NO_TLS, str(self.socket))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE)

    def get(self, path: str) -> Any:
        """JSON of a GET; an error with its log if the daemon has ended."""
        try:
            with self.client() as client:
                return client.get(path).raise_for_status().json()
        except httpx.TransportError as error:
            self._must_run(str(error))
            raise

    def metrics(self) -> str:
        """What it shows to Prometheus."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        return httpx.get(url, verify=NO_TLS, timeout=PATIENCE).raise_for_status().text

    def peer(self, other: "Gateway") -> dict[str, Any]:
        """What it knows of another one."""
        peers: list[dict[str, Any]] = self.get("/v1/peers")
        return next(peer for peer in peers if peer["id"] == other.who.id)

    def wait_for_head(self, other: "Gateway", size: int) -> None:
        """Wait until its replica of another one's log has reached a size."""
        self.wait_for(lambda: self.peer(other)["head_size"] >= size, f"to have {size} entries")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                tail = self.log.read_text()[-3000:]
                raise GatewayFailedError(f"waited in vain for {self.who.id} {what}\n{tail}")
            time.sleep(0.05)

    def _initialise(self, broker: Broker, cosigner: str) -> None:
        who = self.who
        options = {
            "--config": self.config,
            "--id": who.id,
            "--origin": who.origin,
            "--institution": who.institution,
            "--jurisdiction": who.jurisdiction,
            "--module": self.token.module,
            "--token-label": self.token.label,
            "--cosigner-key": cosigner,
            "--state": self.state,
            "--socket": self.socket,
            "--listen": f"127.0.0.1:{self.port}",
            "--metrics": f"127.0.0.1:{self.metrics_port}",
            "--broker": f"{broker.host}:{broker.port}",
            "--clock": "none",  # many machines that run this have no time daemon
        }
        self.cli("init", *(str(word) for pair in options.items() for word in pair))

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _handing_over(passed: Sequence[int]) -> list[str]:
    """What stands before a program that gets descriptors as sd_listen_fds(3) wants them: from 3."""
    if not passed:
        return []
    code = """
import os, sys
for number, one in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(one, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv[1].split(",")))}
os.execv(sys.argv[2], sys.argv[2:])
"""
    return [sys.executable, "-c", code, ",".join(map(str, passed))]


class Cluster:
    """A broker and gateways that know each other, under one folder.

    With `peers=False` their configuration names no peers: a roster must say who they are.
    """

    def __init__(
        self,
        folder: Path,
        members: Sequence[Who] = MEMBERS,
        rule: str = "none",
        *,
        peers: bool = True,
        alone: bool = True,
    ) -> None:
        self.broker = Broker(folder / "broker")
        try:
            self.gateways = {
                who.id: Gateway(folder / who.id, who, self.broker, rule, alone=alone)
                for who in members
            }
            if peers:
                self._acquaint()
        except BaseException:
            self.broker.stop()  # else it would go on for ever
            raise

    def _acquaint(self) -> None:
        blocks = {name: gateway.export() for name, gateway in self.gateways.items()}
        for name, gateway in self.gateways.items():
            gateway.pin(block for other, block in blocks.items() if other != name)

    def __getitem__(self, member: str) -> Gateway:
        return self.gateways[member]

    def start(self) -> Self:
        """Start all daemons at once, and wait until each is up."""
        for gateway in self.gateways.values():
            gateway.launch()
        for gateway in self.gateways.values():
            gateway.wait_until_up()
        return self

    def stop(self) -> None:
        """Stop everything."""
        for gateway in self.gateways.values():
            gateway.stop()
        self.broker.stop()

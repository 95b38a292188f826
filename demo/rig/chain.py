"""A real EVM node on loopback: anvil, of the npm packages of `anchor/`.

It is no FISCO BCOS node: see `rig.standin` for what is imposed on it, and docs/operations/anchor.md
for what was never tried on the chain itself.
"""

import json
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any, Final, Self

import httpx

from rig.broker import free_port
from rig.patience import PATIENCE

CHAIN_ID: Final = 20_200
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""httpx would read all authorities for each call."""
PACKAGES: Final = Path(__file__).parents[2] / "anchor" / "node_modules"
START: Final = 1_767_225_600_000
"""Time of the first block, in milliseconds: within contracts FISCO BCOS counts in these, unless it
was told otherwise."""


class ChainFailedError(RuntimeError):
    """The node did not do what it was started for; the message ends with its log."""


def find_anvil() -> Path:
    """The program.

    Raises:
        ChainFailedError: it is not installed.
    """
    found = sorted((PACKAGES / "@foundry-rs").glob("anvil-*/bin/anvil"))
    if not found:
        raise ChainFailedError(f"no anvil in {PACKAGES}: `./setup.sh` installs it")
    return found[0]


class Anvil:
    """A node under `folder`. All methods block.

    What is on its chain outlives it, unless it is not to `last`: it is written down at a stop in
    order and each second, which takes long once there are thousands of blocks.
    """

    def __init__(self, folder: Path, *, last: bool = True) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "anvil.log"
        self._state = folder / "chain.json"
        self._kept = folder / "kept.json"
        self._last = last
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        command = [
            *(str(find_anvil()), "--host", "127.0.0.1", "--port", str(self.port)),
            *("--chain-id", str(CHAIN_ID), "--gas-price", "0", "--base-fee", "0"),
            *("--timestamp", str(START), "--gas-limit", "3000000000", "--silent"),
            *(self._lasting() if self._last else ()),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ChainFailedError(f"anvil did not start\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def call(self, method: str, *params: object) -> Any:
        """One call; gives its result."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(self.url, json=asked, timeout=PATIENCE, verify=NO_TLS).json()
        if "error" in answer:
            raise ChainFailedError(json.dumps(answer["error"]))
        return answer["result"]

    def mine(self, count: int) -> None:
        """Make empty blocks."""
        self.call("anvil_mine", hex(count))

    def stop(self) -> None:
        """End it in order, so that its chain is written down. Harmless if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def keep(self) -> None:
        """Copy what it has written down of its chain, for `put_back`; nothing while it writes."""
        if _is_whole(self._state):
            copy = self._kept.with_suffix(".new")
            copy.write_bytes(self._state.read_bytes())
            if _is_whole(copy):
                copy.replace(self._kept)

    def kill(self, *, put_back: bool = False) -> None:
        """Kill it as a lost machine would be: of its chain is left what it had written down.

        Args:
            put_back: what was kept is left, some blocks older; as after a kill amid writing.
        """
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if put_back or not _is_whole(self._state):
            self._state.write_bytes(self._kept.read_bytes())

    def _lasting(self) -> tuple[str, ...]:
        kept = ("--state", str(self._state), "--state-interval", "1")
        return (*kept, "--preserve-historical-states")

    def _answers(self) -> bool:
        try:
            return bool(self.call("eth_chainId"))
        except httpx.HTTPError:
            return False


def _is_whole(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return False

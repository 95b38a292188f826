"""What `chopmark doctor` finds about the chain of `[anchor]`, with a real EVM node.

What no such node answers is answered by a STAND-IN, an HTTP server with one fixed answer.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import configs
from chains import Stage, set_stage
from chopmark.anchor.software import create_key_file
from chopmark.service.checks.chain import check_chain
from chopmark.service.checks.finding import Scene
from chopmark.service.config import load_config
from rig.broker import free_port
from rig.chain import PACKAGES, Anvil

pytestmark = pytest.mark.skipif(not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh`")
ACCOUNT = "0x" + "ab" * 20


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    node = Anvil(tmp_path_factory.mktemp("chain")).start()
    try:
        yield set_stage(node, None)
    finally:
        node.stop()


@pytest.fixture
def found(tmp_path: Path, stage: Stage) -> Any:
    """Codes that the check finds with these words of `[anchor]`."""

    def look(status: Mapping[str, Any] | None = None, **words: object) -> list[str]:
        usual = {"endpoints": [stage.url], "contract": stage.place.contract}
        lines = [f"{key} = {json.dumps(value)}" for key, value in {**usual, **words}.items()]
        path = tmp_path / "gateway.toml"
        path.write_text(configs.BASE + "\n".join(["[anchor]", *lines, ""]))
        scene = Scene(path, load_config(path), 0, status, locked=False, uid=os.geteuid())
        return [one.code for one in check_chain(scene)]

    return look


@pytest.fixture
def answering() -> Iterator[Any]:
    """Starts a STAND-IN that gives all who ask one answer; gives its address."""
    servers = []

    def start(answer: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_good_chain_has_no_finding(found: Any) -> None:
    assert found() == []


def test_another_chain_and_another_contract_are_told(found: Any) -> None:
    assert found(chain_id=1) == ["other-chain"]
    assert found(contract=ACCOUNT) == ["other-contract"]


def test_each_node_that_cannot_be_used_is_told(found: Any, stage: Stage, answering: Any) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    assert found(endpoints=[stage.url, away]) == ["node-away"]
    assert found(endpoints=[answering(b"<html>hello</html>")]) == ["malformed-answer"]
    error = {"code": -32601, "message": "the method does not exist"}
    refusing = json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
    assert found(endpoints=[answering(refusing)]) == ["rpc-refused"]


def test_node_elsewhere_without_tls_is_told(found: Any) -> None:
    # RFC 6761: no name ends in `.invalid`, so that nobody is asked.
    assert found(endpoints=["http://node.invalid:8545"]) == ["anchor-plain", "node-away"]


def test_first_block_that_the_chain_has_not_reached_is_told(found: Any, stage: Stage) -> None:
    height = int(stage.node.call("eth_blockNumber"), 16)
    assert found(first_block=height) == []
    assert found(first_block=height + 1000) == ["anchor-first-block"]


def test_key_file_that_is_missing_or_open_to_others_is_told(found: Any, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    assert found(key="file", key_file=str(path)) == ["bad-key-file"]
    create_key_file(path)
    assert found(key="file", key_file=str(path)) == []
    path.chmod(0o644)
    assert found(key="file", key_file=str(path)) == ["bad-key-file"]


def test_account_that_is_missing_or_unknown_to_the_members_is_told(found: Any) -> None:
    def own(account: str | None, *, listed: bool) -> dict[str, Any]:
        return {"anchor": {"own": {"account": account, "listed": listed}}}

    assert found(own(None, listed=False)) == ["anchor-no-key"]
    assert found(own(ACCOUNT, listed=False)) == ["anchor-unlisted"]
    assert found(own(ACCOUNT, listed=True)) == []

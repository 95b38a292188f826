"""Users of the unix socket, real ones, who the kernel says they are."""

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver import SHA, running
from chopmark.api.identity import Callers, Grant, Grants
from fakegateway import FakeGateway

NOBODY, GROUP = 65_534, 60_001
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
body = sys.argv[3].encode()
head = "POST %s HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
s.sendall((head % (sys.argv[2], len(body))).encode() + body)
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
"""
BODY = json.dumps({"digests": {"sha256": SHA}})
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def path() -> Iterator[Path]:
    """Of a socket where everybody may go."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "api.sock"


async def ask(path: Path, route: str, user: int = NOBODY, *groups: int) -> tuple[int, Any]:
    def run() -> bytes:
        path.chmod(0o666)
        command = ["/usr/bin/python3", "-I", "-c", ASK, str(path), route, BODY]
        who: dict[str, Any] = {"user": user, "group": user, "extra_groups": groups, "cwd": "/"}
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, **who).stdout

    head, _, body = (await asyncio.to_thread(run)).partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)


async def test_user_may_do_what_its_block_says(path: Path) -> None:
    callers = Callers(Grants({NOBODY: Grant(frozenset({"verifier"}))}))
    async with running(FakeGateway(), path, None, callers=callers):
        assert (await ask(path, "/v1/verifications"))[0] == 200
        status, refused = await ask(path, "/v1/attestations")
        assert (status, refused["code"]) == (403, "role-missing")
        assert f"uid {NOBODY}" in refused["detail"]
        assert (await ask(path, "/v1/attestations", 0))[0] == 201


async def test_user_may_do_what_the_block_of_a_group_says(path: Path) -> None:
    callers = Callers(Grants({}, ((GROUP, Grant(frozenset({"issuer"}))),)))
    async with running(FakeGateway(), path, None, callers=callers):
        status, refused = await ask(path, "/v1/attestations")
        assert (status, refused["code"]) == (403, "unknown-client")
        assert (await ask(path, "/v1/attestations", NOBODY, GROUP))[0] == 201
        assert (await ask(path, "/v1/verifications", NOBODY, 7, GROUP))[0] == 403

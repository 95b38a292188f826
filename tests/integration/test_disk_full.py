"""A disk that fills up: attesting stops with a clear answer, everything else goes on."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import attest, attest_many, some_document, verify

from rig.gateway import HONG_KONG, Cluster, Gateway

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("m")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(gateway: Gateway) -> str:
    """Attest until that is refused; gives the code of the refusal."""
    lines = b"".join(b'{"sha256":"%s"}\n' % os.urandom(32).hex().encode() for _ in range(10_000))
    for _ in range(40):
        with gateway.client() as client:
            answer = client.post("/v1/attestations:batch?wait=5", content=lines)
        last = json.loads(answer.text.splitlines()[-1])
        if "error" in last:
            code: str = last["error"]["code"]
            return code
    return "never full"


def test_full_disk_stops_attesting_and_nothing_else(small_disk: Path) -> None:
    cluster = Cluster(small_disk / "c", (HONG_KONG,))
    gateway = cluster["hk-1"]
    ballast = small_disk / "ballast"
    try:
        cluster.start()
        document = some_document("before the disk was full")
        attest(gateway, document)
        ballast.write_bytes(bytes(2 << 20))
        assert fill(gateway) == "not-recorded"
        assert verify(gateway, document)["verdict"] == "valid"
        ballast.unlink()
        assert len(attest_many(gateway, 10)) == 10
        assert gateway.cli("fsck").returncode == 0
    finally:
        cluster.stop()

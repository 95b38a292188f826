"""A disk that is full: what needs room is refused, all else goes on, and it heals by itself."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from asking import Client
from mounts import fill_up, mounted, needs
from oracle import check_gateway

from rig.gateway import HONG_KONG, SHENZHEN, Cluster

pytestmark = [needs("mount"), pytest.mark.timeout(900)]

BALLAST: Final = 24 << 20
"""Bytes that somebody else has on the disk, and frees later."""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that do not run yet."""
    made = Cluster(tmp_path_factory.mktemp("d"), (HONG_KONG, SHENZHEN))
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def small(folder: Path, size: str) -> Iterator[Path]:
    """Put what is in a folder on a small disk of its own."""
    folder.mkdir(exist_ok=True)
    aside = folder.with_name(f"{folder.name}-aside")
    shutil.copytree(folder, aside)
    with mounted("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder):
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield folder


def fill(client: Client, disk: Path) -> None:
    """Attest until that is refused, with a clear answer, though something else fills the rest."""
    for more in (False, True):
        while not (errors := client.attest_many(5000)):
            pass
        assert {error["code"] for error in errors} <= {"not-recorded", "storage-full"}
        if not more:
            fill_up(disk / "rest")
    gateway = client.gateway

    def says_so() -> bool:
        status = gateway.get("/v1/status")
        return status["state"] == "degraded" and any("disk" in one for one in status["reasons"])

    gateway.wait_for(says_so, "to say so")


def check_healing(client: Client) -> None:
    """Issuing goes on by itself, and what was refused is not in the ledger."""
    gateway = client.gateway
    gateway.wait_for(lambda: client.attest().status_code == 201, "to issue again")
    gateway.wait_for(gateway.is_ready, "to be ready")
    assert gateway.get("/v1/status")["head"]["size"] == len(client.answers)


def test_issuer_with_a_full_disk_refuses_and_keeps_every_answer(cluster: Cluster) -> None:
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    with small(hong_kong.state, "32m") as disk:
        try:
            cluster.start()
            client = Client(hong_kong)
            client.attest(first := bytes(32))
            (disk / "ballast").write_bytes(bytes(BALLAST))
            fill(client, disk)
            assert client.verify(first) == "valid"
            receiver = Client(shenzhen)
            shenzhen.wait_for(lambda: receiver.verify(first) == "valid", "to hear of a full issuer")
            (disk / "ballast").unlink()
            check_healing(client)
            shenzhen.wait_for_head(hong_kong, len(client.answers))
            held = shenzhen.state / "replica" / "hk-1.db"
            assert check_gateway(hong_kong.state, client.answers, client.heads, [held]) == []
        finally:
            cluster.stop()


def test_gateway_killed_on_a_full_disk_starts_on_it(cluster: Cluster) -> None:
    hong_kong = cluster["hk-1"]
    with small(hong_kong.state, "32m") as disk:
        try:
            hong_kong.start()
            client = Client(hong_kong)
            client.attest(first := bytes(32))
            (disk / "ballast").write_bytes(bytes(BALLAST))
            fill(client, disk)
            hong_kong.kill()
            hong_kong.launch()
            hong_kong.wait_for(hong_kong.is_answering, "to answer")
            assert client.verify(first) == "valid"
            (disk / "ballast").unlink()
            check_healing(client)
            assert check_gateway(hong_kong.state, client.answers, client.heads) == []
        finally:
            cluster.stop()


def test_receiver_with_a_full_disk_does_not_stop_the_issuer_and_catches_up(
    cluster: Cluster,
) -> None:
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    with small(shenzhen.state, "12m") as disk:
        try:
            cluster.start()
            client = Client(hong_kong)
            client.attest(first := bytes(32))
            shenzhen.wait_for_head(hong_kong, 1)
            fill_up(disk / "ballast", keep=300_000)
            assert client.attest_many(30_000, wait=60) == []
            last = bytes([1]) * 32
            assert client.attest(last, wait=60).status_code == 201
            shenzhen.wait_for(lambda: shenzhen.peer(hong_kong)["missing"] > 0, "to be behind")
            assert shenzhen.peer(hong_kong)["head_size"] < 30_002
            assert Client(shenzhen).verify(first) in {"valid", "valid-as-of"}
            (disk / "ballast").unlink()
            shenzhen.wait_for_head(hong_kong, 30_002)
            receiver = Client(shenzhen)
            shenzhen.wait_for(lambda: receiver.verify(last) == "valid", "to hear a heartbeat")
            held = shenzhen.state / "replica" / "hk-1.db"
            assert check_gateway(hong_kong.state, client.answers, client.heads, [held]) == []
            assert check_gateway(shenzhen.state) == []
        finally:
            cluster.stop()

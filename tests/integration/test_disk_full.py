"""A disk that fills up: issuing stops with a clear answer, everything else goes on."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from documents import attest, attest_many, digests_of, some_document, verify

from rig.broker import Broker
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")


class Disk:
    """A small file system that a test fills and empties."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def part(self) -> float:
        """Part in use."""
        found = os.statvfs(self.folder)
        return 1 - found.f_bavail / found.f_blocks

    def fill(self, part: float) -> None:
        """Have so much of it in use."""
        self.empty()
        found = os.statvfs(self.folder)
        size = int(found.f_bavail - (1 - part) * found.f_blocks) * found.f_frsize
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def empty(self) -> None:
        """Take away what `fill` put there."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Disk]:
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with mounted(tmp_path_factory.mktemp("m"), 64) as made:
        yield made


@pytest.fixture
def gateway(disk: Disk) -> Iterator[Gateway]:
    """One gateway on the small disk."""
    cluster = Cluster(disk.folder / "c", (HONG_KONG,))
    try:
        yield cluster.start()["hk-1"]
    finally:
        cluster.stop()


def wait_for_state(gateway: Gateway, state: str) -> None:
    gateway.wait_for(
        lambda: gateway.get("/v1/status")["storage"]["state"] == state, f"to say {state}"
    )


def errors(gateway: Gateway) -> list[str]:
    """Codes of the lines at ERROR in its log."""
    return re.findall(
        r" ERROR chopmark.storage: .* code=([a-z-]+)$", gateway.log.read_text(), re.MULTILINE
    )


def metric(gateway: Gateway, name: str) -> float:
    text = gateway.metrics()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def post(gateway: Gateway, path: str, **body: Any) -> httpx.Response:
    with gateway.client() as client:
        return client.post(path, json=body)


def send_batch(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    lines = b"".join(b'{"sha256":"%s"}\n' % os.urandom(32).hex().encode() for _ in range(count))
    with gateway.client() as client:
        answer = client.post("/v1/attestations:batch", content=lines)
    return [json.loads(line) for line in answer.text.splitlines()]


def test_alarm_at_90_percent_and_issuing_goes_on(gateway: Gateway, disk: Disk) -> None:
    assert gateway.get("/v1/status")["storage"]["state"] == "ok"
    disk.fill(0.92)
    wait_for_state(gateway, "storage-alarm")
    attest(gateway, some_document("at 92 percent"))
    status = gateway.get("/v1/status")
    assert [alarm["code"] for alarm in status["alarms"]] == ["storage-alarm"]
    assert status["ready"]
    assert 0.9 < status["storage"]["used"] < 0.97
    assert metric(gateway, 'chopmark_alarm{code="storage-alarm"}') == 1
    shown = gateway.cli("status").stdout
    assert "ALARM the disk with " in shown
    assert "hint: free space there" in shown
    disk.fill(0.8)
    wait_for_state(gateway, "ok")
    assert gateway.get("/v1/status")["alarms"] == []
    assert errors(gateway) == ["storage-alarm"]


def test_issuing_stops_at_97_percent_and_comes_back_by_itself(
    gateway: Gateway, disk: Disk, tmp_path: Path
) -> None:
    document = some_document("before the disk was full")
    index = attest(gateway, document)["index"]
    disk.fill(0.976)
    wait_for_state(gateway, "storage-full")
    refused = post(gateway, "/v1/attestations", digests=digests_of(b"refused"))
    assert (refused.status_code, refused.json()["code"]) == (507, "storage-full")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "30"
    assert "enlarge" in refused.json()["hint"]
    assert post(gateway, "/v1/revocations", index=index, reason=1).status_code == 507
    faults = [answer["error"] for answer in send_batch(gateway, 10)]
    assert {fault["code"] for fault in faults} == {"storage-full"}
    assert [fault["line"] for fault in faults] == list(range(1, 11))
    assert "enlarge" in faults[0]["hint"]
    assert verify(gateway, document)["verdict"] == "valid"
    status = gateway.get("/v1/status")
    assert (status["state"], status["ready"], status["size"]) == ("degraded", False, index + 1)
    assert status["head"]["size"] == index + 1
    check_commands(gateway, tmp_path)
    disk.fill(0.8)
    wait_for_state(gateway, "ok")
    attest(gateway, some_document("after the disk was full"))
    gateway.wait_for(gateway.is_ready, "to be ready again")
    assert errors(gateway) == ["storage-alarm", "storage-full"]


def check_commands(gateway: Gateway, folder: Path) -> None:
    """One file and several: exit code 75, a hint, and no proof."""
    files = [folder / "a.pdf", folder / "b.pdf"]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)
    for chosen in (files[:1], files):
        done = gateway.cli("attest", *map(str, chosen), check=False)
        assert done.returncode == 75
        assert "hint: free space on the gateway's disk" in done.stderr
    assert sorted(folder.iterdir()) == files


def test_burst_stops_at_the_bound_and_not_at_the_next_look(disk: Disk) -> None:
    with mounted(disk.folder, 160) as larger:
        cluster = Cluster(larger.folder / "c", (HONG_KONG,))
        gateway = cluster["hk-1"]
        try:
            cluster.start()
            send_batch(gateway, 20_000)  # the write-ahead logs have their size
            larger.fill(0.85)
            wait_for_state(gateway, "ok")
            code = "never full"
            for _ in range(20):
                last = send_batch(gateway, 20_000)[-1]
                if "error" in last:
                    code = last["error"]["code"]
                    break
            assert code == "storage-full"
            assert larger.part < 0.985
            assert "database or disk is full" not in gateway.log.read_text()
            signed = gateway.get("/v1/status")
            assert signed["head"]["size"] == signed["size"]
        finally:
            cluster.stop()


def test_disk_that_is_really_full_records_nothing_and_loses_nothing(
    gateway: Gateway, disk: Disk
) -> None:
    document = some_document("before the disk was really full")
    attest(gateway, document)
    disk.fill(1.0)
    code = "never full"
    for _ in range(40):  # SQLite finds it, or the look at the disk does: the answer is the same
        last = send_batch(gateway, 10_000)[-1]
        if "error" in last:
            code = last["error"]["code"]
            break
    assert code == "storage-full"
    assert verify(gateway, document)["verdict"] == "valid"
    disk.empty()
    wait_for_state(gateway, "ok")
    assert len(attest_many(gateway, 10)) == 10
    assert gateway.cli("fsck").returncode == 0


def test_replicas_pause_before_the_disk_is_full_and_catch_up(disk: Disk, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        broker = Broker(tmp_path / "broker")
        stack.callback(broker.stop)
        issuer = Gateway(tmp_path / "hk", HONG_KONG, broker)
        receiver = Gateway(disk.folder / "sz", SHENZHEN, broker)
        for one, other in ((issuer, receiver), (receiver, issuer)):
            one.add_peers([other])
            stack.callback(one.stop)
        issuer.start()
        receiver.start()
        document = some_document("before the receiver's disk was full")
        attest(issuer, document)
        receiver.wait_for(lambda: verify(receiver, document)["verdict"] == "valid", "to have it")
        disk.fill(0.99)
        wait_for_state(receiver, "replicas-paused")
        attest_many(issuer, 1000)
        receiver.wait_for(lambda: receiver.peer(issuer)["missing"] == 1000, "to hear of more")
        receiver.wait_for(lambda: receiver.peer(issuer)["state"] == "waiting", "to wait")
        peer = receiver.peer(issuer)
        assert peer["size"] == 1
        assert "nearly full" in peer["reason"]
        assert verify(receiver, document)["verdict"] == "valid"
        disk.empty()
        receiver.wait_for_head(issuer, 1001)
        assert receiver.cli("fsck").returncode == 0

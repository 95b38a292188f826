"""What a real gateway does with bad messages on MQTT: counts, says so once, and goes on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import attest, some_document, verify

from chopmark.core.cbor import encode_cbor
from chopmark.core.package import parse_package
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

PREFIX = "chopmark/v1"
GARBAGE = (b"", b"\x00", b"garbage", b"\xff" * 1000, b"\xa0", encode_cbor({0: "x", 1: 2, 2: 3}))
TOPICS = (
    "hk-1/entries",
    "hk-1/checkpoint",
    "hk-1/cosignature/hk-1",
    "hk-1/status",
    "sz-1/request/hk-1",
    "sz-1/reply/hk-1",
    "sz-1/request/nobody",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("s"), (HONG_KONG, SHENZHEN))
    try:
        yield made.start()
    finally:
        made.stop()


def publish(cluster: Cluster, topic: str, payload: bytes, tmp_path: Path) -> None:
    """Publish as somebody who is no gateway, with Mosquitto's own client."""
    file = tmp_path / "payload"
    file.write_bytes(payload)
    where = ["-h", cluster.broker.host, "-p", str(cluster.broker.port)]
    command = ["mosquitto_pub", *where, "-V", "5", "-q", "1", "-t", f"{PREFIX}/{topic}"]
    subprocess.run([*command, "-f", str(file)], check=True, timeout=PATIENCE)


def dropped(receiver: Gateway, issuer: Gateway) -> int:
    count: int = receiver.peer(issuer)["counters"]["dropped"]
    return count


def attest_and_follow(cluster: Cluster, name: str) -> None:
    """The two still work: what is attested at one is valid at the other."""
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    document = some_document(name)
    made = attest(hong_kong, document)
    shenzhen.wait_for_head(hong_kong, made["index"] + 1)
    shenzhen.wait_for(lambda: shenzhen.peer(hong_kong)["as_of"] is not None, "as of")
    assert verify(shenzhen, document)["verdict"] == "valid"


def wait_for_state(receiver: Gateway, issuer: Gateway, *states: str) -> None:
    """What it asks about what it was told may be under way."""
    receiver.wait_for(lambda: receiver.peer(issuer)["state"] in states, f"to be {states}")


@pytest.mark.parametrize("topic", TOPICS)
def test_garbage_on_any_topic_is_dropped_and_the_gateway_goes_on(
    cluster: Cluster, tmp_path: Path, topic: str
) -> None:
    shenzhen = cluster["sz-1"]
    pid = shenzhen.pid
    for payload in GARBAGE:
        publish(cluster, topic, payload, tmp_path)
    attest_and_follow(cluster, f"garbage on {topic}")
    assert shenzhen.pid == pid
    wait_for_state(shenzhen, cluster["hk-1"], "following", "waiting")


def test_garbage_is_counted(cluster: Cluster, tmp_path: Path) -> None:
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    before = dropped(shenzhen, hong_kong)
    publish(cluster, "hk-1/entries", b"not a package", tmp_path)
    shenzhen.wait_for(lambda: dropped(shenzhen, hong_kong) > before, "to count")
    assert "dropped a message about bank-hk.example/hk-1" in shenzhen.log.read_text()


def test_package_with_one_flipped_bit_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    attest_and_follow(cluster, "before the flipped bit")
    size = shenzhen.peer(hong_kong)["head_size"]
    before = dropped(shenzhen, hong_kong)
    with hong_kong.client() as client:
        note = client.get("/v1/status").json()["head"]["note"].encode()
    # An entry that nobody attested, under a head that is really signed.
    forged = encode_cbor(
        {0: "bank-hk.example/hk-1", 1: 0, 2: b"\x00\x01x", 3: b"", 4: b"", 5: note}
    )
    assert parse_package(forged).start == 0
    late = encode_cbor(
        {0: "bank-hk.example/hk-1", 1: size, 2: b"\x00\x01x", 3: b"", 4: b"", 5: note}
    )
    for payload in (late, forged):
        publish(cluster, "hk-1/entries", payload, tmp_path)
    shenzhen.wait_for(lambda: dropped(shenzhen, hong_kong) > before, "to refuse")
    wait_for_state(shenzhen, hong_kong, "following")
    attest_and_follow(cluster, "after the flipped bit")
    assert shenzhen.cli("fsck").returncode == 0


def test_checkpoint_signed_by_another_key_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    hong_kong, shenzhen = cluster["hk-1"], cluster["sz-1"]
    before = dropped(shenzhen, hong_kong)
    with shenzhen.client() as client:
        note = client.get("/v1/status").json()["head"]["note"]
    forged = note.replace("bank-sz.example/sz-1", "bank-hk.example/hk-1").encode()
    publish(cluster, "hk-1/checkpoint", forged, tmp_path)
    shenzhen.wait_for(lambda: dropped(shenzhen, hong_kong) > before, "to refuse")
    attest_and_follow(cluster, "after a forged checkpoint")

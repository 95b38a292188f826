"""A member with a valid key that does everything wrong: named, bounded, and in nobody's way.

sz-1 is the attacker: a plain MQTT client with keys in software. hk-1 and mo-1 are real gateways.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from documents import attest, some_document, verify
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.mesh.messages import Status
from chopmark.service.config_text import render_peer
from ledgers import LOG, ORIGIN, Source, attestations, member
from mutations import flipped
from rig.gateway import HONG_KONG, MACAO, Cluster, Gateway
from rig.patience import PATIENCE
from softkeys import log_key, sign_head

PREFIX = "chopmark/v1"
MANY = 300
HELD = 40


class Attacker:
    """A client that says it is sz-1, and answers every question with rubbish."""

    def __init__(self, cluster: Cluster) -> None:
        self.log = Source(attestations(HELD + 60))
        self.asked = 0
        self.began = time.monotonic()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "sz-1", protocol=paho.MQTTv5)
        self._client.on_message = self._answer
        self._client.connect(cluster.broker.host, cluster.broker.port)
        self._client.loop_start()
        self._client.subscribe(f"{PREFIX}/sz-1/request/+", 1)

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(f"{PREFIX}/{topic}", payload, 1, retain).wait_for_publish(PATIENCE)

    def _answer(self, _client: Any, _data: Any, message: Any) -> None:
        self.asked += 1
        asker = message.topic.rpartition("/")[2]
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = message.properties.CorrelationData
        rubbish = (b"rubbish", flipped(self.log.package(HELD, HELD + 10), 4000))[self.asked % 2]
        topic = f"{PREFIX}/{asker}/reply/sz-1"
        self._client.publish(topic, rubbish, 1, properties=properties)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("b"), (HONG_KONG, MACAO))
    try:
        for gateway in made.gateways.values():
            with gateway.config.open("a") as file:
                file.write("\n" + render_peer(member()))
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def attacked(cluster: Cluster) -> Iterator[Attacker]:
    """After the attack: first it behaves, so that it is followed at all."""
    attacker = Attacker(cluster)
    try:
        attacker.say("sz-1/entries", attacker.log.package(0, HELD, HELD))
        for gateway in cluster.gateways.values():
            gateway.wait_for(lambda g=gateway: of_attacker(g)["head_size"] == HELD, "to follow")
        attack(attacker)
        yield attacker
    finally:
        attacker.close()


def attack(attacker: Attacker) -> None:
    log, origins = attacker.log, (ORIGIN, HONG_KONG.origin, MACAO.origin)
    thief = sign_head(log.head(), log_key(ORIGIN, 9))
    stranger = sign_head(Checkpoint(MACAO.origin, 5, b"r" * 32), LOG)
    replay, gap = log.package(0, HELD, HELD), log.package(HELD + 20, HELD + 30)
    bad = flipped(log.package(HELD, HELD + 10), 4000)
    sizes = Status(online=True, sizes=dict.fromkeys(origins, 2**40)).encode()
    for _ in range(MANY):
        attacker.say("sz-1/entries", replay)
        attacker.say("sz-1/entries", bad)
    for _ in range(5):
        attacker.say("sz-1/checkpoint", thief)
        attacker.say("sz-1/entries", gap)
        attacker.say("sz-1/entries", b"g" * 70_000)
        attacker.say("sz-1/status", sizes)
        attacker.say("sz-1/status", b"rubbish")
        attacker.say("sz-1/evidence", encode_cbor([b"rubbish"]))
        attacker.say("mo-1/cosignature/sz-1", stranger)
        attacker.say("mo-1/entries", replay)
        attacker.say("hk-1/request/sz-1", b"rubbish")
    attacker.say("sz-1/checkpoint", log.note())


def of_attacker(gateway: Gateway) -> dict[str, Any]:
    peers = gateway.get("/v1/peers")
    return next(peer for peer in peers if peer["id"] == "sz-1")


def blamed(gateway: Gateway) -> dict[tuple[str, str], float]:
    """Bad messages by member and cause, as the metrics say."""
    text = gateway.metrics()
    line = r'^chopmark_bad_messages_total\{code="([^"]+)",peer="([^"]+)"\} (\S+)$'
    found = re.findall(line, text, re.MULTILINE)
    return {(peer, cause): float(count) for cause, peer, count in found}


def test_honest_members_go_on_meanwhile(cluster: Cluster, attacked: Attacker) -> None:
    assert attacked
    hong_kong, macao = cluster["hk-1"], cluster["mo-1"]
    for issuer, receiver in ((hong_kong, macao), (macao, hong_kong)):
        document = some_document(f"by {issuer.who.id}")
        made = attest(issuer, document)
        receiver.wait_for_head(issuer, made["index"] + 1)
        receiver.wait_for(lambda r=receiver, i=issuer: bool(r.peer(i)["as_of"]), "as of")
        assert verify(receiver, document)["verdict"] == "valid"
        follows = lambda r=receiver, i=issuer: r.peer(i)["state"] == "following"  # noqa: E731
        receiver.wait_for(follows, "to follow")


@pytest.mark.parametrize(
    ("cause", "least"),
    [
        ("no-known-signature", 1),  # a head signed by another key: as many as were looked at
        ("bad-package", 1),
        ("malformed-cbor", 5),  # statuses and requests
        ("malformed-evidence", 1),
        ("bad-answer", 1),
        ("too-large", 5),
    ],
)
def test_what_was_wrong_is_counted_by_member_and_cause(
    cluster: Cluster, attacked: Attacker, cause: str, least: int
) -> None:
    assert attacked
    hong_kong = cluster["hk-1"]
    hong_kong.wait_for(
        lambda: blamed(hong_kong).get(("sz-1", cause), 0) >= least, f"to see {cause}"
    )


def test_replays_gaps_and_giants_are_counted_and_bring_nothing(
    cluster: Cluster, attacked: Attacker
) -> None:
    assert attacked
    hong_kong = cluster["hk-1"]

    def replays() -> int:
        counters = of_attacker(hong_kong)["counters"]
        return int(counters["duplicates"] + counters["repeated"])

    hong_kong.wait_for(lambda: replays() >= MANY / 2, "to count the replays")
    peer = of_attacker(hong_kong)
    assert peer["size"] == HELD
    assert peer["unverified"]["bytes"] <= peer["unverified"]["limit"]
    giants = r'broker_dropped_messages_total\{broker="[^"]+"\} [5-9]'
    hong_kong.wait_for(lambda: bool(re.search(giants, hong_kong.metrics())), "to count giants")


def test_floods_make_no_flood_of_lines(cluster: Cluster, attacked: Attacker) -> None:
    hong_kong = cluster["hk-1"]
    hong_kong.wait_for(lambda: attacked.asked > 3, "to ask the attacker")
    lines = [one for one in hong_kong.log.read_text().splitlines() if "from sz-1" in one]
    assert 1 <= len(lines) <= 3 + (time.monotonic() - attacked.began) / 60
    assert of_attacker(hong_kong)["state"] != "failed", "it forked nothing"


def test_nobody_is_convicted(cluster: Cluster, attacked: Attacker) -> None:
    assert attacked
    for gateway in cluster.gateways.values():
        assert gateway.get("/v1/evidence") == []
        assert gateway.cli("fsck", "--json").returncode == 0

"""Cut cables, one-way cables and cables that lose packets, between gateways and broker."""

import hashlib
from collections.abc import Iterator
from typing import Any

import bugs
import pytest
from clients import Load
from network import Network
from oracle import check_peer

from rig.gateway import HONG_KONG, SHENZHEN, Gateway, GatewayFailedError

pytestmark = pytest.mark.usefixtures("_namespaces")

BUSY = 250
"""Answers of each gateway while a cable is bad: a second or two of load."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("w"), (HONG_KONG, SHENZHEN)) as made:
        yield made


@pytest.fixture
def loads(network: Network) -> Iterator[list[Load]]:
    """Clients of both gateways; they reach them whatever the network does."""
    made = [Load(gateway, "network", local=True) for gateway in network.gateways.values()]
    try:
        for load in made:
            load.resume()
        yield made
    finally:
        network.spaces["sz-1"].mend()
        for load in made:
            load.stop()


def keep_busy(loads: list[Load]) -> None:
    """Wait until each gateway has answered so much more: it never waits for the network."""
    wanted = [len(load.answers) + BUSY for load in loads]
    for load, count in zip(loads, wanted, strict=True):
        load.gateway.wait_for(lambda load=load, count=count: len(load.answers) >= count, "to work")


def converge(loads: list[Load]) -> list[str]:
    """Stop the load; each must get all of the other, and both must be sound."""
    for load in loads:
        load.pause()
    faults: list[str] = []
    for load, other in zip(loads, reversed(loads), strict=True):
        load.settle()
        size = load.gateway.get("/v1/status")["head"]["size"]
        other.gateway.wait_for_head(load.gateway, size)
        faults += check_peer(other.gateway.peer(load.gateway))
        faults += load.check(other.gateway)
    return faults


def attest(gateway: Gateway, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    with gateway.client() as client:
        answer = client.post("/v1/attestations", json={"digests": {"sha256": digest}})
    assert answer.status_code == 201, answer.text
    return digest


def verify(gateway: Gateway, digest: str) -> dict[str, Any]:
    with gateway.client() as client:
        body = {"digests": {"sha256": digest}, "expect_issuer": "hk-1"}
        verdict: dict[str, Any] = client.post("/v1/verifications", json=body).json()
    return verdict


def test_during_a_partition_answers_are_as_of_its_begin(network: Network) -> None:
    issuer, receiver = network.gateways["hk-1"], network.gateways["sz-1"]
    before = attest(issuer, "before the cut")
    receiver.wait_for(lambda: verify(receiver, before)["verdict"] == "valid", "to know it")
    network.spaces["sz-1"].lose(100, "in", "out")
    try:
        during = attest(issuer, "during the cut")
        issuer.wait_for(lambda: verify(issuer, during)["verdict"] == "valid", "to have it itself")
        told = verify(issuer, during)["attestations"][0]["made_at"]
        as_of = ""

        def answers_as_of_its_begin() -> bool:  # a heartbeat from before it may be on its way yet
            nonlocal as_of
            as_of = receiver.peer(issuer)["as_of"]
            known, unknown = verify(receiver, before), verify(receiver, during)
            assert (known["verdict"], unknown["verdict"]) == ("valid", "unknown")
            return {known["as_of"], unknown["as_of"]} == {as_of}

        receiver.wait_for(answers_as_of_its_begin, "to have taken in what came before the cut")
        assert as_of <= told
    finally:
        network.spaces["sz-1"].mend()
    receiver.wait_for(lambda: verify(receiver, during)["verdict"] == "valid", "to hear of it")
    receiver.wait_for(lambda: verify(receiver, during)["as_of"] > as_of, "to have a newer as-of")


def test_partition_loses_nothing(network: Network, loads: list[Load]) -> None:
    network.spaces["sz-1"].lose(100, "in", "out")
    keep_busy(loads)
    network.spaces["sz-1"].mend()
    assert converge(loads) == []


@pytest.mark.parametrize("way", ["in", "out"])
def test_cable_that_is_dead_in_one_direction_loses_nothing(
    way: Any, network: Network, loads: list[Load]
) -> None:
    network.spaces["sz-1"].lose(100, way)
    keep_busy(loads)
    network.spaces["sz-1"].mend()
    assert converge(loads) == []


def test_cable_that_loses_a_third_of_all_packets_loses_no_entry(
    network: Network, loads: list[Load]
) -> None:
    network.spaces["sz-1"].lose(30, "in", "out")
    keep_busy(loads)
    network.spaces["sz-1"].mend()
    assert converge(loads) == []


def restart_broker_behind_a_cut(network: Network, loads: list[Load]) -> None:
    """The broker forgets everything while one gateway cannot be reached: nobody keeps for it."""
    assert network.broker is not None
    issuer = network.gateways["hk-1"]
    network.spaces["sz-1"].lose(100, "in", "out")
    network.broker.kill()
    network.broker.start()
    issuer.wait_for(
        lambda: issuer.get("/v1/status")["broker"]["state"] == "connected", "to be back"
    )
    keep_busy(loads)
    network.spaces["sz-1"].mend()


def test_broker_that_forgets_all_during_a_partition_loses_nothing(
    network: Network, loads: list[Load]
) -> None:
    restart_broker_behind_a_cut(network, loads)
    assert converge(loads) == []


def test_cuts_find_a_gateway_that_never_catches_up(network: Network, loads: list[Load]) -> None:
    issuer, receiver = network.gateways["hk-1"], network.gateways["sz-1"]
    good = receiver.program
    loads[1].pause()
    receiver.stop()
    prefix = network.spaces["sz-1"].prefix
    receiver.program = [*prefix, *bugs.command(bugs.never_catch_up)]
    receiver.start()
    try:
        restart_broker_behind_a_cut(network, loads[:1])
        loads[0].pause()
        size = issuer.get("/v1/status")["head"]["size"]
        receiver.wait_for(lambda: receiver.get("/v1/status")["broker"]["state"] == "connected", "")
        with pytest.raises(GatewayFailedError, match="in vain"):
            receiver.wait_for(lambda: receiver.peer(issuer)["head_size"] >= size, "", seconds=5)
    finally:
        receiver.stop()
        receiver.program = good
        receiver.start()
    assert converge(loads) == []

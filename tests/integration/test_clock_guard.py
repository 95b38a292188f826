"""The clock's guard in a real gateway: what the kernel of this machine says decides."""

from collections.abc import Iterator
from typing import Any

import pytest
from documents import attest, digests_of, some_document, verify

from chopmark.service.kernelclock import read_kernel
from rig.gateway import HONG_KONG, Cluster, Gateway

ANOTHER = {"digests": digests_of(b"another")}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    cluster = Cluster(tmp_path_factory.mktemp("k"), (HONG_KONG,))
    try:
        yield cluster.start()["hk-1"]
    finally:
        cluster.stop()


def _ask(gateway: Gateway) -> dict[str, Any]:
    """What it answers to a request for an attestation."""
    with gateway.client() as client:
        answer: dict[str, Any] = client.post("/v1/attestations", json=ANOTHER).json()
        return answer


def test_clock_that_nobody_keeps_stops_issuing_and_nothing_else(gateway: Gateway) -> None:
    document = some_document("before")
    attest(gateway, document)
    assert gateway.get("/v1/status")["clock"]["guard"] == "none"
    gateway.stop()
    config = gateway.config.read_text().replace('require = "none"', 'require = "synchronised"')
    gateway.config.write_text(config)
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    gateway.wait_for(lambda: _ask(gateway).get("code") != "confirming", "to have confirmed")
    with gateway.client() as client:
        answer = client.post("/v1/attestations", json=ANOTHER)
    clock = gateway.get("/v1/status")["clock"]
    if read_kernel().synchronised:
        assert (answer.status_code, clock["state"]) == (201, "ok")
    else:
        assert (answer.status_code, answer.json()["code"]) == (503, "clock-wrong")
        assert answer.headers["retry-after"]
        assert clock["state"] == "unsynchronised"
        assert "clock" in gateway.get("/v1/status")["reasons"][0]
    assert verify(gateway, document)["verdict"] == "valid"

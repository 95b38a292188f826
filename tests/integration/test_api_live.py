"""Real gateways: bulk verification, look-ups by digest, replicas, live events, the entries feed."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
from documents import attest, digests_of, some_document

from rig.gateway import Cluster, Gateway
from rig.patience import PATIENCE

STOP = 10.0
"""Seconds that an open stream may take to end when its daemon stops: the grace of requests."""


@pytest.fixture
def issuer(cluster: Cluster) -> Gateway:
    return cluster["hk-1"]


@pytest.fixture
def receiver(cluster: Cluster) -> Gateway:
    return cluster["sz-1"]


class Events:
    """A client of `GET /v1/events`, on a thread of its own."""

    def __init__(self, gateway: Gateway, last: str | None = None, query: str = "") -> None:
        self.told: list[tuple[str, dict[str, object], str | None]] = []
        self.ended = 0.0
        self._gateway = gateway
        self._headers = {} if last is None else {"last-event-id": last}
        self._query = query
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        url = f"/v1/events{self._query}"
        with (
            self._gateway.client() as client,
            client.stream("GET", url, headers=self._headers) as it,
        ):
            assert it.headers["content-type"] == "text/event-stream"
            fields: dict[str, str] = {}
            for line in it.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    told = (fields["event"], json.loads(fields["data"]), fields.get("id"))
                    self.told.append(told)
                    fields = {}
        self.ended = time.monotonic()

    def until(self, name: str, **about: object) -> dict[str, object]:
        """Wait for an event that says so."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event, data, _ in list(self.told):
                if event == name and about.items() <= data.items():
                    return data
            time.sleep(0.02)
        raise AssertionError(f"no {name} {about} in {self.told}")


@pytest.fixture
def attested(issuer: Gateway, receiver: Gateway) -> Iterator[tuple[bytes, int]]:
    """A document that was attested at one gateway, and that the other one has, and freshly so."""
    document = some_document(f"live {time.monotonic_ns()}")
    index = attest(issuer, document)["index"]
    receiver.wait_for_head(issuer, index + 1)
    receiver.wait_for(lambda: bool(receiver.peer(issuer)["as_of"]), "to have an as-of time")
    return document, index


def test_events_tell_of_a_peers_log_and_end_when_the_gateway_stops(
    issuer: Gateway, receiver: Gateway
) -> None:
    events = Events(receiver)
    state = events.until("state")
    sizes = {one["id"]: one["size"] for one in state["logs"]}  # type: ignore[attr-defined]
    index = attest(issuer, some_document("told of"))["index"]
    head = events.until("head", id="hk-1", size=index + 1)
    assert head["origin"] == "bank-hk.example/hk-1"
    assert sizes["hk-1"] <= index
    last = events.told[-1][2]
    began = time.monotonic()
    assert receiver.stop() == 0
    events.thread.join(PATIENCE)
    assert events.ended - began < STOP
    assert (events.told[-1][0], events.told[-1][1]["code"]) == ("end", "stopping")
    receiver.start()
    again = Events(receiver, last, "?seconds=0")
    again.thread.join(PATIENCE)
    assert [one[0] for one in again.told] == ["state"], "another run knows nothing of its ids"


def test_events_are_resumed_without_a_gap(issuer: Gateway) -> None:
    first = Events(issuer, query="?seconds=0")
    first.thread.join(PATIENCE)
    last = first.told[-1][2]
    index = attest(issuer, some_document("missed"))["index"]
    assert last is not None
    issuer.wait_for(lambda: _newest(issuer) >= index + 1, "to tell of it")
    second = Events(issuer, last, "?seconds=0")
    second.thread.join(PATIENCE)
    heads = [data for name, data, _ in second.told if name == "head" and data["id"] == "hk-1"]
    assert heads[-1]["size"] == index + 1
    assert "state" not in [one[0] for one in second.told]


def _newest(gateway: Gateway) -> int:
    state = Events(gateway, query="?seconds=0")
    state.thread.join(PATIENCE)
    logs = state.told[0][1]["logs"]
    return next(one["size"] for one in logs if one["id"] == gateway.who.id)  # type: ignore[attr-defined]


def test_batch_of_verifications_takes_digests_proofs_and_references(
    issuer: Gateway, receiver: Gateway, attested: tuple[bytes, int]
) -> None:
    document, index = attested
    digests = digests_of(document)
    with issuer.client() as client:
        proof = client.get(f"/v1/proofs/hk-1/{index}")
    lines = [
        digests,
        {"digests": digests, "expect_issuer": "hk-1"},
        {"proof": proof.text, **digests},
        {"reference": f"bank-hk.example/hk-1#{index}"},
        {"sha256": "00" * 32},
        {"sha256": "0"},
    ]
    body = "\n".join(json.dumps(line) for line in lines)
    with receiver.client() as client:
        answer = client.post("/v1/verifications:batch", content=body)
        single = client.post("/v1/verifications", json={"digests": digests}).json()
    told = [json.loads(line) for line in answer.text.splitlines()]
    words = [one.get("verdict") for one in told]
    assert words == ["valid", "valid", "valid", "attestation-only", "unknown", None]
    assert told[0]["attestations"][0].keys() == single["attestations"][0].keys()
    assert told[5]["error"]["line"] == 6


def test_document_is_found_by_digest_in_every_replica(
    issuer: Gateway, receiver: Gateway, attested: tuple[bytes, int]
) -> None:
    document, index = attested
    digests = digests_of(document)
    attest(receiver, document)
    with issuer.client() as client:
        client.post("/v1/revocations", json={"index": index, "reason": 4})
    receiver.wait_for(lambda: _states(receiver, digests) == ["live", "revoked"], "to know of it")
    by_sm3 = receiver.get(f"/v1/documents/sm3/{digests['sm3']}")
    assert (
        by_sm3["attestations"]
        == receiver.get(f"/v1/documents/sha256/{digests['sha256']}")["attestations"]
    )
    assert by_sm3["searched"][0]["id"] == "sz-1"
    assert by_sm3["attestations"][1]["revoked"]["reason_text"] == "fraud"


def _states(gateway: Gateway, digests: dict[str, str]) -> list[str]:
    found = gateway.get(f"/v1/documents/sha256/{digests['sha256']}?limit=5")["attestations"]
    return [one["state"] for one in found]


def test_replicas_say_how_far_and_how_fresh_they_are(
    receiver: Gateway, attested: tuple[bytes, int]
) -> None:
    _, index = attested
    receiver.wait_for(lambda: _replica(receiver)["as_of"] is not None, "to hear a heartbeat")
    found = _replica(receiver)
    assert found["head"]["size"] > index
    assert (found["missing"], found["frozen"], found["paused"]) == (0, None, False)
    assert found["index"]["state"] == "ready"
    assert 0 <= found["age_seconds"] < 3600


def _replica(gateway: Gateway) -> dict[str, object]:
    return next(one for one in gateway.get("/v1/replicas") if one["id"] == "hk-1")


def test_entries_feed_goes_on_over_a_restart_without_gap_or_repeat(issuer: Gateway) -> None:
    seen: list[int] = []
    cursor = -1

    def read_all() -> None:
        nonlocal cursor
        while True:
            page = issuer.get(f"/v1/entries?after={cursor}&limit=2")
            seen.extend(entry["index"] for entry in page["entries"])
            if page["next"] == cursor:
                return
            cursor = page["next"]

    for number in range(3):
        attest(issuer, some_document(f"before {number}"))
    read_all()
    assert issuer.stop() == 0
    issuer.start()
    for number in range(3):
        attest(issuer, some_document(f"after {number}"))
    read_all()
    assert seen == list(range(issuer.get("/v1/status")["head"]["size"]))

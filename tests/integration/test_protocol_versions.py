"""Gateways of different versions of the mesh's protocol at one real broker.

The others are stand-ins (`tests/otherversion.py`): the real daemon, which says that it speaks other
versions, and writes as one that does may.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import attest, some_document

from chopmark.mesh.versions import OURS
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway

NEXT = OURS.newest + 1
FAR = OURS.newest + 3


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """hk-1 as it is, and sz-1 of the next version, which has an entry before hk-1 is there."""
    cluster = Cluster(tmp_path_factory.mktemp("c"), (SHENZHEN, HONG_KONG))
    try:
        start(cluster["sz-1"], NEXT, OURS.newest)
        attest(cluster["sz-1"], some_document("of sz-1, early"))
        cluster["hk-1"].start()
        yield cluster
    finally:
        cluster.stop()


def start(gateway: Gateway, newest: int, oldest: int) -> None:
    """Start it as one that speaks these versions."""
    gateway.stop()
    script = Path(__file__).parents[1] / "otherversion.py"
    gateway.program = (sys.executable, str(script), str(newest), str(oldest))
    gateway.start()


def alarms(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.get("/v1/status")["alarms"]
    return [alarm for alarm in found if alarm["code"] == "peer-protocol"]


def test_next_version_and_ours_attest_replicate_and_catch_up_both_ways(mixed: Cluster) -> None:
    ours, other = mixed["hk-1"], mixed["sz-1"]
    ours.wait_for_head(other, 1)  # a package that was asked for: it was made before
    ours.wait_for_head(other, attest(other, some_document("of sz-1, live"))["index"] + 1)
    other.wait_for_head(ours, attest(ours, some_document("of hk-1, live"))["index"] + 1)
    other.stop()
    made = attest(ours, some_document("of hk-1, while sz-1 is away"))
    other.start()
    other.wait_for_head(ours, made["index"] + 1)
    ours.wait_for(lambda: ours.peer(other)["online"] is True, "to hear of it")
    assert ours.peer(other)["protocol"] == {"newest": NEXT, "oldest": OURS.newest}
    known = {"newest": OURS.newest, "oldest": OURS.oldest}
    other.wait_for(lambda: other.peer(ours)["protocol"] == known, "to hear what hk-1 speaks")
    said = ours.get("/v1/status")["protocol"]
    assert said == {"newest": OURS.newest, "oldest": OURS.oldest, "in_use": OURS.newest}
    assert other.get("/v1/status")["protocol"]["in_use"] == OURS.newest
    for one, another in ((ours, other), (other, ours)):
        assert one.peer(another)["counters"]["dropped"] == 0
        assert alarms(one) == []


def test_version_with_nothing_in_common_is_an_alarm_and_harms_nobody(mixed: Cluster) -> None:
    ours, far = mixed["hk-1"], mixed["sz-1"]
    start(far, FAR, FAR - 1)
    ours.wait_for(lambda: alarms(ours) != [], "to see what sz-1 speaks")
    (alarm,) = alarms(ours)
    assert alarm["message"].startswith(f"sz-1 speaks version {FAR - 1} to {FAR} of the protocol")
    assert alarm["hint"] == "update this gateway"
    dropped = ours.peer(far)["counters"]["dropped"]
    far.wait_for(lambda: alarms(far) != [], "to see what hk-1 speaks")
    assert alarms(far)[0]["hint"] == "call its operator: it must be updated"
    attest(far, some_document("of sz-1, in another version"))
    assert ours.peer(far)["online"] is True
    assert ours.peer(far)["counters"]["dropped"] == dropped, "what it asks is no fault of its"


def test_who_is_updated_goes_on_by_itself(mixed: Cluster) -> None:
    ours, updated = mixed["hk-1"], mixed["sz-1"]
    start(updated, FAR, FAR - 1)
    made = attest(ours, some_document("of hk-1, for another version"))
    also = attest(updated, some_document("of sz-1, of another version"))
    start(updated, NEXT, OURS.newest)
    ours.wait_for(lambda: alarms(ours) == [], "to see that sz-1 was updated")
    ours.wait_for_head(updated, also["index"] + 1)
    updated.wait_for_head(ours, made["index"] + 1)

"""Gateways that anchor on a real EVM node behind the stand-in, with account keys in SoftHSM."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import attest, some_document, verify

from rig.anchored import join_chain
from rig.broker import Broker
from rig.chain import PACKAGES, Anvil
from rig.gateway import HONG_KONG, MACAO, Cluster, Gateway
from rig.standin import StandIn

pytestmark = [
    pytest.mark.skipif(not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh`"),
    pytest.mark.timeout(900),
]


class Scene:
    """A chain, and two gateways that follow it."""

    def __init__(self, folder: Path) -> None:
        self.node = Anvil(folder / "chain").start()
        self.standin = StandIn(self.node.url).start()
        self.cluster = Cluster(folder, (HONG_KONG, MACAO))
        self.hong_kong, self.macao = self.cluster.gateways.values()

    def stop(self) -> None:
        self.cluster.stop()
        self.standin.stop()
        self.node.stop()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("a"))
    try:
        join_chain([made.hong_kong, made.macao], [made.standin.url])
        made.cluster.start()
        yield made
    finally:
        made.stop()


def anchor_of(gateway: Gateway) -> dict[str, Any]:
    state: dict[str, Any] = gateway.get("/v1/status")["anchor"]
    return state


def log_of(gateway: Gateway, member: str) -> dict[str, Any]:
    return next(one for one in anchor_of(gateway)["logs"] if one["id"] == member)


def wait_for_anchor(gateway: Gateway, member: str, size: int) -> None:
    what = f"to read an anchor of {member} at {size}"
    gateway.wait_for(lambda: log_of(gateway, member)["size"] >= size, what)


def alarms(gateway: Gateway) -> set[str]:
    return {one["code"] for one in gateway.get("/v1/status")["alarms"]}


def test_head_is_anchored_by_a_key_in_the_token_and_read_by_the_peer(scene: Scene) -> None:
    made = attest(scene.hong_kong, some_document("anchored"))
    wait_for_anchor(scene.macao, "hk-1", made["index"] + 1)
    own = anchor_of(scene.hong_kong)["own"]
    assert own["key"] == "hsm"
    assert own["account"] == log_of(scene.macao, "hk-1")["account"]
    assert scene.hong_kong.get("/v1/export")["chain"] == own["account"]
    assert f'chain = "{own["account"]}"' in scene.hong_kong.cli("peers", "export").stdout
    assert not alarms(scene.macao) & {"anchor-gap", "anchor-contradiction", "anchor-away"}


def test_verdict_says_in_which_block_it_is_anchored(scene: Scene) -> None:
    document = some_document("told")
    made = attest(scene.hong_kong, document)
    wait_for_anchor(scene.macao, "hk-1", made["index"] + 1)
    found = verify(scene.macao, document)["attestations"][0]
    rows = scene.macao.get("/v1/anchors?id=hk-1")
    row = next(one for one in rows if one["size"] > made["index"])
    anchored = {"chain_id": 20200, "block": row["block"], "size": row["size"]}
    assert found["anchored"] == {**anchored, "transaction": row["transaction"]}
    assert f"Anchored in block {row['block']} of chain 20200." in found["sentence"]
    receipt = scene.node.call("eth_getTransactionReceipt", row["transaction"])
    assert int(receipt["blockNumber"], 16) == row["block"]


def test_commands_show_it_and_the_counters_agree(scene: Scene) -> None:
    made = attest(scene.hong_kong, some_document("counted"))
    wait_for_anchor(scene.macao, "hk-1", made["index"] + 1)
    assert "in the HSM" in scene.hong_kong.cli("anchor", "status").stdout
    assert json.loads(scene.macao.cli("--json", "anchor", "check").stdout)["complete"]
    assert "good" in scene.macao.cli("anchor", "list", "hk-1").stdout


def test_check_says_that_a_node_hides_an_anchor_and_then_that_it_was_found(scene: Scene) -> None:
    height = int(scene.node.call("eth_blockNumber"), 16)
    scene.standin.hide = set(range(height + 1, height + 1000))
    try:
        made = attest(scene.hong_kong, some_document("hidden"))
        scene.macao.wait_for(lambda: "anchor-gap" in alarms(scene.macao), "to miss an anchor")
        done = scene.macao.cli("--json", "anchor", "check", "--wait", "0", check=False)
        assert done.returncode == 10
        told = json.loads(done.stdout)
        assert not told["complete"]
        row = next(one for one in told["logs"] if one["id"] == "hk-1")
        assert row["read"] < row["counted"]
    finally:
        scene.standin.hide = set()
    wait_for_anchor(scene.macao, "hk-1", made["index"] + 1)
    assert json.loads(scene.macao.cli("--json", "anchor", "check").stdout)["complete"]
    scene.macao.wait_for(lambda: "anchor-gap" not in alarms(scene.macao), "to miss nothing")


def test_doctor_looks_at_chain_and_curve(scene: Scene) -> None:
    told = scene.hong_kong.cli("--json", "doctor", "--check", "chain", check=False).stdout
    assert "anchor-unlisted" in told, "without a roster nobody lists our own account"
    told = scene.hong_kong.cli("hsm", "doctor", "--sign", check=False).stdout
    assert "the key of a chain account can be kept in it" in told
    assert "chopmark-chain" in told


def test_metrics_tell_of_it(scene: Scene) -> None:
    text = scene.macao.metrics()
    for name in ("read_total", "transactions_total", "entries", "lag_blocks", "missing"):
        assert f"\nchopmark_anchor_{name}" in text
    assert 'chopmark_anchor_entries{member="hk-1"}' in text
    assert "chopmark_anchor_missing 0.0" in text


def test_chain_that_is_away_holds_up_nothing(scene: Scene) -> None:
    scene.standin.away = True
    try:
        document = some_document("meanwhile")
        made = attest(scene.hong_kong, document)
        scene.macao.wait_for_head(scene.hong_kong, made["index"] + 1)
        assert verify(scene.macao, document)["verdict"] in ("valid", "valid-as-of")
        nodes = lambda: [one["state"] for one in anchor_of(scene.macao)["endpoints"]]  # noqa: E731
        scene.macao.wait_for(lambda: nodes() == ["away"], "to see that the node is away")
    finally:
        scene.standin.away = False
    wait_for_anchor(scene.macao, "hk-1", made["index"] + 1)


def test_split_view_is_caught_though_the_peers_cannot_talk(tmp_path: Path) -> None:
    """hk-1 shows mo-1 one history, and the chain another one; no peer ever sees both."""
    scene = Scene(tmp_path)
    other = Broker(tmp_path / "other")
    try:
        contract = join_chain([scene.hong_kong, scene.macao], [scene.standin.url])
        assert contract["contract"]
        scene.cluster.start()
        attest(scene.hong_kong, some_document("common"))
        scene.macao.wait_for_head(scene.hong_kong, 1)
        wait_for_anchor(scene.macao, "hk-1", 1)
        scene.hong_kong.stop()
        kept = tmp_path / "kept"
        shutil.copytree(scene.hong_kong.folder, kept, ignore=shutil.ignore_patterns("*.sock"))
        # one history to mo-1, and none of it to the chain
        scene.standin.lose = True
        scene.hong_kong.start()
        attest(scene.hong_kong, some_document("left"))
        scene.macao.wait_for_head(scene.hong_kong, 2)
        scene.hong_kong.stop()
        scene.standin.lose = False
        # another one to the chain, and none of it to mo-1
        shutil.rmtree(scene.hong_kong.folder)
        shutil.copytree(kept, scene.hong_kong.folder)
        text = scene.hong_kong.config.read_text()
        port = f"port = {scene.cluster.broker.port}"
        scene.hong_kong.config.write_text(text.replace(port, f"port = {other.port}"))
        scene.hong_kong.start()
        attest(scene.hong_kong, some_document("right"))
        frozen = lambda: "fork" in alarms(scene.macao)  # noqa: E731
        scene.macao.wait_for(frozen, "to see the other history on the chain")
        # it is frozen at once, and its evidence made and stored after that
        evidence = lambda: scene.macao.get("/v1/evidence")  # noqa: E731
        scene.macao.wait_for(evidence, "to keep the evidence")
        assert [one["origin"] for one in evidence()] == [HONG_KONG.origin]
        verdict = verify(scene.macao, some_document("left"))
        assert verdict["verdict"] == "untrusted"
        assert verify(scene.macao, some_document("common"))["verdict"] in ("valid", "valid-as-of")
    finally:
        scene.stop()
        other.stop()

"""kill -9 at random moments of what anchors: the gateway, a follower, and the ways to the chain.

Two gateways anchor and follow through two stand-ins for FISCO BCOS, each a process of its own that
is killed as a node may be. The EVM node behind them is ended in order, or killed. It writes its
chain down once a second only, so that a kill loses blocks that it has shown, as no kill does to a
node of FISCO BCOS: it stands for a chain all of whose nodes were put back from copies.

KILLS (6, or what the environment says) is how often. In the end the contract's counter, the events
on the chain and what each gateway has read must be the same: no gap, and no duplicate.
"""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from chopmark.anchor.contract import (
    ANCHORED,
    Event,
    decode_latest_of,
    encode_latest_of,
    parse_event,
)
from chopmark.core.transaction import origin_hash
from rig.anchored import join_chain
from rig.broker import free_port
from rig.chain import PACKAGES, Anvil
from rig.gateway import HONG_KONG, MACAO, Cluster, Gateway
from rig.patience import PATIENCE

KILLS: Final = int(os.environ.get("KILLS") or "6")
SEED: Final = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**6))
_DEMO: Final = Path(__file__).parents[2] / "demo"

pytestmark = [
    pytest.mark.timeout(900 + 30 * KILLS),
    pytest.mark.skipif(not PACKAGES.is_dir(), reason="no npm packages here: `./setup.sh`"),
]


class Way:
    """A stand-in as a process, which can be killed."""

    def __init__(self, upstream: str) -> None:
        self._upstream, self.port = upstream, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "rig.standin", self._upstream, str(self.port)]
        self._process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(_DEMO)}, start_new_session=True
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Stage:
    """Chain, ways to it, and gateways; one thread attests all the time."""

    def __init__(self, folder: Path) -> None:
        self.node = Anvil(folder / "chain")
        self.ways = [Way(self.node.url), Way(self.node.url)]
        self.cluster = Cluster(folder, (HONG_KONG, MACAO))
        self.gateways: list[Gateway] = list(self.cluster.gateways.values())
        self.contract: dict[str, object] = {}
        self.rewound = 0
        self._ended = threading.Event()
        self._work = threading.Thread(target=self._attest, daemon=True)

    def start(self) -> None:
        self.node.start()
        for way in self.ways:
            way.start()
        self._wait_for_ways()
        self.contract = join_chain(self.gateways, [way.url for way in self.ways])
        self.node.stop()  # it has the contract written down from here on
        self.node.keep()  # before it writes again, amid which nothing would be kept
        self.node.start()
        self.cluster.start()
        self._work.start()

    def kill_one(self, chance: random.Random) -> None:
        """Kill something, and start it again after a moment."""
        victim = chance.choice(["gateway", "follower", "way", "way", "ways", "node"])
        pause = chance.uniform(0.0, 1.0)
        if victim in ("gateway", "follower"):
            gateway = self.gateways[victim == "follower"]
            gateway.kill()
            time.sleep(pause)
            gateway.start()
        elif victim == "node":
            self.end_node(chance.choice(["in order", "killed", "put back", "put back"]), pause)
        else:
            hit = self.ways if victim == "ways" else [chance.choice(self.ways)]
            for way in hit:
                way.kill()
            time.sleep(pause)
            for way in hit:
                way.start()

    def end_node(self, how: str, pause: float) -> None:
        """End the node, and start it again."""
        shown = int(self.node.call("eth_blockNumber"), 16)
        if how == "in order":
            self.node.stop()
        else:
            self.node.kill(put_back=how == "put back")
        time.sleep(pause)
        self.node.start()
        self.rewound += int(self.node.call("eth_blockNumber"), 16) < shown

    def settle(self) -> None:
        """Let all that was attested be anchored, and read by both."""
        self._ended.set()
        self._work.join()
        for gateway in self.gateways:
            gateway.wait_for(lambda one=gateway: self._is_settled(one), "to have read all", 180)  # type: ignore[misc]

    def events(self) -> list[Event]:
        """All anchors on the chain, from the node itself and in one question."""
        asked = {
            "address": self.contract["contract"],
            "fromBlock": "0x0",
            "toBlock": "latest",
            "topics": [ANCHORED],
        }
        return [
            parse_event(one, str(self.contract["contract"]))
            for one in self.node.call("eth_getLogs", asked)
        ]

    def counted(self, account: str, origin: str) -> tuple[int, int]:
        """How many anchors the contract has counted, and the newest size."""
        key = (account, origin_hash(origin))
        call = {"to": self.contract["contract"], "data": "0x" + encode_latest_of([key]).hex()}
        answer = bytes.fromhex(self.node.call("eth_call", call, "latest")[2:])
        latest = decode_latest_of(answer, 1)[0]
        return latest.number, latest.size

    def counted_of(self, gateway: int) -> int:
        """How many anchors the contract has counted of a gateway's log."""
        logs = self.gateways[gateway].get("/v1/status")["anchor"]
        return self.counted(logs["own"]["account"], self.gateways[gateway].who.origin)[0]

    def read(self, gateway: Gateway) -> list[tuple[str, str, int, int]]:
        """What a gateway has stored: origin, account, number and size of each anchor."""
        path = next((gateway.state / "anchor").glob("*.db"))
        with closing(sqlite3.connect(path)) as db:
            asked = "SELECT origin, account, number, size FROM anchor ORDER BY 1, 2, 3"
            return list(db.execute(asked))

    def words(self, gateway: Gateway) -> set[str]:
        path = next((gateway.state / "anchor").glob("*.db"))
        with closing(sqlite3.connect(path)) as db:
            return {word for (word,) in db.execute("SELECT DISTINCT word FROM anchor")}

    def stop(self) -> None:
        self._ended.set()
        self.cluster.stop()
        for way in self.ways:
            way.kill()
        self.node.stop()

    def _attest(self) -> None:
        while not self._ended.wait(0.2):
            with suppress(httpx.HTTPError), self.gateways[0].client() as client:
                digest = {"sha256": os.urandom(32).hex()}
                client.post("/v1/attestations", json={"digests": digest, "kind": "document"})

    def _is_settled(self, gateway: Gateway) -> bool:
        """Whether the newest head is on the chain, and was read of it: not of what it has lost."""
        try:
            status: dict[str, Any] = gateway.get("/v1/status")
            issuer: dict[str, Any] = self.gateways[0].get("/v1/status")
        except httpx.HTTPError:
            return False
        read = {one["id"]: one for one in status["anchor"]["logs"]}["hk-1"]
        account, origin = issuer["anchor"]["own"]["account"], self.gateways[0].who.origin
        counted = self.counted(account, origin)
        same = counted == (read["number"], read["size"]) and not read["ahead"]
        return bool(same and counted[1] == issuer["head"]["size"])

    def _wait_for_ways(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for way in self.ways:
            while True:
                with suppress(httpx.HTTPError):
                    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
                    httpx.post(way.url, json=asked, trust_env=False)
                    break
                assert time.monotonic() < deadline
                time.sleep(0.05)


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("ak"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_kills_leave_no_gap_and_no_duplicate(stage: Stage) -> None:
    print(f"SEED={SEED} KILLS={KILLS}")  # noqa: T201 - shown when the test fails
    chance = random.Random(f"{SEED}/anchor")  # noqa: S311 - must repeat
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 2.0))
        stage.kill_one(chance)
        if chance.random() < 0.5:
            stage.node.keep()
    check(stage)


def test_chain_that_was_put_back_is_anchored_and_read_without_gap_or_duplicate(
    stage: Stage,
) -> None:
    """Once for sure, and while both gateways have read what gets lost."""
    follower = stage.gateways[1]
    read = lambda: len(stage.read(follower))  # noqa: E731
    follower.wait_for(lambda: read() >= 2, "to read two anchors")
    before = read()
    follower.wait_for(lambda: read() > before + 1, "to read what gets lost")
    stage.end_node("put back", 0.2)
    assert stage.rewound == 1, "no block was lost: the test shows nothing"
    follower.wait_for(lambda: stage.counted_of(0) > before, "the chain to go on")
    check(stage)


def check(stage: Stage) -> None:
    """Contract, chain and what each gateway has read are the same."""
    stage.settle()
    events = stage.events()
    numbers: dict[tuple[str, bytes], list[int]] = {}
    sizes: dict[tuple[str, bytes], list[int]] = {}
    for event in events:
        numbers.setdefault(event.key, []).append(event.number)
        sizes.setdefault(event.key, []).append(event.size)
    for key, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), "a number is missing, or there twice"
        assert sizes[key] == sorted(set(sizes[key])), "a size is there twice, or goes back"
    names = {origin_hash(one.who.origin): one.who.origin for one in stage.gateways}
    on_chain = sorted((names[e.origin_hash], e.account, e.number, e.size) for e in events)
    for origin, account in {(one[0], one[1]) for one in on_chain}:
        last = max(one[2:] for one in on_chain if one[:2] == (origin, account))
        assert stage.counted(account, origin) == last, "the contract counts otherwise"
    for gateway in stage.gateways:
        assert stage.read(gateway) == on_chain, f"{gateway.who.id} has read something else"
        assert stage.words(gateway) == {"good"}
    assert on_chain, "nothing was anchored: the test shows nothing"

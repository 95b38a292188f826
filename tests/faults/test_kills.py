"""kill -9 at random moments, under load: of the daemon, of the broker, and of a lighter process.

Of KILLS (40, or what the environment says) a quarter are whole daemons, an eighth the broker, and
the rest a process that runs the real write path without API and mesh (`writer.py`), which starts
in a tenth of the time. On failure the seed is printed: `make faults SEED=… KILLS=…`.
"""

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import bugs
import pytest
from clients import Load
from oracle import check_peer
from victims import Box, Ledger, Nursery, make_box

from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway

KILLS: Final = int(os.environ.get("KILLS") or "40")
SEED: Final = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**6))
WHOLE: Final = 10
"""Every how many kills all bytes and all answers are checked; at each, the heads and the answers
since the last such check."""

pytestmark = pytest.mark.timeout(600 + 20 * KILLS)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    print(f"SEED={SEED} KILLS={KILLS}")  # noqa: T201 - shown when the test fails
    return random.Random(f"{SEED}/{request.node.name}")  # noqa: S311 - must repeat


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways, each the other's peer, and their broker."""
    made = Cluster(tmp_path_factory.mktemp("k"), (HONG_KONG, SHENZHEN))
    try:
        yield made.start()
    finally:
        made.stop()


class Chaos:
    """Kills daemons and broker under load, and checks after each kill."""

    def __init__(self, pair: Cluster, chance: random.Random, clients: tuple[str, ...] = ()) -> None:
        self.pair, self.chance = pair, chance
        self.loads = {gateway: Load(gateway, SEED, clients) for gateway in pair.gateways.values()}
        self.boxes = {gateway: Box(gateway.folder) for gateway in self.loads}
        self.spare = {gateway: self._save(gateway) for gateway in self.loads}
        for load in self.loads.values():
            load.resume()

    def kill_daemon(self, gateway: Gateway, *, whole: bool, answering: bool = False) -> list[str]:
        """Kill a daemon, check its disk, start it, and check it again.

        Args:
            gateway: whose.
            whole: see `Load.check`.
            answering: kill it right after an answer, however long that takes.
        """
        load, peers = self.loads[gateway], [g for g in self.loads if g is not gateway]
        answered = len(load.answers)
        self._let_it_work()
        while answering and len(load.answers) == answered:
            time.sleep(0.001)
        gateway.kill()
        load.pause()
        faults = load.check(*peers, restarted=False, whole=False)
        if self.chance.random() < 0.3:  # and once more, while it starts
            gateway.launch()
            time.sleep(self.chance.uniform(0, 1))
            gateway.kill()
        self.boxes[gateway].mend_token(self.spare[gateway])
        gateway.start()
        load.settle()
        faults += load.check(*peers, whole=whole)
        load.resume()
        return faults

    def kill_broker(self) -> None:
        """Kill the broker; it comes back with no session and nothing retained."""
        self._let_it_work()
        self.pair.broker.kill()
        self._let_it_work()
        self.pair.broker.start()

    def finish(self) -> list[str]:
        """Stop the load; all must converge, and everything is checked."""
        faults: list[str] = []
        for load in self.loads.values():
            load.pause()
        for gateway, load in self.loads.items():
            load.settle()
            size = gateway.get("/v1/status")["head"]["size"]
            for peer in self.loads:
                if peer is not gateway:
                    peer.wait_for_head(gateway, size)
                    faults += check_peer(peer.peer(gateway))
            load.stop()
            faults += load.check(*(peer for peer in self.loads if peer is not gateway))
        return faults

    def _let_it_work(self) -> None:
        time.sleep(self.chance.uniform(0.02, 0.4))  # a random moment is what is wanted

    @staticmethod
    def _save(gateway: Gateway) -> Box:
        spare = gateway.folder.with_name(f"{gateway.who.id}-spare")
        shutil.copytree(gateway.folder / "hsm", spare / "hsm")
        return Box(spare)


def test_gateways_and_broker_killed_under_load_keep_every_answer(
    pair: Cluster, chance: random.Random
) -> None:
    chaos = Chaos(pair, chance)
    daemons, brokers = KILLS // 4, KILLS // 8
    kinds = ["daemon"] * daemons + ["broker"] * brokers
    chance.shuffle(kinds)
    for number, kind in enumerate(kinds):
        if kind == "broker":
            chaos.kill_broker()
        else:
            victim = chance.choice(list(chaos.loads))
            assert chaos.kill_daemon(victim, whole=number % WHOLE == 0) == []
        tell(number + 1, sum(len(load.answers) for load in chaos.loads.values()))
    assert chaos.finish() == []
    answers = sum(len(load.answers) for load in chaos.loads.values())
    print(f"{daemons} daemons and {brokers} brokers killed, {answers} answers kept")  # noqa: T201
    assert answers > KILLS


def tell(kills: int, answers: int) -> None:
    """Say how far it is: for those who run it for long, with `-s`."""
    if kills % WHOLE == 0:
        print(f"{kills} kills, {answers} answers", flush=True)  # noqa: T201


def kill_writers(
    nursery: Nursery, ledger: Ledger, chance: random.Random, kills: int, bug: str | None = None
) -> Iterator[list[str]]:
    """Kill writers on one ledger, each at a random moment, also while it starts."""
    spare = ledger.box.copy_to(ledger.box.folder.with_name("spare"))
    for number in range(kills):
        each = chance.randrange(1, 80)
        job = {"commits": None, "each": each, "seed": f"{number}", "bug": bug}
        victim = nursery.start(ledger.box, replicate=False, **job)
        killer = threading.Timer(chance.uniform(0, 0.2), victim.kill)
        late = number % 2 == 1  # each second one is killed only after its first answer
        if not late:
            killer.start()
        for said in victim.lines():
            ledger.hear(said)
            if late and "says" in said and not killer.is_alive():
                killer.start()
                late = False
        killer.cancel()
        faults = ledger.check(restarted=False, whole=False)
        ledger.box.mend_token(spare)
        if number % WHOLE == WHOLE - 1:
            faults += nursery.recover(ledger)
        yield faults + ([] if victim.end == "killed" else [f"{victim.end}: {victim.told}"])


def test_writer_killed_at_any_moment_keeps_every_answer(
    nursery: Nursery, chance: random.Random, tmp_path: Path
) -> None:
    ledger = Ledger(make_box(tmp_path / "w"))
    kills = KILLS - KILLS // 4 - KILLS // 8
    for number, faults in enumerate(kill_writers(nursery, ledger, chance, kills)):
        assert faults == []
        tell(number + 1, len(ledger.answers))
    assert nursery.recover(ledger) == []
    print(f"{kills} writers killed, {len(ledger.answers)} answers kept")  # noqa: T201
    assert len(ledger.answers) > kills


def test_kills_find_a_writer_that_answers_before_it_commits(
    nursery: Nursery, chance: random.Random, tmp_path: Path
) -> None:
    ledger = Ledger(make_box(tmp_path / "w"))
    assert any(kill_writers(nursery, ledger, chance, 100, "answer_before_commit"))


def test_kills_find_a_daemon_that_answers_before_it_has_signed(
    pair: Cluster, chance: random.Random
) -> None:
    gateway = pair["hk-1"]
    gateway.stop()
    gateway.program = bugs.command(bugs.answer_before_signature)
    gateway.start()
    chaos = Chaos(pair, chance, ("batch",))
    try:
        assert any(chaos.kill_daemon(gateway, whole=False, answering=True) for _ in range(10))
    finally:
        for load in chaos.loads.values():
            load.stop()

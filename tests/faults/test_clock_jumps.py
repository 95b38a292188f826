"""The clock jumps while real gateways run: nothing is lost, and what waits does not notice."""

import base64
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Client
from clocks import DAY, HOUR, LIBRARY, TimedGateway
from mounts import exists
from oracle import check_gateway

from chopmark.core.entry import parse_entry
from rig.broker import Broker
from rig.gateway import HONG_KONG, SHENZHEN
from rig.patience import PATIENCE

pytestmark = [exists(LIBRARY), pytest.mark.timeout(900)]

Pair = tuple[TimedGateway, TimedGateway]
JUMPS = (-2 * HOUR, 2 * HOUR, DAY, -DAY, 30 * DAY, -400 * DAY)


@pytest.fixture
def pair(running: Pair) -> Pair:
    """Issuer and receiver, each with a clock of its own that is right."""
    for gateway in running:
        gateway.move(0)
    return running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two gateways that the tests share: whatever one does to a clock, the next must not notice."""
    folder = tmp_path_factory.mktemp("t")
    broker = Broker(folder / "broker")
    made: list[TimedGateway] = []
    try:
        made += [TimedGateway(folder / who.id, who, broker) for who in (HONG_KONG, SHENZHEN)]
        made[0].add_peers(made[1:])
        made[1].add_peers(made[:1])
        for gateway in made:
            gateway.launch()
        for gateway in made:
            gateway.wait_for(gateway.is_ready, "to be ready")
        yield made[0], made[1]
    finally:
        for gateway in made:
            gateway.stop()
        broker.stop()


@pytest.fixture(scope="module")
def client(running: Pair) -> Client:
    """Somebody at the issuer, who remembers all that it answered."""
    return Client(running[0])


def as_of(receiver: TimedGateway, issuer: TimedGateway) -> str:
    """Up to when the receiver's replica is known to be complete; sorts as time does."""
    told: str | None = receiver.peer(issuer)["as_of"]
    return told or ""


def dropped(receiver: TimedGateway, issuer: TimedGateway) -> int:
    count: int = receiver.peer(issuer)["counters"]["dropped"]
    return count


def times_made(gateway: TimedGateway) -> list[int]:
    """When the entries of its log say that they were made, in order."""
    after, made = -1, []
    while True:
        page = gateway.get(f"/v1/entries?after={after}&limit=100")["entries"]
        if not page:
            return made
        made += [parse_entry(base64.b64decode(entry["raw"])).made_at for entry in page]
        after = page[-1]["index"]


def is_at_rest(gateway: TimedGateway) -> bool:
    """Whether it does little while nobody asks anything; a loop that does not wait never is."""
    used, begun = gateway.used_cpu(), time.monotonic()
    time.sleep(0.5)
    return (gateway.used_cpu() - used) / (time.monotonic() - begun) < 0.3


def test_issuer_whose_clock_jumps_loses_nothing_and_times_never_decrease(
    pair: Pair, client: Client
) -> None:
    hong_kong, shenzhen = pair
    client.attest(document := os.urandom(32))
    for jump in JUMPS:
        hong_kong.move(jump)
        assert client.attest(wait=60).status_code == 201
        assert client.attest_many(300, wait=60) == []
        hong_kong.wait_for(lambda: is_at_rest(hong_kong), "to rest")
        shenzhen.wait_for_head(hong_kong, len(client.answers))
    hong_kong.move(0)
    assert client.attest(wait=60).status_code == 201
    made = times_made(hong_kong)
    assert made == sorted(made)
    assert len(made) == len(client.answers)
    assert client.verify(document) == "valid"
    shenzhen.wait_for_head(hong_kong, len(client.answers))
    held = shenzhen.state / "replica" / "hk-1.db"
    assert check_gateway(hong_kong.state, client.answers, client.heads, [held]) == []


def test_heartbeats_of_the_future_are_dropped_and_as_of_goes_on_later(
    pair: Pair, client: Client
) -> None:
    hong_kong, shenzhen = pair
    client.attest()
    shenzhen.wait_for(lambda: as_of(shenzhen, hong_kong) != "", "to have an as-of time")
    hong_kong.move(DAY)
    client.attest()
    shenzhen.wait_for(lambda: dropped(shenzhen, hong_kong) > 0, "to drop a heartbeat")
    before = as_of(shenzhen, hong_kong)
    assert before < hong_kong.get("/v1/status")["clock"]["now"]
    hong_kong.move(0)
    client.attest(document := os.urandom(32))
    shenzhen.wait_for(lambda: as_of(shenzhen, hong_kong) > before, "to hear from it again")
    receiver = Client(shenzhen)
    shenzhen.wait_for(lambda: receiver.verify(document) == "valid", "to have what came with it")


def test_receiver_whose_clock_jumps_never_calls_old_answers_fresh(
    pair: Pair, client: Client
) -> None:
    hong_kong, shenzhen = pair
    receiver = Client(shenzhen)
    client.attest(document := os.urandom(32))
    shenzhen.wait_for(lambda: receiver.verify(document) == "valid", "to have it")
    shenzhen.wait_for(lambda: as_of(shenzhen, hong_kong) != "", "to have an as-of time")
    for jump in (-2 * HOUR, 2 * DAY):  # heartbeats lie in its future, or are older than a day
        shenzhen.move(jump)
        assert receiver.verify(document) == "valid-as-of"
    shenzhen.move(0)
    client.attest(later := os.urandom(32))
    shenzhen.wait_for(lambda: receiver.verify(later) == "valid", "to be sure again")
    assert receiver.verify(document) == "valid"


@pytest.mark.parametrize(
    "moment",
    ["2038-01-19 03:14:05", "2106-02-07 06:28:13", "1970-01-01 00:00:00", "1969-12-31 23:00:00"],
)
def test_gateway_outlives_the_ends_of_its_clock(pair: Pair, client: Client, moment: str) -> None:
    """The seconds where 32 bits end, a clock that was never set, and one from before time."""
    hong_kong, shenzhen = pair
    client.attest()
    hong_kong.set(moment)
    for _ in range(3):
        assert client.attest().status_code in {201, 202, 503}
        hong_kong.wait_for(hong_kong.is_answering, "to answer")
    hong_kong.wait_for(lambda: is_at_rest(hong_kong), "to rest")
    hong_kong.move(0)
    hong_kong.wait_for(lambda: client.attest().status_code == 201, "to issue again")
    made = times_made(hong_kong)
    assert made == sorted(made)
    shenzhen.wait_for_head(hong_kong, len(client.answers))
    assert check_gateway(hong_kong.state, client.answers, client.heads) == []


def test_deadline_passes_though_the_clock_goes_back(pair: Pair, client: Client) -> None:
    """With the HSM away an attestation waits as long as it was told, by the monotonic clock."""
    hong_kong, _ = pair
    client.attest()
    away = Path(f"{hong_kong.token.tokens}-away")
    shutil.move(hong_kong.token.tokens, away)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.attest(wait=3)))
    waiting.start()
    for jump in (DAY, -DAY):
        hong_kong.move(jump)
        assert client.attest(wait=1).status_code in {202, 503}
    waiting.join(PATIENCE)
    assert [answer.status_code for answer in answers] in ([202], [503])
    shutil.move(away, hong_kong.token.tokens)
    hong_kong.wait_for(lambda: client.attest().status_code == 201, "to issue again")
    assert check_gateway(hong_kong.state, client.answers, client.heads) == []

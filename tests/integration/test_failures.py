"""What a gateway does when a part goes away, is killed, or a stranger talks to it."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest
from documents import attest, attest_many, some_document, verify

from chopmark.ledger.store import Store
from rig.gateway import HONG_KONG, MACAO, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that a test may mistreat."""
    made = Cluster(tmp_path_factory.mktemp("f"), (HONG_KONG, SHENZHEN))
    try:
        yield made.start()
    finally:
        made.stop()


def knows(receiver: Gateway, issuer: Gateway) -> bool:
    return receiver.peer(issuer)["as_of"] is not None


def test_receiver_answers_while_the_issuer_is_off_and_follows_again(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    document, later = some_document("issuer off"), some_document("issuer back")
    attest(hong_kong, document)
    shenzhen.wait_for_head(hong_kong, 1)
    shenzhen.wait_for(lambda: knows(shenzhen, hong_kong), "to have an as-of time")
    assert hong_kong.stop() == 0
    assert verify(shenzhen, document)["verdict"] == "valid"
    shenzhen.wait_for(lambda: shenzhen.peer(hong_kong)["online"] is False, "to see it go")
    hong_kong.start()
    attest(hong_kong, later)
    shenzhen.wait_for_head(hong_kong, 2)


def test_gateway_that_was_off_catches_up_with_what_it_missed(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    attest_many(hong_kong, 300)
    shenzhen.wait_for_head(hong_kong, 300)
    shenzhen.stop()
    attest_many(hong_kong, 3000)
    shenzhen.start()
    shenzhen.wait_for_head(hong_kong, 3300)
    assert shenzhen.cli("fsck").returncode == 0


def test_new_gateway_fills_its_replica_from_a_peer_while_the_issuer_is_off(
    fresh: Cluster,
) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    attest_many(hong_kong, 1000)
    shenzhen.wait_for_head(hong_kong, 1000)
    macao = Gateway(shenzhen.folder.parent / "mo-1", MACAO, fresh.broker)
    macao.add_peers([hong_kong, shenzhen])
    hong_kong.stop()
    shenzhen.stop()
    shenzhen.add_peers([macao])
    shenzhen.start()
    try:
        macao.start()
        macao.wait_for_head(hong_kong, 1000)
        assert macao.cli("fsck").returncode == 0
    finally:
        macao.stop()


def test_attesting_goes_on_without_the_broker_and_peers_get_it_afterwards(
    fresh: Cluster,
) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    fresh.broker.kill()
    hong_kong.wait_for(
        lambda: hong_kong.get("/v1/status")["broker"]["state"] == "away", "to notice"
    )
    attest_many(hong_kong, 700)
    fresh.broker.start()
    shenzhen.wait_for_head(hong_kong, 700)


def test_killed_daemon_keeps_every_answered_attestation(fresh: Cluster) -> None:
    """kill -9 while answers flow, several times; then fsck, and a peer's replica."""
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    answered: set[int] = set()
    for round_number in range(4):
        seen = len(answered)
        client = threading.Thread(target=collect_answers, args=(hong_kong, answered))
        client.start()
        enough = seen + 50 * (round_number + 1)
        hong_kong.wait_for(lambda enough=enough: len(answered) >= enough, "to answer")
        hong_kong.kill()
        client.join()
        hong_kong.start()
    size = hong_kong.get("/v1/status")["head"]["size"]
    assert answered
    assert max(answered) < size
    shenzhen.wait_for_head(hong_kong, size)
    for gateway in (hong_kong, shenzhen):
        assert gateway.cli("fsck").returncode == 0


def collect_answers(gateway: Gateway, answered: set[int]) -> None:
    """Attest one by one until the daemon is gone; remember what was answered."""
    connection = HTTPConnection("localhost")
    connection.auto_open = 0  # one that broke stays broken
    with suppress(OSError, HTTPException), socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(gateway.socket))
        while True:
            body = json.dumps({"digests": {"sha256": f"{time.monotonic_ns():064x}"}})
            connection.request("POST", "/v1/attestations", body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 201:
                answered.add(json.loads(text)["index"])


def test_gateway_starts_without_its_hsm_and_verifies(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    document = some_document("hsm late")
    attest(shenzhen, document)
    hong_kong.wait_for_head(shenzhen, 1)
    hong_kong.wait_for(lambda: knows(hong_kong, shenzhen), "to have an as-of time")
    assert hong_kong.stop() == 0
    away = Path(f"{hong_kong.token.tokens}-away")
    shutil.move(hong_kong.token.tokens, away)
    hong_kong.launch()
    hong_kong.wait_for(hong_kong.is_answering, "to answer")
    assert hong_kong.get("/v1/status")["hsm"]["state"] == "away"
    assert verify(hong_kong, document)["verdict"] == "valid"
    shutil.move(away, hong_kong.token.tokens)
    hong_kong.wait_for(hong_kong.is_ready, "to find its token")
    attest(hong_kong, some_document("hsm came"))
    assert hong_kong.is_ready()


def test_stop_lets_running_requests_finish(fresh: Cluster) -> None:
    """What was recorded was answered. A request that was never read is not: its client hears so."""
    hong_kong = fresh["hk-1"]
    statuses: list[int] = []
    before = hong_kong.get("/v1/status")["size"]

    def attest_on() -> None:
        # By TCP: httpx does not close a unix socket that cannot be connected.
        with httpx.Client(
            base_url=f"http://127.0.0.1:{hong_kong.port}", timeout=PATIENCE
        ) as client:
            body = {"digests": {"sha256": "00" * 32}, "duplicates": "again"}
            # In one of three ways, by how the connection is closed between two requests.
            with suppress(httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                while True:
                    statuses.append(client.post("/v1/attestations", json=body).status_code)

    clients = [threading.Thread(target=attest_on) for _ in range(4)]
    for client in clients:
        client.start()
    hong_kong.wait_for(lambda: len(statuses) > 50, "to have attested some")
    assert hong_kong.stop() == 0
    for client in clients:
        client.join()
    assert set(statuses) == {201}
    store = Store(hong_kong.state / "log.db")
    assert store.size == before + len(statuses)
    store.close()
    assert "Cancel" not in hong_kong.log.read_text()


def test_second_daemon_on_one_ledger_is_refused(fresh: Cluster) -> None:
    hong_kong = fresh["hk-1"]
    command = [sys.executable, "-m", "chopmark.service.main", "--config", str(hong_kong.config)]
    second = subprocess.run(
        command, env=hong_kong.environment(), capture_output=True, check=False, timeout=PATIENCE
    )
    assert second.returncode == 73
    assert b"another gateway is running" in second.stderr
    assert hong_kong.is_ready()


def test_without_hsm_issuing_stops_and_verifying_goes_on(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    document = some_document("hsm away")
    attest(shenzhen, document)
    hong_kong.wait_for_head(shenzhen, 1)
    hong_kong.wait_for(lambda: knows(hong_kong, shenzhen), "to have an as-of time")
    away = Path(f"{hong_kong.token.tokens}-away")
    shutil.move(hong_kong.token.tokens, away)
    body = {"digests": {"sha256": "00" * 32}, "wait": 1}
    with hong_kong.client() as client:
        statuses = {client.post("/v1/attestations", json=body).status_code for _ in range(3)}
        assert statuses <= {202, 503}
        refused = lambda: client.post("/v1/attestations", json=body).status_code == 503  # noqa: E731
        hong_kong.wait_for(refused, "to refuse")
        assert client.get("/readyz").status_code == 503
    assert verify(hong_kong, document)["verdict"] == "valid"
    shutil.move(away, hong_kong.token.tokens)
    hong_kong.wait_for(hong_kong.is_ready, "to heal")
    attest(hong_kong, some_document("hsm back"))


def test_damaged_replica_is_named_with_what_to_do_and_fills_again(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    attest_many(hong_kong, 300)
    shenzhen.wait_for_head(hong_kong, 300)
    shenzhen.stop()
    replica = shenzhen.state / "replica" / "hk-1.db"
    for path in replica.parent.glob("hk-1.db-*"):  # else SQLite takes all from its write-ahead log
        path.unlink()
    replica.write_bytes(b"no database" * 1000)
    command = [sys.executable, "-m", "chopmark.service.main", "--config", str(shenzhen.config)]
    done = subprocess.run(
        command, env=shenzhen.environment(), capture_output=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 70
    assert b"a replica fills from its peers" in done.stderr
    for path in replica.parent.glob("hk-1.db*"):
        path.rename(path.with_name(f"damaged-{path.name}"))
    shenzhen.start()
    shenzhen.wait_for_head(hong_kong, 300)
    assert shenzhen.cli("fsck").returncode == 0


def test_lost_or_damaged_index_is_rebuilt_by_itself(fresh: Cluster) -> None:
    hong_kong = fresh["hk-1"]
    documents = [some_document(f"indexed {number}") for number in range(3)]
    for document in documents:
        attest(hong_kong, document)
    folder = hong_kong.state / "index" / "hk-1"
    for damage in (shutil.rmtree, _garble):
        hong_kong.stop()
        assert list(folder.glob("*.run"))
        damage(folder)
        old = [folder.with_name(f"hk-1.db{suffix}") for suffix in ("", "-wal", "-shm")]
        for path in old:  # of earlier versions
            path.write_bytes(b"an index in SQLite")
        hong_kong.start()
        assert {verify(hong_kong, document)["verdict"] for document in documents} == {"valid"}
        assert not any(path.exists() for path in old)
        size = hong_kong.get("/v1/status")["size"]
        expected = {"state": "ready", "position": size, "size": size}
        is_whole = lambda: hong_kong.get("/v1/status")["index"]["hk-1"] == expected  # noqa: B023, E731
        hong_kong.wait_for(is_whole, "to have its index again")
    assert hong_kong.cli("fsck").returncode == 0


def _garble(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"gone " * 100)

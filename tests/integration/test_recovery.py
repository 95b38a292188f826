"""A gateway whose disk was lost or put back: it refuses to sign, says why, and comes back."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from documents import attest, attest_many, digests_of, some_document, verify

from rig.broker import free_port
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway

GOOD = ("valid", "valid-as-of")
"""Verdicts about a document that is known; how fresh they are is not the subject here."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that ask each other, as by default."""
    made = Cluster(
        tmp_path_factory.mktemp("r"), (HONG_KONG, SHENZHEN), "jurisdictions", alone=False
    )
    try:
        yield made.start()
    finally:
        made.stop()


def standing(gateway: Gateway) -> str:
    state: str = gateway.get("/v1/status")["standing"]["state"]
    return state


def refusal(gateway: Gateway) -> dict[str, object]:
    """What an attempt to attest is answered."""
    with gateway.client() as client:
        body = {"digests": digests_of(some_document("refused"))}
        answer = client.post("/v1/attestations", json=body)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        problem: dict[str, object] = answer.json()
        return problem


def wait_for_standing(gateway: Gateway, state: str) -> None:
    gateway.wait_for(gateway.is_answering, "to answer")
    gateway.wait_for(lambda: standing(gateway) == state, f"to be {state}")


def wait_for_cosigned(gateway: Gateway, peer: Gateway, size: int) -> None:
    is_there = lambda: gateway.peer(peer)["cosigned_size"] == size  # noqa: E731 - as short as it gets
    gateway.wait_for(is_there, "to have cosigned its peer's head")


def wait_for_good(gateway: Gateway, document: bytes) -> None:
    """Its peers may have to tell it again what they have cosigned."""
    what = "to know the document, with its quorum"
    gateway.wait_for(lambda: verify(gateway, document)["verdict"] in GOOD, what)


def keep(gateway: Gateway, name: str) -> Path:
    """A copy of the disk; the gateway is stopped."""
    return Path(shutil.copytree(gateway.state, gateway.folder / name))


def put_back(gateway: Gateway, kept: Path) -> None:
    shutil.rmtree(gateway.state)
    shutil.copytree(kept, gateway.state)


def recover(gateway: Gateway, exit_code: int, *more: str) -> dict[str, Any]:
    done = gateway.cli("recover", "--json", *more, check=False)
    assert done.returncode == exit_code, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_kill_is_confirmed_by_a_peer_before_anything_is_signed(pair: Cluster) -> None:
    hong_kong, shenzhen = pair["hk-1"], pair["sz-1"]
    attest(hong_kong, some_document("before the kill"))
    size = hong_kong.get("/v1/status")["size"]
    shenzhen.wait_for_head(hong_kong, size)
    shenzhen.stop()
    hong_kong.kill()
    hong_kong.launch()
    wait_for_standing(hong_kong, "confirming")
    problem = refusal(hong_kong)
    assert problem["code"] == "confirming"
    assert "alone = true" in str(problem["hint"])
    assert hong_kong.get("/v1/status")["ready"] is False
    shenzhen.launch()  # at the same time, and with nothing of its own: it needs no answer
    wait_for_standing(hong_kong, "standing")
    assert attest(hong_kong, some_document("after the kill"))["index"] == size


def test_restored_disk_is_behind_says_why_and_is_recovered(pair: Cluster) -> None:
    hong_kong, shenzhen = pair["hk-1"], pair["sz-1"]
    shenzhen.wait_for(shenzhen.is_ready, "to be ready")
    attest(hong_kong, some_document("in the copy"))
    assert hong_kong.stop() == 0
    older = keep(hong_kong, "old")
    hong_kong.start()
    document = some_document("not in the copy")
    attest(hong_kong, document)
    attest_many(hong_kong, 20)
    attest(shenzhen, some_document("cosigned, and not in the copy"))
    cosigned = shenzhen.get("/v1/status")["size"]
    wait_for_cosigned(hong_kong, shenzhen, cosigned)
    size = hong_kong.get("/v1/status")["size"]
    shenzhen.wait_for_head(hong_kong, size)
    hong_kong.stop()
    put_back(hong_kong, older)
    hong_kong.launch()
    wait_for_standing(hong_kong, "behind")
    problem = refusal(hong_kong)
    assert problem["code"] == "log-behind"
    assert f"signed {size} entries" in str(problem["detail"])
    assert "chopmark recover" in str(problem["hint"])
    wait_for_cosigned(hong_kong, shenzhen, cosigned)  # by what the broker has kept
    status = hong_kong.cli("status").stdout
    assert "ALARM" in status
    assert "behind" in status
    wait_for_good(shenzhen, document)
    hong_kong.stop()
    report = recover(hong_kong, 0)
    assert report["result"] == "goes-on"
    assert Path(report["kept"]).exists()
    with closing(sqlite3.connect(hong_kong.state / "log.db")) as db, db:
        db.execute("DELETE FROM cosigner")  # as in an older copy of the same run
    assert recover(hong_kong, 0)["result"] == "whole"
    assert floors(hong_kong) == {shenzhen.who.origin: cosigned}
    hong_kong.start()
    wait_for_good(hong_kong, document)
    assert attest(hong_kong, some_document("after the recovery"))["index"] == size


def test_restored_disk_and_token_are_behind_by_a_peers_word(pair: Cluster) -> None:
    hong_kong, shenzhen = pair["hk-1"], pair["sz-1"]
    hong_kong.stop()
    tokens = hong_kong.folder / "tokens-old"
    shutil.copytree(hong_kong.token.tokens, tokens)
    older = keep(hong_kong, "with-token")
    hong_kong.start()
    attest(hong_kong, some_document("not in either copy"))
    size = hong_kong.get("/v1/status")["size"]
    shenzhen.wait_for_head(hong_kong, size)
    hong_kong.stop()
    newest = keep(hong_kong, "newest-of-both")
    kept = Path(shutil.copytree(hong_kong.token.tokens, hong_kong.folder / "tokens-newest"))
    for source, state in ((tokens, older), (kept, newest)):
        shutil.rmtree(hong_kong.token.tokens)
        shutil.copytree(source, hong_kong.token.tokens)
        put_back(hong_kong, state)
        if state is older:
            hong_kong.launch()
            wait_for_standing(hong_kong, "behind")
            assert "a checkpoint that was seen" in str(refusal(hong_kong)["detail"])
            hong_kong.stop()
    hong_kong.start()


def floors(gateway: Gateway) -> dict[str, int]:
    """What its cosigner has cosigned, by its database; the gateway is stopped."""
    with closing(sqlite3.connect(gateway.state / "log.db")) as db:
        return dict(db.execute("SELECT origin, size FROM cosigner"))


def test_deleted_database_comes_back_and_every_earlier_proof_holds(pair: Cluster) -> None:
    hong_kong, shenzhen = pair["hk-1"], pair["sz-1"]
    hong_kong.wait_for(hong_kong.is_ready, "to be ready")
    attest(shenzhen, some_document("cosigned by Hong Kong"))
    cosigned = shenzhen.get("/v1/status")["size"]
    wait_for_cosigned(hong_kong, shenzhen, cosigned)
    document = some_document("before the loss")
    proof = attest(hong_kong, document)["proof"]
    attest_many(hong_kong, 600)
    size = hong_kong.get("/v1/status")["size"]
    shenzhen.wait_for_head(hong_kong, size)
    assert hong_kong.stop() == 0
    shutil.rmtree(hong_kong.state)
    hong_kong.cli("witness", "init")
    report = recover(hong_kong, 0)
    assert (report["result"], report["head"]["size"]) == ("goes-on", size)
    assert report["floors_lost"], "the token has a key of which nobody else knows what it signed"
    assert floors(hong_kong) == {shenzhen.who.origin: cosigned}
    assert hong_kong.cli("fsck").returncode == 0
    hong_kong.start()
    assert verify(hong_kong, document, proof=proof)["verdict"] in GOOD
    again = attest(hong_kong, some_document("after the loss"))
    assert again["index"] == size
    shenzhen.wait_for_head(hong_kong, size + 1)
    shenzhen.wait_for(lambda: shenzhen.peer(hong_kong)["state"] == "following", "to follow on")


def test_origin_is_retired_if_it_was_killed_before_the_loss(pair: Cluster) -> None:
    hong_kong, shenzhen = pair["hk-1"], pair["sz-1"]
    document = some_document("before the kill")
    attest(hong_kong, document)
    size = hong_kong.get("/v1/status")["size"]
    shenzhen.wait_for_head(hong_kong, size)
    hong_kong.kill()
    shutil.rmtree(hong_kong.state)
    shenzhen.stop()
    done = hong_kong.cli("recover", "--patience", "1", check=False)
    assert done.returncode == 69
    assert "no peer has answered" in done.stderr
    shenzhen.launch()  # it waits for Hong Kong's word itself, and answers all the same
    shenzhen.wait_for(shenzhen.is_answering, "to answer")
    is_there = lambda: shenzhen.get("/v1/status")["broker"]["state"] == "connected"  # noqa: E731
    shenzhen.wait_for(is_there, "to be where it can be asked")
    report = recover(hong_kong, 10)
    assert (report["result"], report["head"]["size"]) == ("retired", size)
    assert Path(report["report"]).exists()
    hong_kong.launch()
    wait_for_standing(hong_kong, "behind")
    assert refusal(hong_kong)["code"] == "log-behind"
    wait_for_standing(shenzhen, "standing")
    wait_for_good(hong_kong, document)


def test_second_box_with_a_copy_of_disk_and_the_same_token_is_fenced(pair: Cluster) -> None:
    shenzhen = pair["sz-1"]
    shenzhen.stop()
    second = copy_box(shenzhen)
    shenzhen.start()
    try:
        second.launch()
        wait_for_standing(second, "behind")
        assert "another copy of this ledger" in str(refusal(second)["detail"])
        assert standing(shenzhen) == "standing"
    finally:
        second.stop()


def copy_box(gateway: Gateway) -> Gateway:
    """A box with a copy of the disk, beside the one that it was copied from."""
    second = copy.copy(gateway)
    second.state, second.socket = keep(gateway, "second"), gateway.folder / "2.sock"
    second.config, second.log = gateway.folder / "second.toml", gateway.folder / "second.log"
    text = gateway.config.read_text()
    for old, new in (
        (str(gateway.state), str(second.state)),
        (str(gateway.socket), str(second.socket)),
        (str(gateway.port), str(free_port())),
        (str(gateway.metrics_port), str(free_port())),
    ):
        text = text.replace(old, new)
    second.config.write_text(text)
    return second

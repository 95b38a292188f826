"""A real gateway's audit log: what it notes, a killed run, a logged day, proof of a record."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from documents import attest, revoke, some_document

from chopmark.core.audit import Record
from chopmark.ledger import audit as table
from rig.gateway import SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

DAY = 86_400_000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    cluster = Cluster(tmp_path_factory.mktemp("c"), [SHENZHEN])
    try:
        yield cluster.start()["sz-1"]
    finally:
        cluster.stop()


def records(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway.cli("audit", "show", "--json").stdout)
    return found


def actions(gateway: Gateway) -> list[str]:
    return [record["action"] for record in records(gateway)]


def end_of_day(gateway: Gateway) -> None:
    """While the gateway is stopped its clock is at tomorrow for a moment: today is over."""
    later = Record(time.time_ns() // 1_000_000 + DAY, "gateway", "hsm.changed")
    with closing(sqlite3.connect(gateway.state / "log.db")) as db, db:
        table.append(db, [(later, os.urandom(32))])


def test_acts_and_states_are_noted_and_survive_a_kill(gateway: Gateway) -> None:
    made = attest(gateway, some_document("audited"))
    revoke(gateway, made["index"], 3)
    gateway.kill()
    gateway.start()
    with gateway.client() as client:
        answer = client.post("/v1/revocations", json={"index": 999, "reason": 0})
        assert answer.status_code == 422
    started, revoked, again, refused = records(gateway)
    assert (started["action"], started["about"]["before"]) == ("daemon.started", "nothing")
    assert len(started["about"]["config"]) == 64
    assert revoked["actor"] == f"uid {os.getuid()}"
    assert (revoked["outcome"], revoked["about"]) == ("done", {"index": 0, "reason": 3})
    assert (again["action"], again["about"]["before"]) == ("daemon.started", "cut-off")
    assert (refused["action"], refused["outcome"]) == ("revocation", "no-such-attestation")
    assert gateway.cli("audit", "check").returncode == 0
    assert gateway.cli("audit", "prove", "1", check=False).returncode == 66


def test_audit_log_is_not_shown_where_nobody_knows_who_asks(gateway: Gateway) -> None:
    address = f"http://127.0.0.1:{gateway.port}"
    done = gateway.cli("--gateway", address, "audit", "show", "--json", check=False)
    assert done.returncode == 77
    error = json.loads(done.stderr)
    assert error["code"] == "caller-unknown"
    assert "unix socket" in error["hint"]


def test_accounts_and_sessions_are_not_shown_where_nobody_knows_who_asks(gateway: Gateway) -> None:
    with httpx.Client(
        base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False, timeout=PATIENCE
    ) as client:
        asked = [client.get(path) for path in ("/v1/accounts", "/v1/sessions")]
        asked.append(client.post("/v1/sessions/end", json={"client": "user anna"}))
    told = {(answer.status_code, answer.json()["code"]) for answer in asked}
    assert told == {(403, "role-missing")}


def test_day_is_logged_and_one_record_of_it_proven_offline(
    gateway: Gateway, tmp_path: Path
) -> None:
    assert gateway.stop() == 0
    end_of_day(gateway)
    with gateway.config.open("a") as file:
        file.write("\n# changed\n")
    gateway.start()
    gateway.wait_for(lambda: gateway.get("/v1/status")["head"]["size"] >= 4, "to log two days")
    assert actions(gateway)[-4:] == [
        "daemon.stopped",
        "hsm.changed",
        "daemon.started",
        "config.changed",
    ]
    proof, policy = tmp_path / "record.audit-proof", tmp_path / "policy"
    gateway.cli("audit", "prove", "1", "--output", str(proof))
    policy.write_text(gateway.cli("peers", "policy").stdout)
    key = gateway.get("/v1/export")["log_vkey"]
    for trust in (("--policy", str(policy)), ("--log-key", key)):
        done = gateway.cli("audit", "check", str(proof), *trust, "--json")
        told = json.loads(done.stdout)
        assert (told["action"], told["number"], told["about"]["reason"]) == ("revocation", 1, 3)
    assert "proven" in gateway.cli("audit", "check", str(proof), "--log-key", key).stdout
    forged = tmp_path / "forged"
    forged.write_text(proof.read_text().replace("\nindex 1\n", "\nindex 2\n", 1))
    done = gateway.cli("audit", "check", str(forged), "--log-key", key, check=False)
    assert done.returncode == 10
    assert actions(gateway)[-1] == "audit.proved"
    for command in (("audit", "check"), ("fsck",)):
        assert gateway.cli(*command).returncode == 0
    report = json.loads(gateway.cli("audit", "check", "--json").stdout)
    assert (report["days"], report["logged"], report["earlier"]) == (2, 2, 0)


def test_start_after_a_day_was_logged_logs_it_no_second_time(gateway: Gateway) -> None:
    size = gateway.get("/v1/status")["size"]
    gateway.kill()
    gateway.start()
    assert gateway.get("/v1/status")["size"] == size


def test_removed_record_is_found_by_check_and_fsck(gateway: Gateway) -> None:
    gateway.stop()
    with closing(sqlite3.connect(gateway.state / "log.db")) as db, db:
        db.execute("DELETE FROM audit_record WHERE number = 1")
    for command in (("audit", "check"), ("fsck",)):
        done = gateway.cli(*command, check=False)
        assert done.returncode == 10
        assert "audit-chain" in done.stdout

"""proof, revoke, status, peers and log, against a gateway's API."""

import json
import tomllib
from pathlib import Path

import pytest

from chopmark.client.files import proof_path
from chopmark.client.told.status import describe_syslog
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof
from commandline import Run
from socketgateway import Problem, SocketGateway

ORIGIN = "bank-hk.example/hk-1"


def test_proof_of_a_document_is_written_beside_it(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.attest(document.read_bytes())
    done = run("proof", document)
    assert done.code == 0
    assert done.out == f"{ORIGIN}#0  statement.pdf.tlog-proof\n"
    assert parse_proof(proof_path(document).read_bytes()).checkpoint().size == 1


def test_proof_completes_an_older_proof_of_the_same_entry(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.attest(document.read_bytes())
    assert run("proof", document).code == 0
    gateway.log.attest(b"another document")
    assert run("proof", document).code == 0
    assert parse_proof(proof_path(document).read_bytes()).checkpoint().size == 2


@pytest.mark.parametrize("old", ["no proof at all", "another"])
def test_proof_overwrites_nothing_else(
    run: Run, gateway: SocketGateway, document: Path, old: str
) -> None:
    gateway.log.attest(b"another document")
    kept = gateway.log.proof(0) if old == "another" else old.encode()
    proof_path(document).write_bytes(kept)
    gateway.log.attest(document.read_bytes())
    assert run("proof", document).code == 73
    assert proof_path(document).read_bytes() == kept


def test_proof_prefers_an_attestation_that_stands(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.attest(document.read_bytes())
    gateway.log.revoke(gateway.log.attest(document.read_bytes()))
    assert run("proof", document).out.startswith(f"{ORIGIN}#0 ")


@pytest.mark.usefixtures("gateway")
def test_proof_of_a_document_never_attested_is_66(run: Run, document: Path) -> None:
    assert run("proof", document).code == 66


def test_proof_by_index_is_printed_or_written(run: Run, gateway: SocketGateway) -> None:
    gateway.log.attest(b"a document")
    done = run("proof", "hk-1", "0")
    assert done.out.encode() == gateway.log.proof(0)
    (line,) = run("proof", "hk-1", "0", "--json").lines()
    assert line["origin"] == ORIGIN
    assert run("proof", "hk-1", "0", "-o", "x.tlog-proof").code == 0
    assert Path("x.tlog-proof").read_bytes() == gateway.log.proof(0)
    assert run("proof", "hk-1", "0", "-o", "x.tlog-proof").code == 73


@pytest.mark.usefixtures("gateway")
def test_proof_by_index_of_nothing_is_66(run: Run) -> None:
    assert run("proof", "hk-1", "5").code == 66
    assert run("proof", "../x", "0").code == 66


def test_revoke_by_reference(run: Run, gateway: SocketGateway) -> None:
    gateway.log.attest(b"a document")
    done = run("revoke", f"{ORIGIN}#0", "--reason", "fraud")
    assert done.code == 0
    assert done.out.startswith(f"{ORIGIN}#0 is revoked (fraud)\n")
    assert len(gateway.log.entries) == 2


def test_revoke_by_document(run: Run, gateway: SocketGateway, document: Path) -> None:
    gateway.log.attest(document.read_bytes())
    (line,) = run("revoke", document, "--reason", "2", "--json").lines()
    assert (line["revokes"], line["reason"]) == (0, 2)
    done = run("revoke", document)
    assert done.code == 73
    assert "ORIGIN#INDEX" in done.err
    assert len(gateway.log.entries) == 2


def test_revoke_by_document_with_two_attestations_asks_which(
    run: Run, gateway: SocketGateway, document: Path
) -> None:
    gateway.log.attest(document.read_bytes())
    gateway.log.attest(document.read_bytes())
    done = run("revoke", document)
    assert done.code == 64
    assert f"{ORIGIN}#1, {ORIGIN}#0" in done.err


def test_revoke_of_another_log_is_77(run: Run, gateway: SocketGateway) -> None:
    done = run("revoke", "bank-sz.example/sz-1#0")
    assert done.code == 77
    assert gateway.requests == ["GET /v1/export"]


@pytest.mark.usefixtures("gateway")
def test_revoke_of_nothing_is_65(run: Run) -> None:
    assert run("revoke", f"{ORIGIN}#9").code == 65


@pytest.mark.parametrize("arguments", [["here"], [f"{ORIGIN}#0", "--reason", "why"]])
def test_revoke_wrong_usage_is_64(run: Run, gateway: SocketGateway, arguments: list[str]) -> None:
    assert run("revoke", *arguments).code == 64
    assert gateway.requests == []


def test_revoke_of_a_missing_file_says_so(run: Run) -> None:
    assert "no such file, and no reference: statement.pdf" in run("revoke", "statement.pdf").err


@pytest.mark.usefixtures("gateway")
def test_status_for_people_and_programs(run: Run) -> None:
    done = run("status")
    assert done.code == 0
    assert done.out.startswith("hk-1  ready\n")
    brokers = [line for line in done.out.splitlines() if "broker" in line]
    assert "connected" in brokers[0]
    assert "127.0.0.1" in brokers[0]
    assert "away" in brokers[1]
    assert "far.example" in brokers[1]
    assert "slowed for a peer that is behind: sz-1 lacks 140000" in done.out
    assert "rebuilding, position 3, size 7" in done.out
    assert "index hk-1" not in done.out
    assert run("status", "--json").lines()[0]["origin"] == ORIGIN


def test_status_shows_disk_lag_and_alarms(run: Run, gateway: SocketGateway) -> None:
    quiet = run("status").out
    assert "91.5% used, 8.5 GB free, full in 12.5 days at this rate" in quiet
    assert "at most 3.2 ms late" in quiet
    assert "ALARM" not in quiet
    assert "365 days after validity has ended; entries removed: 16384 of sz-1; looked 20" in quiet
    message = "the disk is 91.5% full: issuing stops at 97%"
    gateway.alarms = [{"code": "storage-alarm", "message": message, "hint": "free\x1b space"}]
    done = run("status")
    assert f"ALARM {message}" in done.out
    assert "hint: free\\x1b space" in done.out
    assert run("status", "--json").lines()[0]["alarms"] == gateway.alarms


def test_status_of_a_disk_that_is_full_soon_warns(run: Run, gateway: SocketGateway) -> None:
    assert "WARNING" not in run("status").out
    gateway.storage = {"used": 0.4, "free_bytes": 10**9, "days_left": 0.4, "soon": True}
    assert "WARNING the disk is full in 0.4 days" in run("status").out


def test_status_says_how_the_audit_log_gets_to_its_receiver() -> None:
    part = {"state": "away", "host": "siem.example", "port": 6514, "waiting": 7, "reason": "why"}
    assert describe_syslog(part) == "away (siem.example:6514), 7 records wait: why"
    assert describe_syslog(None) is None


@pytest.mark.usefixtures("gateway")
def test_peers_is_a_table_of_clean_text(run: Run) -> None:
    done = run("peers")
    assert done.code == 0
    assert done.out == run("peers", "list").out
    assert "Bank of \\x1b[31mShenzhen [bold]" in done.out
    assert "\x1b" not in done.out
    assert run("peers", "--json").lines()[0][0]["id"] == "sz-1"


@pytest.mark.usefixtures("gateway")
def test_peers_table_is_not_cut_off_in_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "2026-11-22T13:00:00Z" in run("peers").out


def test_peers_export_is_a_peer_block(run: Run, gateway: SocketGateway) -> None:
    (peer,) = tomllib.loads(run("peers", "export").out)["peer"]
    assert peer["log_vkey"] == gateway.log.log_key.encode()
    assert run("peers", "export", "--json").lines()[0]["id"] == "hk-1"


def test_peers_policy_is_a_policy(run: Run, gateway: SocketGateway) -> None:
    policy = parse_policy(run("peers", "policy").out.encode())
    assert policy.logs == (gateway.log.log_key,)
    run("peers", "policy", "sz-1")
    assert gateway.requests[-1] == "GET /v1/policy?id=sz-1"


def test_log_show_gives_the_newest_by_default(run: Run, gateway: SocketGateway) -> None:
    for number in range(5):
        gateway.log.attest(b"%d" % number)
    gateway.log.revoke(0, 4)
    done = run("log", "show", "--limit", "2", "--json")
    (entries,) = done.lines()
    assert [entry["index"] for entry in entries] == [4, 5]
    table = run("log", "show", "--after", "3").out
    assert "revokes 0: fraud" in table
    assert len(table.splitlines()) == 3


def test_log_show_pages_through_many(run: Run, gateway: SocketGateway) -> None:
    for number in range(1005):
        gateway.log.attest(b"%d" % number)
    done = run("log", "show", "--after", "-1", "--limit", "2000", "--json")
    assert len(done.lines()[0]) == 1005


def test_log_show_of_no_entries_is_64(run: Run, gateway: SocketGateway) -> None:
    assert run("log", "show", "--limit", "0").code == 64
    assert gateway.requests == []


@pytest.mark.usefixtures("gateway")
def test_log_show_of_an_empty_log(run: Run) -> None:
    assert run("log", "show").out == "no entries\n"


def test_errors_are_problems_for_programs(run: Run, gateway: SocketGateway) -> None:
    gateway.problem = Problem(503, "hsm-away", "the HSM is away", "wait")
    done = run("--json", "status")
    assert done.code == 75
    assert done.out == ""
    problem = json.loads(done.err)
    assert problem["code"] == "hsm-away"
    assert problem["exit_code"] == 75


def test_peers_tells_below_the_table_why_a_replica_stands_still(
    run: Run, monkeypatch: pytest.MonkeyPatch, gateway: SocketGateway
) -> None:
    peer = {"id": "sz-1", "state": "failed", "reason": "two signed heads of size 2 differ"}
    monkeypatch.setattr("chopmark.client.gateway.GatewayClient.peers", lambda _: [peer])
    assert run("peers").out.endswith("\nsz-1 failed: two signed heads of size 2 differ\n")
    assert gateway.requests == []


@pytest.mark.usefixtures("gateway")
def test_peers_names_the_successor_of_a_log_that_has_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = {"id": "sz-1", "state": "following", "successor": "bank-sz.example/sz-2"}
    monkeypatch.setattr("chopmark.client.gateway.GatewayClient.peers", lambda _: [peer])
    assert run("peers").out.endswith("sz-1 has ended: bank-sz.example/sz-2 is its successor\n")

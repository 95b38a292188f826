"""Three real gateways in three places: the quorum, its absence, and what survives a kill."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from documents import LONGEST, attest, digests_of, some_document, verify

from chopmark.core.note import parse_note
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof, verify_proof
from rig.gateway import Cluster, Gateway


@pytest.fixture(scope="module")
def witnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three gateways, each of another jurisdiction; each test leaves them running."""
    made = Cluster(tmp_path_factory.mktemp("w"), rule="jurisdictions")
    try:
        yield made.start()
    finally:
        made.stop()


def submit(gateway: Gateway, data: bytes, **more: Any) -> tuple[int, dict[str, Any]]:
    """Attest; gives the status and the answer."""
    with gateway.client() as client:
        body = {"digests": digests_of(data), "kind": "bank-statement", "wait": LONGEST, **more}
        answer = client.post("/v1/attestations", json=body)
        return answer.status_code, answer.json()


def policy_of(gateway: Gateway, member: str = "hk-1") -> bytes:
    with gateway.client() as client:
        return client.get("/v1/policy", params={"id": member}).raise_for_status().content


def cosigners(proof: str) -> set[str]:
    lines = parse_note(parse_proof(proof.encode()).note).signatures
    return {line.name for line in lines if line.name.endswith("/cosigner")}


def rows(gateway: Gateway) -> dict[str, tuple[int, bytes, int]]:
    """What the gateway's cosigner has cosigned, by origin."""
    path = gateway.state / "log.db"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT origin, size, root, time FROM cosigner").fetchall()
    return {origin: (size, root, time) for origin, size, root, time in found}


def test_attest_waits_for_institutions_on_both_sides_of_the_border(witnesses: Cluster) -> None:
    status, made = submit(witnesses["hk-1"], some_document("quorum"))

    assert (status, made["state"]) == (201, "witnessed")
    assert "provisional" not in made
    assert cosigners(made["proof"]) == {
        "bank-sz.example/sz-1/cosigner",
        "bank-mo.example/mo-1/cosigner",
    }
    for gateway in witnesses.gateways.values():
        policy = parse_policy(policy_of(gateway))
        proven = verify_proof(parse_proof(made["proof"].encode()), policy)
        assert proven.quorum
        assert proven.existed_by is not None


def test_every_gateway_names_who_countersigned_and_who_could_not(witnesses: Cluster) -> None:
    document = some_document("verdict")
    made = submit(witnesses["hk-1"], document)[1]
    for name in ("sz-1", "mo-1", "hk-1"):
        gateway = witnesses[name]
        gateway.wait_for(lambda g=gateway: is_reached(g, document), "to hear of the quorum")  # type: ignore[misc]
        gateway.wait_for(lambda g=gateway: is_fresh(g, document), "to hear a heartbeat")  # type: ignore[misc]
        verdict = verify(gateway, document)
        (found,) = verdict["attestations"]
        assert found["existed_by"] >= found["made_at"][:19]
        assert {one["name"] for one in found["witnesses"]} == cosigners(made["proof"])
        assert "Countersigned by" in verdict["sentence"]
        assert "No other institution of HK than the issuer's" in verdict["sentence"]


def is_fresh(gateway: Gateway, document: bytes) -> bool:
    """Whether the issuer has vouched for a head of its log that is held here."""
    return all(one["as_of"] is not None for one in verify(gateway, document)["attestations"])


def is_reached(gateway: Gateway, document: bytes) -> bool:
    found = verify(gateway, document)["attestations"]
    return [one["quorum"] for one in found] == ["reached"]


def test_batch_waits_for_the_quorum_where_asked(witnesses: Cluster) -> None:
    lines = b"".join(
        b'{"sha256":"%s"}\n' % digests_of(some_document(f"batch {n}"))["sha256"].encode()
        for n in range(300)
    )
    with witnesses["mo-1"].client() as client:
        query = {"until": "witnessed", "proofs": 1, "wait": LONGEST}
        answer = client.post("/v1/attestations:batch", params=query, content=lines)
    made = [json.loads(line) for line in answer.text.splitlines()]

    assert {one["state"] for one in made} == {"witnessed"}
    assert all(len(cosigners(one["proof"])) == 2 for one in made)


def test_without_a_witness_a_proof_is_provisional_and_completed_later(
    witnesses: Cluster, tmp_path: Path
) -> None:
    hk, mo = witnesses["hk-1"], witnesses["mo-1"]
    file = tmp_path / "statement.pdf"
    file.write_bytes(some_document("provisional"))
    proof = tmp_path / "statement.pdf.tlog-proof"
    mo.stop()
    try:
        done = hk.cli("attest", str(file), "--wait", "5s", check=False)
        assert done.returncode == 6, done.stderr
        assert "provisional" in done.stdout
        assert verify(hk, file.read_bytes())["verdict"] == "unwitnessed"
        policy = parse_policy(policy_of(hk))
        assert not verify_proof(parse_proof(proof.read_bytes()), policy).quorum
        status, made = submit(hk, some_document("until signed"), until="signed")
        assert (status, made["state"], made["provisional"]) == (201, "signed", True)
        status, made = submit(hk, some_document("no time"), wait=5)
        assert (status, made["state"], made["provisional"]) == (202, "signed", True)
        hk.wait_for(lambda: hk.get("/v1/status")["witnessed"]["state"] == "missing", "to miss it")
        assert [one["code"] for one in hk.get("/v1/status")["alarms"]] == ["quorum-missing"]
    finally:
        mo.start()
    hk.wait_for(lambda: is_reached(hk, file.read_bytes()), "to get its quorum")

    assert hk.cli("proof", str(file)).returncode == 0
    proven = verify_proof(parse_proof(proof.read_bytes()), policy)
    assert proven.quorum
    assert verify(hk, file.read_bytes())["verdict"] == "valid"
    # Those behind it may have a head of their own, and a quorum that comes after.
    hk.wait_for(lambda: hk.get("/v1/status")["alarms"] == [], "to miss nothing")


def test_no_row_of_the_cosigner_goes_back_when_it_is_killed(witnesses: Cluster) -> None:
    hk, sz = witnesses["hk-1"], witnesses["sz-1"]
    attest(hk, some_document("before the kill"))
    before = rows(sz)
    sz.kill()
    stored = rows(sz)
    for number in range(3):
        submit(hk, some_document(f"while it is away {number}"), until="signed")
    sz.start()
    status, made = submit(hk, some_document("after the kill"))
    after = rows(sz)

    assert (status, made["state"]) == (201, "witnessed")
    for origin, (size, root, time) in stored.items():
        assert before[origin][0] <= size <= after[origin][0]
        assert before[origin][2] <= time <= after[origin][2]
        assert after[origin][0] > size or after[origin][1] == root
    assert after["bank-hk.example/hk-1"][0] > made["index"]


def test_metrics_say_how_far_each_witness_is(witnesses: Cluster) -> None:
    hk = witnesses["hk-1"]
    made = submit(hk, some_document("metrics"))[1]
    text = hk.metrics()
    shown = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    assert float(shown["chopmark_log_witnessed_entries"]) > made["index"]
    assert float(shown["chopmark_quorum_missing"]) == 0
    for peer in ("sz-1", "mo-1"):
        assert float(shown[f'chopmark_witness_lag_entries{{peer="{peer}"}}']) == 0

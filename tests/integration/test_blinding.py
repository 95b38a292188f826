"""Blinded attestations on real gateways: what others see, what the proof shows, what is kept."""

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from documents import attest, digests_of, revoke, some_document, verify

from chopmark.client.compact import CompactRequest
from chopmark.client.gateway import GatewayClient
from chopmark.core.check import compare
from chopmark.core.compact import Header
from chopmark.core.digest import digest_stream
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.proof import parse_extra, parse_proof
from chopmark.core.verdict import Match
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways; each test leaves them running."""
    made = Cluster(tmp_path_factory.mktemp("b"), (HONG_KONG, SHENZHEN))
    try:
        made.start()
        made["sz-1"].wait_for(
            lambda: made["sz-1"].peer(made["hk-1"])["as_of"] is not None, "to know hk-1"
        )
        yield made
    finally:
        made.stop()


def entry_of(proof: str | bytes) -> Attestation:
    data = proof.encode() if isinstance(proof, str) else proof
    entry = parse_entry(parse_extra(parse_proof(data).extra).entry)
    assert isinstance(entry, Attestation)
    return entry


def salt_of(proof: str | bytes) -> bytes | None:
    data = proof.encode() if isinstance(proof, str) else proof
    return parse_extra(parse_proof(data).extra).salt


def settle(pair: Cluster, made: dict[str, Any]) -> None:
    pair["sz-1"].wait_for_head(pair["hk-1"], made["index"] + 1)


def log_of(gateway: Gateway) -> Path:
    return next(gateway.folder.rglob("log.db"))


def test_document_is_found_by_its_proof_and_by_nothing_else(pair: Cluster) -> None:
    document, sz = some_document("blinded"), pair["sz-1"]
    made = attest(pair["hk-1"], document, blinded=True)
    settle(pair, made)
    entry = entry_of(made["proof"])
    assert entry.blinded
    assert entry.made_at % 60_000 == 0
    assert made["blinded"] is True
    assert made["made_at"].endswith(":00.000Z")
    assert made["digests"] == digests_of(document)

    unknown = verify(sz, document)
    assert (unknown["verdict"], unknown["attestations"]) == ("unknown", [])
    assert "by their proof only" in unknown["sentence"]
    good = verify(sz, document, proof=made["proof"])
    assert good["verdict"] == "valid"
    assert good["attestations"][0]["digests_checked"] == ["sha256", "sm3"]
    assert verify(sz, some_document("another"), proof=made["proof"])["verdict"] == "mismatch"
    reference = f"{made['origin']}#{made['index']}"
    pointed = verify(sz, document, reference=reference)
    assert (pointed["verdict"], "blinded" in pointed["sentence"]) == ("mismatch", True)
    with sz.client() as client:  # what stands in the entry is no digest that anybody looks up
        asked = {"digests": {"sha256": entry.sha256.hex()}}
        assert client.post("/v1/verifications", json=asked).json()["verdict"] == "unknown"


def test_salt_is_in_the_proof_and_not_in_clear_on_any_disk(pair: Cluster) -> None:
    made = attest(pair["hk-1"], some_document("where"), blinded=True)
    salt = salt_of(made["proof"])
    assert salt is not None
    settle(pair, made)
    for gateway in (pair["hk-1"], pair["sz-1"]):
        for path in gateway.folder.rglob("*"):
            with suppress(FileNotFoundError):  # both are at work, and remove files
                assert not path.is_file() or salt not in path.read_bytes(), path


def test_issuer_gives_the_proof_again_for_a_day_also_after_a_restart(pair: Cluster) -> None:
    hk = pair["hk-1"]
    made = attest(hk, some_document("again"), blinded=True)
    path = f"/v1/proofs/hk-1/{made['index']}"
    hk.stop()
    hk.start()

    def again(*, bare: bool = False) -> Any:
        with hk.client() as client:
            return client.get(path, params={"bare": "true"} if bare else {})

    hk.wait_for(lambda: again().status_code == 200, "to give a proof again")
    assert salt_of(again().text) == salt_of(made["proof"])
    bare = again(bare=True).text
    assert (salt_of(bare), entry_of(bare)) == (None, entry_of(made["proof"]))
    with pair["sz-1"].client() as client:  # others hold the entry, and never had its salt
        settle(pair, made)
        assert client.get(path).json()["code"] == "salt-gone"

    with sqlite3.connect(log_of(hk), timeout=PATIENCE) as db:  # as if its day were over
        db.execute("UPDATE seed SET until = 1")
    hk.stop()
    hk.start()
    hk.wait_for(lambda: again().status_code == 404, "to have forgotten")
    assert again().json()["code"] == "salt-gone"
    assert again(bare=True).status_code == 200


def test_batch_of_both_sorts_says_each_ones_time(pair: Cluster) -> None:
    hk = pair["hk-1"]
    lines = [
        {"sha256": os.urandom(32).hex(), "kind": "bank-statement", "blinded": number % 2 == 1}
        for number in range(6)
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with hk.client() as client:
        answer = client.post("/v1/attestations:batch?proofs=1", content=body)
    made = [json.loads(line) for line in answer.text.splitlines()]
    for line, one in zip(lines, made, strict=True):
        entry, salt = entry_of(one["proof"]), salt_of(one["proof"])
        assert entry.blinded is line["blinded"]
        assert one["made_at"].endswith(":00.000Z") or not entry.blinded
        digests, _ = digest_stream([])
        asked = type(digests)(bytes.fromhex(line["sha256"]))
        assert compare(entry, asked, one.get("origin", "bank-hk.example/hk-1"), salt) == Match.ALL


def test_compact_request_is_blinded_and_proven_by_the_client(pair: Cluster) -> None:
    hk = pair["hk-1"]
    header = Header(os.urandom(16), "bank-statement", with_sm3=True, blinded=True)
    data = os.urandom(64 * 3000)
    with GatewayClient(hk.address) as client:
        request = CompactRequest(client, header, data)
        assert request.record(1000)
        hk.kill()
        hk.start()
        later = CompactRequest(client, header, data, recorded=500)
        while later.record(1000):
            pass
        prover = later.prove(60, "witnessed")
        assert prover is not None
        origin = prover.checkpoint.origin
        digests, _ = digest_stream([])
        for number in (0, 1, 63, 64, 999, 1000, 2999):
            proof = prover.proof(number)
            extra = parse_extra(proof.extra)
            entry = parse_entry(extra.entry)
            assert isinstance(entry, Attestation)
            both = data[64 * number : 64 * number + 64]
            asked = type(digests)(both[:32], both[32:])
            assert compare(entry, asked, origin, extra.salt) == Match.ALL
            assert client.proof("hk-1", proof.index).count(b"\n") > 3
            held = parse_proof(client.proof("hk-1", proof.index))
            assert parse_extra(held.extra) == extra


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_commands_attest_verify_renew_and_revoke_by_the_proof_beside(
    pair: Cluster, tmp_path: Path
) -> None:
    hk, sz = pair["hk-1"], pair["sz-1"]
    file = tmp_path / "kyc.pdf"
    file.write_bytes(os.urandom(500))
    made = json.loads(
        hk.cli("--json", "attest", str(file), "--blinded", "--kind", "bank-statement").stdout
    )
    sz.wait_for_head(hk, made["index"] + 1)
    assert json.loads(sz.cli("--json", "verify", str(file)).stdout)["verdict"] == "valid"
    alone = sz.cli("--json", "verify", str(file), "--no-proof", check=False)
    assert alone.returncode == 2
    proof = tmp_path / "kyc.pdf.tlog-proof"
    salt = salt_of(proof.read_bytes())
    assert mode_of(proof) == 0o600
    sz.cli("proof", str(file))  # a receiver completes it, who has no salt but this one
    assert salt_of(proof.read_bytes()) == salt
    assert mode_of(proof) == 0o600
    whole, bare = tmp_path / "whole", tmp_path / "bare"
    hk.cli("proof", "hk-1", str(made["index"]), "-o", str(whole))
    sz.cli("proof", "hk-1", str(made["index"]), "--bare", "-o", str(bare))
    assert [mode_of(one) for one in (whole, bare)] == [0o600, 0o644]
    hk.cli("revoke", str(file), "--reason", "error")
    size = hk.get("/v1/status")["size"]
    sz.wait_for_head(hk, size)
    assert json.loads(sz.cli("--json", "verify", str(file), check=False).stdout)["verdict"] == (
        "revoked"
    )


def test_manifest_with_both_digests_is_blinded(pair: Cluster, tmp_path: Path) -> None:
    hk = pair["hk-1"]
    names = [f"{number}.pdf" for number in range(5)]
    contents = [os.urandom(100) for _ in names]
    for name, content in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(content)
    lists = {"sha256": tmp_path / "sums", "sm3": tmp_path / "sums.sm3"}
    for algorithm, path in lists.items():
        path.write_text(
            "".join(
                f"{digests_of(content)[algorithm]} *{tmp_path / name}\n"
                for name, content in zip(names, contents, strict=True)
            )
        )
    told = hk.cli(
        *("attest", "--manifest", str(lists["sha256"]), "--sm3", str(lists["sm3"])),
        *("--blinded", "--kind", "bank-statement"),
    )
    assert "5 documents attested" in told.stdout
    for name in names:
        assert mode_of(tmp_path / f"{name}.tlog-proof") == 0o600
        found = json.loads(hk.cli("--json", "verify", str(tmp_path / name)).stdout)
        assert found["verdict"] == "valid"
        assert found["attestations"][0]["digests_checked"] == ["sha256", "sm3"]


def test_blinded_document_of_a_wrong_kind_is_replaced_by_itself_alone(pair: Cluster) -> None:
    hk, document = pair["hk-1"], some_document("of a wrong kind")
    wrong = attest(hk, document, blinded=True)["index"]
    with hk.client() as client:
        asked = {"kind": "diploma", "supersedes": wrong, "digests": digests_of(b"another")}
        refused = client.post("/v1/attestations", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (422, "kind-differs")
    assert "for 24 hours" in refused.json()["hint"]
    plain = attest(hk, document, kind="diploma", supersedes=wrong)
    hidden = attest(hk, document, kind="diploma", supersedes=wrong, blinded=True)
    assert plain["index"] < hidden["index"]


def test_chain_of_supersession_is_shown(pair: Cluster) -> None:
    hk, sz = pair["hk-1"], pair["sz-1"]
    first = attest(hk, some_document("chain 1"))
    second = attest(hk, some_document("chain 2"), supersedes=first["index"])
    third = attest(hk, some_document("chain 3"), supersedes=second["index"], blinded=True)
    settle(pair, third)
    found = verify(sz, some_document("chain 1"))
    assert found["verdict"] == "superseded"
    links = found["attestations"][0]["supersession"]
    assert [(one["index"], one["standing"]) for one in links] == [
        (second["index"], "superseded"),
        (third["index"], "live"),
    ]
    assert f"What counts now is entry {third['index']}." in found["sentence"]
    gone = revoke(hk, third["index"], 1)
    settle(pair, gone)
    found = verify(sz, some_document("chain 1"))
    assert found["attestations"][0]["supersession"][-1]["standing"] == "revoked"

"""The compact form on real parts: SoftHSM, SQLite, separate processes, kill -9 in the middle."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from documents import attest_many

from chopmark.client.compact import CompactRequest
from chopmark.client.gateway import GatewayClient
from chopmark.client.offline import verify_offline
from chopmark.core.compact import AnswerReader, End, Failure, Header
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.merkle import leaf_hash, root_from_inclusion
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_extra, verify_proof
from chopmark.core.prover import RunProver
from chopmark.core.verdict import Question
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway

NOW = 2_000_000_000_000


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that a test may mistreat."""
    made = Cluster(tmp_path_factory.mktemp("k"), (HONG_KONG, SHENZHEN))
    try:
        yield made.start()
    finally:
        made.stop()


def digests(count: int, seed: int, width: int = 32) -> bytes:
    made = (sha256(b"%d/%d" % (seed, number)).digest() for number in range(count))
    return b"".join(digest + bytes(reversed(digest)) * (width // 32 - 1) for digest in made)


def check(prover: RunProver, client: GatewayClient, data: bytes, header: Header) -> None:
    """Each digest has a proof that holds, of an entry of its own; some signatures suffice."""
    policy = parse_policy(client.policy())
    indexes = set()
    head = prover.checkpoint
    for number, proof in enumerate(prover.proofs()):
        if number % 500 == 0:
            verify_proof(proof, policy)
        leaf_data = parse_extra(proof.extra).entry
        leaf = leaf_hash(leaf_data)
        assert root_from_inclusion(leaf, proof.index, head.size, proof.hashes) == head.root
        entry = parse_entry(leaf_data)
        assert isinstance(entry, Attestation)
        both = entry.sha256 + (entry.sm3 or b"")
        assert both == data[number * header.width : (number + 1) * header.width]
        assert (entry.kind, entry.valid_until) == (header.kind, header.valid_until)
        indexes.add(proof.index)
    assert len(indexes) == len(data) // header.width


def post(gateway: Gateway, header: Header, data: bytes, wait: int = 60) -> AnswerReader:
    with gateway.client() as client:
        path = f"/v1/attestations:compact?wait={wait}"
        answer = client.post(path, content=header.encode() + data)
        assert answer.status_code == 200, answer.text
    reader = AnswerReader(header.offset)
    list(reader.feed(answer.content))
    reader.finish()
    return reader


def test_request_among_others_is_proven_by_the_client_alone(fresh: Cluster) -> None:
    hong_kong, shenzhen = fresh["hk-1"], fresh["sz-1"]
    header = Header(os.urandom(16), "bank-statement", NOW, with_sm3=True)
    data = digests(3000, 1, 64)
    with GatewayClient(hong_kong.address) as client:
        attest_many(hong_kong, 77)
        request = CompactRequest(client, header, data)
        while request.record(700):
            attest_many(hong_kong, 3)
        prover = request.prove(60)
        assert prover is not None
        check(prover, client, data, header)
        own = prover.proof(1234)
        served = client.proof("hk-1", own.index)
        assert served == own.encode()
        one = Digests(data[1234 * 64 : 1234 * 64 + 32], data[1234 * 64 + 32 : 1235 * 64])
        policy = client.policy()
        assert verify_offline(one, own.encode(), policy, Question(NOW - 1)).word == "valid-as-of"
    shenzhen.wait_for_head(hong_kong, 77 + 3000)
    for gateway in (hong_kong, shenzhen):
        assert gateway.cli("fsck").returncode == 0


def test_request_outlives_a_gateway_that_is_killed(fresh: Cluster) -> None:
    """kill -9 while runs are answered, three times, and nothing is recorded twice."""
    hong_kong = fresh["hk-1"]
    header = Header(os.urandom(16))
    data = digests(100_000, 2)
    kills = [20_000, 50_000, 70_000]

    def tell(recorded: int) -> None:
        if kills and recorded >= kills[0]:
            kills.pop(0)
            hong_kong.kill()
            hong_kong.launch()

    with GatewayClient(hong_kong.address) as client:
        request = CompactRequest(client, header, data, tell=tell)
        while request.record():
            pass
        assert not kills
        prover = request.prove(60)
        assert prover is not None
        assert prover.checkpoint.size == 100_000
        check(prover, client, data, header)
    hong_kong.stop()
    assert hong_kong.cli("fsck").returncode == 0


def test_two_senders_of_one_request_record_it_once(fresh: Cluster) -> None:
    hong_kong = fresh["hk-1"]
    header, data = Header(os.urandom(16)), digests(50_000, 3)
    code = f"""
import sys
from chopmark.client.compact import CompactRequest
from chopmark.client.gateway import GatewayClient
from chopmark.core.compact import Header
with GatewayClient({hong_kong.address!r}) as client:
    request = CompactRequest(client, Header({header.request!r}), sys.stdin.buffer.read())
    while request.record(5000):
        pass
    assert request.prove(60) is not None
"""
    senders = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for _ in range(2)
    ]
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write(data)
        sender.stdin.close()
    assert [sender.wait(120) for sender in senders] == [0, 0]
    assert hong_kong.get("/v1/status")["head"]["size"] == 50_000


def test_request_that_is_not_the_one_before_is_refused(fresh: Cluster) -> None:
    hong_kong = fresh["hk-1"]
    request = os.urandom(16)
    data = digests(10, 4)
    assert isinstance(post(hong_kong, Header(request), data).last, End)
    changed = bytes(32) + data[32:]
    last = post(hong_kong, Header(request), changed).last
    assert isinstance(last, Failure)
    assert last.code == "compact-mismatch"
    for header in (
        Header(request, "k"),
        Header(request, valid_until=NOW),
        Header(request, with_sm3=True),
        Header(request, offset=11),
    ):
        with hong_kong.client() as client:
            answer = client.post("/v1/attestations:compact", content=header.encode())
        assert answer.status_code == 422
        expected = "compact-gap" if header.offset else "compact-mismatch"
        assert answer.json()["code"] == expected
    again = post(hong_kong, Header(request, offset=4), data[4 * 32 :])
    assert [(run.first, run.start, run.count) for run in again.runs] == [(4, 4, 6)]
    end = post(hong_kong, Header(request, offset=10), b"")
    assert (end.runs, type(end.last)) == ([], End)
    assert hong_kong.get("/v1/status")["head"]["size"] == 10


def test_command_attests_a_manifest_and_the_proofs_verify(fresh: Cluster, tmp_path: Path) -> None:
    hong_kong = fresh["hk-1"]
    folder, proofs = tmp_path / "documents", tmp_path / "proofs"
    folder.mkdir()
    proofs.mkdir()
    for number in range(300):
        (folder / f"statement {number}.pdf").write_bytes(b"statement %d" % number)
    files = sorted(folder.iterdir())
    done = subprocess.run(["sha256sum", *map(str, files)], check=True, capture_output=True)
    manifest = tmp_path / "manifest"
    manifest.write_bytes(done.stdout)
    arguments = ["attest", "--manifest", str(manifest), "--proofs", str(proofs), "--json"]
    told: dict[str, Any] = json.loads(hong_kong.cli(*arguments).stdout)
    assert (told["count"], told["state"], told["proofs_written"]) == (300, "signed", 300)
    assert len(list(proofs.iterdir())) == 300
    policy = tmp_path / "policy"
    policy.write_text(hong_kong.cli("peers", "policy").stdout)
    for file in (files[0], files[150]):
        proof = proofs / f"{file.name}.tlog-proof"
        command = ["verify", str(file), "--proof", str(proof)]
        assert hong_kong.cli(*command).returncode == 0
        offline = hong_kong.cli(*command, "--policy", str(policy), check=False)
        assert offline.returncode == 5
    assert hong_kong.cli(*arguments, check=False).returncode == 73
    assert hong_kong.get("/v1/status")["head"]["size"] == 300


def test_client_that_leaves_in_the_middle_leaves_a_gateway_that_works(fresh: Cluster) -> None:
    hong_kong = fresh["hk-1"]
    header, data = Header(os.urandom(16)), digests(40_000, 5)

    def broken() -> Iterator[bytes]:
        yield header.encode()
        yield data[: 20_000 * 32 + 7]
        raise ConnectionAbortedError

    with hong_kong.client() as client, pytest.raises((ConnectionAbortedError, httpx.HTTPError)):
        client.post("/v1/attestations:compact", content=broken())
    with GatewayClient(hong_kong.address) as client:
        # What came before the cut may still be on its way to the disk (`request-moved`, try again).
        assert not CompactRequest(client, header, data).record()
    hong_kong.wait_for(
        lambda: hong_kong.get("/v1/status")["head"]["size"] == 40_000, "to have them once"
    )

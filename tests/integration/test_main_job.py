"""The main job on real gateways: attested in Hong Kong, verified in Shenzhen."""

import pytest
from documents import attest, attest_many, digests_of, revoke, some_document, verify

from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_extra, parse_proof, verify_proof
from rig.gateway import Cluster, Gateway


@pytest.fixture
def hong_kong(cluster: Cluster) -> Gateway:
    return cluster["hk-1"]


@pytest.fixture
def shenzhen(cluster: Cluster) -> Gateway:
    return cluster["sz-1"]


def carry(issuer: Gateway, receiver: Gateway, index: int) -> None:
    receiver.wait_for_head(issuer, index + 1)
    receiver.wait_for(lambda: receiver.peer(issuer)["as_of"] is not None, "to have an as-of time")


def test_document_is_valid_by_digest_at_every_other_gateway(
    cluster: Cluster, hong_kong: Gateway
) -> None:
    document = some_document("valid everywhere")
    made = attest(hong_kong, document)
    for member in ("sz-1", "mo-1"):
        carry(hong_kong, cluster[member], made["index"])
        verdict = verify(cluster[member], document)
        assert verdict["verdict"] == "valid", verdict
        assert verdict["attestations"][0]["source"] == "replica"
        assert verdict["attestations"][0]["quorum"] == "none"
        assert verdict["as_of"] is not None


def test_document_is_valid_with_proof_and_mismatch_when_one_byte_differs(
    hong_kong: Gateway, shenzhen: Gateway
) -> None:
    document = some_document("one byte")
    made = attest(hong_kong, document)
    carry(hong_kong, shenzhen, made["index"])
    changed = document[:-1] + bytes([document[-1] ^ 1])
    assert verify(shenzhen, document, proof=made["proof"])["verdict"] == "valid"
    assert verify(shenzhen, changed, proof=made["proof"])["verdict"] == "mismatch"
    assert verify(shenzhen, changed)["verdict"] == "unknown"


def test_proof_verifies_offline_under_the_gateways_policy(hong_kong: Gateway) -> None:
    made = attest(hong_kong, some_document("offline"))
    with hong_kong.client() as client:
        policy = parse_policy(client.get("/v1/policy").content)
        again = client.get(f"/v1/proofs/hk-1/{made['index']}").content
    proof = parse_proof(made["proof"].encode())
    assert verify_proof(proof, policy).index == made["index"]
    assert parse_extra(proof.extra).entry == parse_extra(parse_proof(again).extra).entry


def test_proof_from_a_replica_verifies_like_one_from_the_issuer(
    hong_kong: Gateway, shenzhen: Gateway
) -> None:
    document = some_document("proof from replica")
    made = attest(hong_kong, document)
    carry(hong_kong, shenzhen, made["index"])
    with shenzhen.client() as client:
        proof = client.get(f"/v1/proofs/hk-1/{made['index']}").text
    assert verify(shenzhen, document, proof=proof)["verdict"] == "valid"


def test_revoked_document_is_revoked_at_the_receiver(hong_kong: Gateway, shenzhen: Gateway) -> None:
    document = some_document("revoked")
    made = attest(hong_kong, document)
    done = revoke(hong_kong, made["index"], 3)
    carry(hong_kong, shenzhen, done["index"])
    verdict = verify(shenzhen, document)
    assert verdict["verdict"] == "revoked"
    assert verdict["attestations"][0]["revoked"]["reason"] == 3


def test_superseded_document_is_superseded_and_its_successor_valid(
    hong_kong: Gateway, shenzhen: Gateway
) -> None:
    old, new = some_document("old"), some_document("new")
    first = attest(hong_kong, old)
    second = attest(hong_kong, new, supersedes=first["index"])
    carry(hong_kong, shenzhen, second["index"])
    assert verify(shenzhen, old)["verdict"] == "superseded"
    assert verify(shenzhen, new)["verdict"] == "valid"


def test_documents_of_two_institutions_are_ambiguous_until_one_is_expected(
    cluster: Cluster, hong_kong: Gateway, shenzhen: Gateway
) -> None:
    document = some_document("two banks")
    for issuer in (hong_kong, cluster["mo-1"]):
        carry(issuer, shenzhen, attest(issuer, document)["index"])
    assert verify(shenzhen, document)["verdict"] == "ambiguous"
    assert verify(shenzhen, document, expect_issuer="mo-1")["verdict"] == "valid"
    assert verify(shenzhen, document, expect_issuer="sz-1")["verdict"] == "unknown"


def test_proof_of_an_unknown_log_is_untrusted(hong_kong: Gateway, shenzhen: Gateway) -> None:
    document = some_document("unknown log")
    proof = attest(hong_kong, document)["proof"]
    forged = proof.replace("bank-hk.example/hk-1", "bank-xx.example/xx-1")
    assert verify(shenzhen, document, proof=forged)["verdict"] == "untrusted"


def test_batch_answers_each_line_in_order_and_reaches_the_peer(
    hong_kong: Gateway, shenzhen: Gateway
) -> None:
    answers = attest_many(hong_kong, 5000)
    indices = [answer["index"] for answer in answers]
    assert len(indices) == 5000
    assert indices == list(range(indices[0], indices[0] + 5000))
    assert {answer["state"] for answer in answers} == {"signed"}
    carry(hong_kong, shenzhen, indices[-1])


def test_bad_line_of_a_batch_disturbs_no_other(hong_kong: Gateway) -> None:
    good = digests_of(some_document("batch line"))["sha256"]
    lines = f'{{"sha256":"{good}"}}\n{{"sha256":"xyz"}}\nnonsense\n{{"sha256":"{good}"}}\n'
    with hong_kong.client() as client:
        answers = client.post("/v1/attestations:batch", content=lines).text.splitlines()
    assert ["index" in line for line in answers] == [True, False, False, True]


def test_entry_kind_and_validity_are_kept(hong_kong: Gateway, shenzhen: Gateway) -> None:
    document = some_document("validity")
    made = attest(hong_kong, document, valid_until="2099-01-01T00:00:00.000Z", kind="diploma")
    carry(hong_kong, shenzhen, made["index"])
    found = verify(shenzhen, document, expect_kind="diploma")["attestations"][0]
    assert (found["kind"], found["valid_until"]) == ("diploma", "2099-01-01T00:00:00.000Z")
    assert verify(shenzhen, document, expect_kind="kyc-report")["verdict"] == "unknown"


def test_fsck_finds_all_ledgers_clean_beside_the_running_daemons(cluster: Cluster) -> None:
    for gateway in cluster.gateways.values():
        assert gateway.cli("fsck").returncode == 0

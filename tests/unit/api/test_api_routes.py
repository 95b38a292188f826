import hashlib
from base64 import b64encode

import httpx
import pytest

from chopmark.core.blinding import blind, salt_at
from chopmark.core.draft import Earlier
from chopmark.core.entry import (
    SHA256,
    Adoption,
    Attestation,
    Commitment,
    Revocation,
    encode_entry,
    parse_entry,
)
from chopmark.core.errors import InternalError, TryAgainError
from fakegateway import HIDDEN, NOW, SEED, WHO, YEAR, YEARLY, FakeGateway

SHA = hashlib.sha256(b"document").hexdigest()
SM3 = "ab" * 32


async def attest(client: httpx.AsyncClient, **more: object) -> httpx.Response:
    return await client.post("/v1/attestations", json={"digests": {"sha256": SHA}, **more})


async def test_attest_answers_201_with_the_proof(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/attestations",
        json={"digests": {"sha256": SHA, "sm3": SM3}, "kind": "bank-statement"},
    )
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "hk-1",
        "origin": "bank-hk.example/hk-1",
        "index": 0,
        "made_at": "2026-11-22T13:00:00.000Z",
        "state": "signed",
        "kind": "bank-statement",
        "digests": {"sha256": SHA, "sm3": SM3},
        "proof": "c2sp.org/tlog-proof@v1\nindex 0\n\n— “note”\n",
    }
    assert answer.headers["location"] == "/v1/proofs/hk-1/0"
    assert answer.headers["cache-control"] == "no-store"


async def test_attest_answers_202_without_proof_when_not_signed_in_time(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.signing = False
    answer = await attest(client, wait=0)
    assert answer.status_code == 202
    assert answer.json()["state"] == "recorded"
    assert "proof" not in answer.json()
    assert len(gateway.leaves) == 1


async def test_attest_waits_for_the_quorum_where_one_is_demanded(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.witnessing = True
    answer = await attest(client)
    assert (answer.status_code, answer.json()["state"]) == (201, "witnessed")
    assert "provisional" not in answer.json()


async def test_attest_waits_for_the_notaries_of_its_kind(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    await attest(client, kind="diploma")
    assert gateway.waited_kinds == {"diploma"}


@pytest.mark.parametrize(("until", "status"), [("witnessed", 202), ("signed", 201)])
async def test_attest_says_that_a_proof_without_its_quorum_is_provisional(
    client: httpx.AsyncClient, gateway: FakeGateway, until: str, status: int
) -> None:
    gateway.witnessing = False
    answer = await attest(client, until=until)
    assert (answer.status_code, answer.json()["state"]) == (status, "signed")
    assert answer.json()["provisional"] is True
    assert answer.json()["proof"]


async def test_attest_refuses_to_wait_for_what_is_not_known(client: httpx.AsyncClient) -> None:
    assert (await attest(client, until="anchored")).status_code == 400


async def test_attest_answers_202_when_the_hsm_goes_after_the_commit(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.fail_wait = TryAgainError("hsm-away", "the HSM is away")
    assert (await attest(client)).status_code == 202


async def test_attest_answers_202_when_the_proof_cannot_be_read(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.fail_proof = InternalError("damaged-log", "a tile is damaged")
    assert (await attest(client)).status_code == 202


async def test_attest_answers_503_with_retry_after_when_not_recorded(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    def fail(_: object) -> None:
        raise TryAgainError("hsm-away", "the HSM is away", hint="plug it in", retry_after=5)

    gateway.fail_record = fail
    answer = await attest(client)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the HSM is away",
        "code": "hsm-away",
        "hint": "plug it in",
    }


async def test_attest_answers_429_when_the_queue_is_full(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    def fail(_: object) -> None:
        raise TryAgainError("queue-full", "too much at once", retry_after=1)

    gateway.fail_record = fail
    assert (await attest(client)).status_code == 429


async def test_attest_refuses_a_kind_with_422(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await attest(client, kind="credit-report")
    assert (answer.status_code, answer.json()["code"]) == (422, "kind-not-allowed")
    assert not gateway.leaves


async def test_attest_sets_and_tells_the_validity_of_the_catalogue(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await attest(client, kind=YEARLY, digests={"sha256": SHA, "sm3": SM3})
    assert answer.json()["valid_until"] == "2027-11-22T13:00:00.000Z"
    entry = parse_entry(gateway.leaves[0])
    assert isinstance(entry, Attestation)
    assert entry.valid_until == NOW + YEAR


async def test_attest_refuses_a_kind_without_the_digests_that_it_needs(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await attest(client, kind=YEARLY)
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-missing")
    assert not gateway.leaves


@pytest.mark.parametrize("asked", [{"blinded": True}, {"kind": HIDDEN}])
async def test_attest_blinds_where_it_is_asked_for_or_demanded(
    client: httpx.AsyncClient, gateway: FakeGateway, asked: dict[str, object]
) -> None:
    answer = await attest(client, **asked)
    assert (answer.status_code, answer.json()["blinded"]) == (201, True)
    assert answer.json()["digests"] == {"sha256": SHA}
    entry = parse_entry(gateway.leaves[0])
    assert isinstance(entry, Attestation)
    assert entry.blinded
    assert entry.sha256 == blind(salt_at(SEED, 0), WHO.origin, SHA256, bytes.fromhex(SHA))
    assert "blinded" not in (await attest(client)).json()


async def test_proof_is_bare_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    await attest(client, blinded=True)
    assert "bare" not in (await client.get("/v1/proofs/hk-1/0")).text
    assert "bare" in (await client.get("/v1/proofs/hk-1/0?bare=true")).text
    assert (await client.get("/v1/proofs/hk-1/0?salt=no")).status_code == 400


async def test_attest_checks_what_is_superseded(client: httpx.AsyncClient) -> None:
    assert (await attest(client, supersedes=0)).json()["code"] == "no-such-attestation"
    assert (await attest(client)).status_code == 201
    assert (await attest(client, supersedes=0)).status_code == 201
    other = await attest(client, supersedes=0, kind="diploma", digests={"sha256": "ab" * 32})
    assert (other.status_code, other.json()["code"]) == (422, "kind-differs")
    assert (await attest(client, supersedes=0, kind="diploma")).status_code == 201


async def test_attest_keeps_valid_until_to_the_millisecond(client: httpx.AsyncClient) -> None:
    until = "9999-12-31T23:59:59.999Z"
    assert (await attest(client, valid_until=until)).status_code == 201
    entries = (await client.get("/v1/entries")).json()["entries"]
    assert entries[0]["valid_until"] == until


async def test_revoke_answers_201_and_names_both_entries(client: httpx.AsyncClient) -> None:
    await attest(client)
    answer = await client.post("/v1/revocations", json={"index": 0, "reason": 4})
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "hk-1",
        "origin": "bank-hk.example/hk-1",
        "index": 1,
        "revokes": 0,
        "reason": 4,
        "made_at": "2026-11-22T13:00:00.000Z",
        "state": "signed",
    }


async def test_revoke_answers_202_when_not_signed_in_time(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    await attest(client)
    gateway.signing = False
    answer = await client.post("/v1/revocations", json={"index": 0, "reason": 0})
    assert (answer.status_code, answer.json()["state"]) == (202, "recorded")


async def test_revoke_of_what_is_not_there_is_422(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/revocations", json={"index": 7, "reason": 0})
    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-attestation")


async def test_verify_answers_the_verdict(client: httpx.AsyncClient) -> None:
    await attest(client, kind="bank-statement")
    body = {"digests": {"sha256": SHA}, "expect_issuer": "hk-1", "max_age": 60}
    answer = await client.post("/v1/verifications", json=body)
    assert answer.status_code == 200
    verdict = answer.json()
    assert (verdict["verdict"], verdict["exit_code"]) == ("valid", 0)
    assert verdict["asked_at"] == "2026-11-22T13:00:00.000Z"
    assert verdict["attestations"][0]["digests_checked"] == ["sha256"]
    assert verdict["attestations"][0]["kind"] == "bank-statement"


async def test_verify_passes_on_everything_asked(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    body = {
        "proof": "c2sp.org/tlog-proof@v1\n—\n",
        "reference": "bank-hk.example/hk-1#42",
        "expect_kind": "diploma",
    }
    answer = await client.post("/v1/verifications", json=body)
    assert answer.json()["verdict"] == "unknown"
    asked = gateway.asked[0]
    assert asked.proof == body["proof"].encode()
    assert asked.reference == ("bank-hk.example/hk-1", 42)
    assert (asked.question.now, asked.question.expect_kind) == (NOW, "diploma")


@pytest.mark.parametrize("reference", ["", "#1", "bank.example/x", "bank.example/x#01", "B#1"])
async def test_verify_refuses_a_reference_that_is_none(
    client: httpx.AsyncClient, reference: str
) -> None:
    answer = await client.post("/v1/verifications", json={"reference": reference})
    assert answer.status_code == 400
    assert "reference" in answer.json()["detail"]


async def test_verify_of_nothing_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verifications", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")


async def test_proof_is_text(client: httpx.AsyncClient) -> None:
    await attest(client)
    answer = await client.get("/v1/proofs/hk-1/0")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("c2sp.org/tlog-proof@v1\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [("hk-1/0", 404), ("xx-1/0", 404), ("hk-1/01", 400), ("hk-1/-1", 400), ("hk-1/x", 400)],
)
async def test_proof_that_is_not_there(client: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await client.get(f"/v1/proofs/{path}")).status_code == status


async def test_entries_show_each_type(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    await attest(client, valid_until="2027-01-01T00:00:00Z")
    made = [
        Revocation(NOW, 0, 5),
        Commitment(NOW, 3, bytes(32)),
        Commitment(NOW, 4, bytes(32)),
        Commitment(NOW, 5, bytes(32)),
        Adoption(NOW, 1, bytes(32)),
    ]
    gateway.leaves += [encode_entry(entry) for entry in made]
    gateway.leaves += [b"junk", bytes.fromhex("a3000201010200")]
    answer = (await client.get("/v1/entries?id=hk-1&after=-1&limit=100")).json()
    assert answer["size"] == 8
    assert [entry["type"] for entry in answer["entries"]] == [
        "attestation",
        "revocation",
        "consent",
        "use",
        "audit",
        "adoption",
        "unreadable",
        "unknown-format",
    ]
    first, second = answer["entries"][:2]
    assert first["digests"] == {"sha256": SHA}
    assert first["valid_until"] == "2027-01-01T00:00:00.000Z"
    assert first["hash"] == hashlib.sha256(b"\x00" + gateway.leaves[0]).hexdigest()
    assert first["raw"] == b64encode(gateway.leaves[0]).decode()
    assert (second["index"], second["revokes"], second["reason"]) == (1, 0, 5)
    assert second["kind"] is None


async def test_entries_page_by_index(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        await attest(client)
    answer = (await client.get("/v1/entries?after=1&limit=2")).json()
    assert [entry["index"] for entry in answer["entries"]] == [2, 3]
    assert answer["next"] == 3
    end = (await client.get(f"/v1/entries?after={answer['next']}")).json()
    assert ([entry["index"] for entry in end["entries"]], end["next"]) == ([4], 4)
    assert (await client.get("/v1/entries?after=4")).json()["next"] == 4


async def test_document_is_found_by_either_digest(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    sm3 = "ab" * 32
    await client.post("/v1/attestations", json={"digests": {"sha256": SHA, "sm3": sm3}})
    for path in (f"sha256/{SHA}", f"sm3/{sm3}"):
        answer = (await client.get(f"/v1/documents/{path}?limit=7&after=hk-1:9")).json()
        assert [one["index"] for one in answer["attestations"]] == [0]
    asked = [(bytes.fromhex(SHA), "hk-1:9", 7, False), (bytes.fromhex(sm3), "hk-1:9", 7, True)]
    assert gateway.looked_up == asked


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"md5/{SHA}", "malformed-digest"),
        (f"sha256/{SHA[1:]}", "malformed-digest"),
        (f"sha256/{SHA.upper()}", "malformed-digest"),
        (f"sha256/{SHA}%0a", "malformed-digest"),
        (f"sha256/{SHA}?limit=257", "malformed-request"),
        (f"sha256/{SHA}?limit=0", "malformed-request"),
        (f"sha256/{SHA}?kind=x", "malformed-request"),
    ],
)
async def test_document_that_cannot_be_asked_for(
    client: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await client.get(f"/v1/documents/{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert SHA[1:40] not in answer.text.lower()


@pytest.mark.parametrize(
    "query",
    ["after=-2", "limit=0", "limit=1001", "limit=x", "after=1&after=2", "aftr=1", "id=", "%ff=1"],
)
async def test_entries_refuse_a_bad_query(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/entries?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")


async def test_state_routes(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/status")).json()["id"] == "hk-1"
    assert (await client.get("/v1/peers")).json() == [{"id": "sz-1", "state": "following"}]
    trip = await client.get("/v1/peers/sz-1/round-trip")
    assert trip.json() == {"id": "sz-1", "ms": 4.2}
    assert (await client.get("/v1/peers/hk-9/round-trip")).status_code == 404
    assert [one["id"] for one in (await client.get("/v1/replicas")).json()] == ["sz-1"]
    policy = await client.get("/v1/policy")
    assert policy.text == f"log {WHO.log_vkey}\nquorum none\n"
    assert policy.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await client.get("/v1/policy?id=hk-1")).text == policy.text
    assert (await client.get("/v1/policy?id=xx")).json()["code"] == "no-such-log"
    export = (await client.get("/v1/export")).json()
    assert export == {
        "id": "hk-1",
        "origin": "bank-hk.example/hk-1",
        "log_vkey": WHO.log_vkey,
        "cosigner_vkey": WHO.cosigner_vkey,
        "institution": "Bank of Hong Kong (example)",
        "jurisdiction": "HK",
        "kinds": ["*"],
        "chain": "0x" + "ab" * 20,
    }


async def test_health_and_readiness(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    health = await client.get("/healthz")
    assert (health.status_code, health.text) == (200, "ok")
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    gateway.reasons = ["the HSM is away"]
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "reasons": ["the HSM is away"]}


KEY = {"Idempotency-Key": '"a-1"'}
KNOWN = Earlier(7, NOW, NOW + 5)


async def post(
    client: httpx.AsyncClient, path: str, body: object, key: str = '"a-1"'
) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def test_key_is_the_same_with_and_without_quotes_and_however_long_one_waits(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    body = {"digests": {"sha256": SHA}}
    await post(client, "/v1/attestations", body)
    await post(client, "/v1/attestations", body | {"wait": 3, "until": "signed"}, "a-1")
    await post(client, "/v1/attestations", body | {"kind": "diploma"})
    await post(client, "/v1/attestations", body, "a-2")
    first, second, third, fourth = gateway.looked
    assert first == second
    assert (third.id, third.fingerprint == first.fingerprint) == (first.id, False)
    assert fourth.id != first.id
    assert fourth.fingerprint != first.fingerprint, "nobody without the key can try documents"


async def test_key_that_is_known_is_answered_with_its_entry_though_nothing_goes_now(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    body = {"digests": {"sha256": SHA}}
    for _ in range(8):
        await client.post("/v1/attestations", json=body)
    await post(client, "/v1/attestations", body)
    key = gateway.looked[0]
    gateway.keys[key.id] = (key.fingerprint, KNOWN)
    gateway.fail_record = broken
    answer = await post(client, "/v1/attestations", body)
    assert (answer.status_code, answer.json()["index"]) == (201, 7)
    assert answer.json()["valid_until"] == "2026-11-22T13:00:00.005Z"
    assert answer.headers["location"] == "/v1/proofs/hk-1/7"
    other = await post(client, "/v1/attestations", body | {"kind": "kyc"})
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")


def broken(_: object) -> None:
    raise TryAgainError("hsm-away", "the HSM is away")


async def test_revocation_has_a_key(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    await attest(client)
    assert (await post(client, "/v1/revocations", {"index": 0, "reason": 1})).status_code == 201
    assert gateway.askings[-1].keys == {0: gateway.looked[0]}
    key = gateway.looked[0]
    gateway.keys[key.id] = (key.fingerprint, Earlier(1, NOW, duplicate=False))
    again = await post(client, "/v1/revocations", {"index": 0, "reason": 1})
    assert (again.status_code, again.json()["index"], len(gateway.leaves)) == (201, 1, 2)


@pytest.mark.parametrize("key", ["", '""', "a b", '"a', "é", "x" * 65, '"a\\b"', "a, b"])
async def test_key_that_is_none_is_refused(
    client: httpx.AsyncClient, gateway: FakeGateway, key: str
) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    body = {"digests": {"sha256": SHA}}
    answer = await client.post("/v1/attestations", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-key")
    assert not gateway.leaves


@pytest.mark.parametrize("form", ["batch", "compact"])
async def test_key_for_many_is_refused(client: httpx.AsyncClient, form: str) -> None:
    answer = await client.post(f"/v1/attestations:{form}", content=b"", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-key")


async def test_duplicate_says_that_it_is_one(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    await attest(client)
    gateway.known = lambda _: {0: Earlier(0, NOW)}
    answer = await attest(client)
    assert (answer.status_code, answer.json()["duplicate"]) == (201, True)
    assert not gateway.askings[-1].again
    await attest(client, duplicates="again")
    assert gateway.askings[-1].again
    assert (await attest(client, duplicates="all")).status_code == 400


async def test_attest_names_a_canonical_digest(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    named = {"sixteen-chars-1/": "ab" * 32}
    digests = {"sha256": SHA, "sm3": "cd" * 32, "canonical": named}
    answer = await attest(
        client, digests=digests, kind="k" * 32, valid_until="2027-01-01T00:00:00Z"
    )
    assert answer.status_code == 201
    assert answer.json()["digests"]["canonical"] == named
    (entry,) = map(parse_entry, gateway.leaves)
    assert isinstance(entry, Attestation)
    assert [name for name, _ in entry.canonical] == list(named)


async def test_attest_takes_no_more_canonical_digests_than_an_entry_has_room_for(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    named = {"pdf-pages/1": "ab" * 32, "json-jcs/1": "cd" * 32}
    digests = {"sha256": SHA, "canonical": named}
    answer = await attest(client, digests=digests)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")
    assert "canonical" in answer.json()["detail"]
    assert not gateway.leaves
    assert (await client.post("/v1/verifications", json={"digests": digests})).status_code == 200


@pytest.mark.parametrize("named", [{}, {"": "ab" * 32}, {"x" * 17: "ab" * 32}, {"a/1": "ab"}])
async def test_attest_refuses_what_is_no_canonical_digest(
    client: httpx.AsyncClient, gateway: FakeGateway, named: dict[str, str]
) -> None:
    answer = await attest(client, digests={"sha256": SHA, "canonical": named})
    assert answer.status_code == 400
    assert gateway.leaves == []

import asyncio
import json
import logging

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakegateway import FakeGateway
from oneapi import OneApi

SHA = "0a" * 32
POSTS = ["/v1/attestations", "/v1/revocations", "/v1/verifications"]


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert body.keys() == {"type", "title", "status", "detail", "code", "hint"}
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    return True


async def test_unknown_route_is_404(client: httpx.AsyncClient) -> None:
    assert is_problem(await client.get("/v1/nothing"), 404, "no-such-route")


@pytest.mark.parametrize("path", [*POSTS, "/v1/attestations:batch"])
async def test_wrong_method_is_405_and_says_which_is_right(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert is_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", POSTS)
async def test_body_too_large_is_413_by_its_announced_length(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.post(path, content=b" " * (1024 * 1024 + 1))
    assert is_problem(answer, 413, "body-too-large")
    assert "digests" in answer.json()["hint"]


async def test_body_too_large_is_413_when_its_length_was_not_announced(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless():  # noqa: ANN202 -- httpx wants an async generator and no more
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65536

    assert is_problem(await client.post(POSTS[0], content=endless()), 413, "body-too-large")
    assert sent < 20


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"digests":{"sha256":"\\ud800"}}', b"{}x"])
@pytest.mark.parametrize("path", POSTS)
async def test_body_that_is_not_json_is_400(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    answer = await client.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"malformed-json", "malformed-request"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"digests": {}}, "sha256"),
        ({"digests": {"sha256": SHA.upper()}}, "$.digests.sha256"),
        ({"digests": {"sha256": SHA[:-1]}}, "$.digests.sha256"),
        ({"digests": {"sha256": SHA + "\n"}}, "$.digests.sha256"),
        ({"digests": {"sha256": " " + SHA[1:]}}, "$.digests.sha256"),
        ({"digests": {"sha256": SHA, "sm3": "x" * 64}}, "$.digests.sm3"),
        ({"digests": {"sha256": SHA, "md5": SHA}}, "md5"),
        ({"document": "JVBERi0="}, "document"),
        ({"kind": "Bank"}, "$.kind"),
        ({"kind": ""}, "$.kind"),
        ({"kind": "x" * 33}, "$.kind"),
        ({"valid_until": "2027-01-01"}, "valid_until"),
        ({"valid_until": "2027-01-01T00:00:00+08:00"}, "valid_until"),
        ({"valid_until": "2027-01-01T00:00:00.0001Z"}, "valid_until"),
        ({"valid_until": "2027-02-30T00:00:00Z"}, "valid_until"),
        ({"valid_until": "2027-01-01T24:00:00Z"}, "valid_until"),
        ({"valid_until": "1969-12-31T23:59:59Z"}, "valid_until"),
        ({"valid_until": "٢٠٢٧-01-01T00:00:00Z"}, "valid_until"),
        ({"valid_until": 1}, "$.valid_until"),
        ({"supersedes": -1}, "$.supersedes"),
        ({"supersedes": 2**63}, "$.supersedes"),
        ({"supersedes": "1"}, "$.supersedes"),
        ({"supersedes": True}, "$.supersedes"),
        ({"wait": 61}, "$.wait"),
        ({"wait": -0.1}, "$.wait"),
        ({"wait": "1"}, "$.wait"),
    ],
)
async def test_attest_names_the_field_that_is_wrong(
    client: httpx.AsyncClient, gateway: FakeGateway, change: dict[str, object], field: str
) -> None:
    body = {"digests": {"sha256": SHA}} | change
    answer = await client.post("/v1/attestations", content=json.dumps(body))
    assert answer.status_code == 400
    assert field in answer.json()["detail"]
    assert not gateway.leaves


async def test_digest_that_is_wrong_is_explained_in_words(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/attestations", json={"digests": {"sha256": "AB"}})
    assert answer.json()["detail"] == (
        "Expected `str` of 64 lower-case hexadecimal digits - at `$.digests.sha256`"
    )


@pytest.mark.parametrize("change", [{"reason": 6}, {"reason": -1}, {"index": -1}, {"x": 1}])
async def test_revoke_refuses_what_is_out_of_range(
    client: httpx.AsyncClient, change: dict[str, object]
) -> None:
    answer = await client.post("/v1/revocations", json={"index": 0, "reason": 0} | change)
    assert is_problem(answer, 400, "malformed-request")


async def test_unexpected_failure_is_500_without_internals(
    client: httpx.AsyncClient, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.fail_proof = ZeroDivisionError("a secret place")
    with caplog.at_level(logging.ERROR, "chopmark.api"):
        answer = await client.get("/v1/proofs/hk-1/0")
    assert is_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert "a secret place" in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1@x", "", "a"])
async def test_foreign_host_is_403(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/v1/status", headers={"host": host})
    assert is_problem(answer, 403, "foreign-host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"]
)
async def test_local_host_is_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9999", "https://localhost:8080"]
)
async def test_foreign_origin_is_403(
    client: httpx.AsyncClient, gateway: FakeGateway, origin: str
) -> None:
    body = {"digests": {"sha256": SHA}}
    answer = await client.post("/v1/attestations", json=body, headers={"origin": origin})
    assert is_problem(answer, 403, "foreign-origin")
    assert not gateway.leaves


async def test_own_origin_is_served(client: httpx.AsyncClient) -> None:
    headers = {"origin": "http://localhost:8080"}
    assert (await client.get("/healthz", headers=headers)).status_code == 200


ELSEWHERE = ("cross-site", "same-site", "Cross-Site", "new-in-some-browser", "")
OPENED = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("site", ELSEWHERE)
@pytest.mark.parametrize("how", [OPENED, {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}])
async def test_what_a_page_from_elsewhere_asks_without_an_origin_is_403(
    client: httpx.AsyncClient, site: str, how: dict[str, str]
) -> None:
    headers = {"sec-fetch-site": site, **how}
    for path in ("/v1/status", f"/v1/documents/sha256/{SHA}", "/healthz", "/no-such-route"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path)
            assert method == "HEAD" or is_problem(answer, 403, "foreign-origin")


async def test_site_that_is_told_twice_is_403(client: httpx.AsyncClient) -> None:
    headers = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]
    answer = await client.get("/v1/status", headers=headers)
    assert is_problem(answer, 403, "foreign-origin")


@pytest.mark.parametrize("site", ["same-origin", "none", None])
async def test_what_our_page_a_person_or_a_program_asks_is_served(
    client: httpx.AsyncClient, site: str | None
) -> None:
    headers = {} if site is None else {"sec-fetch-site": site}
    assert (await client.get("/v1/status", headers=headers)).status_code == 200


FIELDS = st.sampled_from(
    ["digests", "sha256", "sm3", "kind", "valid_until", "supersedes", "wait", "index", "reason"]
)
MORE_FIELDS = st.sampled_from(["proof", "reference", "expect_issuer", "expect_kind", "max_age"])
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.just(SHA)
JSON = st.recursive(
    VALUES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(FIELDS | MORE_FIELDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(path=st.sampled_from([*POSTS, "/v1/attestations:batch"]), body=JSON)
@settings(max_examples=150, deadline=None)
def test_no_json_makes_the_api_fail(path: str, body: object) -> None:
    assert asyncio.run(post(path, json.dumps(body).encode())) < 500


@given(path=st.sampled_from([*POSTS, "/v1/attestations:batch"]), body=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_no_bytes_make_the_api_fail(path: str, body: bytes) -> None:
    assert asyncio.run(post(path, body)) < 500


@given(
    path=st.sampled_from(["/v1/entries", "/v1/policy", "/v1/attestations:batch"]),
    query=st.binary(max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_no_query_makes_the_api_fail(path: str, query: bytes) -> None:
    method = "POST" if path.endswith("batch") else "GET"
    assert asyncio.run(post(path, b"", query, method)) < 500


async def post(path: str, body: bytes, query: bytes = b"", method: str = "POST") -> int:
    statuses: list[int] = []
    bodies = [body]

    async def receive() -> dict[str, object]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 9),
        "root_path": "",
    }
    await OneApi(FakeGateway())(scope, receive, send)
    return statuses[0]


async def test_fault_of_ours_is_told_without_the_digest_that_was_asked_for(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(gateway, "documents", fail)
    with caplog.at_level(logging.ERROR, "chopmark.api"):
        answer = await client.get(f"/v1/documents/sha256/{'5c' * 32}")
    assert answer.status_code == 500
    assert "GET /v1/documents/{algorithm}/{digest} failed" in caplog.text
    assert "5c5c" not in caplog.text + answer.text

"""What nobody would read is refused: stray queries, fields given twice, bodies that are packed."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from anybody import ANYBODY
from chopmark.api.anchors import make_anchors_route
from chopmark.api.app import create_app
from chopmark.api.audit import make_audit_routes
from chopmark.api.console import make_console_route
from chopmark.api.events import Events, make_events_route
from chopmark.api.identity import CALLER
from chopmark.api.models import AttestationIn, VerificationIn, read_body
from chopmark.api.roles import TABLE
from chopmark.api.signin.routes import make_signin_routes
from chopmark.api.submissions import make_witness_routes
from chopmark.api.tiles import make_tile_route
from chopmark.api.twice import find_twice
from chopmark.core.errors import MalformedError
from fakegateway import FakeGateway

SHA = "0a" * 32
PATH = {
    "/v1/documents/{algorithm}/{digest}": f"/v1/documents/sha256/{SHA}",
    "/v1/proofs/{member}/{index}": "/v1/proofs/hk-1/0",
    "/v1/peers/{member}/round-trip": "/v1/peers/sz-1/round-trip",
    "/v1/audit/proofs/{number}": "/v1/audit/proofs/0",
    "/witness/{origin_hash}/checkpoint": f"/witness/{SHA}/checkpoint",
    "/log": "/log/hk-1/checkpoint",
}
PROVIDERS = "/v1/session/oidc/callback"
"""What comes there is the OpenID provider's, and is read by what handles it."""


@pytest.fixture
def whole() -> Iterator[httpx.AsyncClient]:
    """The API with all that the daemon serves beside it."""
    gateway = FakeGateway()
    more = [
        make_anchors_route(None),
        *make_audit_routes(None),  # type: ignore[arg-type]
        make_console_route(None, gateway),  # type: ignore[arg-type]
        *make_witness_routes(None, gateway),  # type: ignore[arg-type]
        make_events_route(Events("run", dict)),
        make_tile_route(None),  # type: ignore[arg-type]
        *make_signin_routes(None, gateway),  # type: ignore[arg-type]
    ]
    api = create_app(gateway, more=more)
    token = CALLER.set(replace(ANYBODY, door="tls"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost:8080")
    client.routes = api.routes.routes  # type: ignore[attr-defined]
    yield client
    CALLER.reset(token)


def asked(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]
        methods = {m for one in handlers for m in getattr(one, "http_methods", ("GET", "POST"))}
        for method in methods - {"OPTIONS"}:
            path = PATH.get(route.path_format, route.path_format)
            assert "{" not in path, f"{path} needs an example in PATH"
            if path != PROVIDERS:
                yield method, path


async def test_no_route_passes_over_a_parameter_that_it_does_not_know(
    whole: httpx.AsyncClient,
) -> None:
    seen, refused = set(), set()
    for method, path in asked(whole.routes):  # type: ignore[attr-defined]
        seen.add(path)
        answer = await whole.request(method, f"{path}?blinded_=true", content=b"{}")
        if answer.status_code != 405:
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request"), path
            assert "blinded_" in answer.json()["detail"], path
            refused.add(path)
    assert refused == seen
    to_come = {"/v1/consents", "/v1/uses", "/v1/trace"}
    assert len(seen) >= len(TABLE.keys() - to_come - {PROVIDERS})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/attestations?blinded=true", {"digests": {"sha256": SHA}}),
        ("/v1/attestations?duplicates=again", {"digests": {"sha256": SHA}}),
        ("/v1/revocations?wait=3", {"index": 0, "reason": 1}),
        ("/v1/verifications?expect_issuer=sz-1", {"digests": {"sha256": SHA}}),
    ],
)
async def test_field_in_the_query_is_refused_and_nothing_done(
    client: httpx.AsyncClient, gateway: FakeGateway, path: str, body: object
) -> None:
    answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")
    assert re.search(r"blinded|duplicates|wait|expect_issuer", answer.json()["detail"])
    assert not gateway.leaves
    assert not gateway.asked


TWICE = {
    "kind": b'{"digests":{"sha256":"%s"},"kind":"a","kind":"b"}',
    "sha256": b'{"digests":{"sha256":"%s","sha256":"' + b"1b" * 32 + b'"}}',
    "digests": b'{"digests":{"sha256":"' + b"1b" * 32 + b'"},"digests":{"sha256":"%s"}}',
    "wait": b'{"digests":{"sha256":"%s"},"wait":0, "wait":0}',
    "blinded": b'{"digests":{"sha256":"%s"},"blinded":true,"\\u0062linded":false}',
    "pdf-pages/1": b'{"digests":{"sha256":"%s","canonical":{"pdf-pages/1":"'
    + b"1b" * 32
    + b'","pdf-pages/1":"'
    + b"1c" * 32
    + b'"}}}',
}


@pytest.mark.parametrize("name", TWICE)
async def test_field_given_twice_is_refused_by_name(
    client: httpx.AsyncClient, gateway: FakeGateway, name: str
) -> None:
    answer = await client.post("/v1/attestations", content=TWICE[name] % SHA.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")
    assert f"`{name}` is given twice" in answer.json()["detail"]
    assert not gateway.leaves


async def test_expectation_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    body = b'{"digests":{"sha256":"%s"},"expect_issuer":"hk-1","expect_issuer":"sz-1"}'
    answer = await client.post("/v1/verifications", content=body % SHA.encode())
    assert "`expect_issuer` is given twice" in answer.json()["detail"]
    flat = b'{"sha256":"%s","expect_kind":"a","expect_kind":"b"}\n{"sha256":"%s"}\n'
    answer = await client.post("/v1/verifications:batch", content=flat % ((SHA.encode(),) * 2))
    first, second = answer.text.splitlines()
    assert json.loads(first)["error"] | {"hint": ""} == {
        "code": "malformed-line",
        "message": "the field `expect_kind` is given twice",
        "line": 1,
        "hint": "",
    }
    assert json.loads(second)["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"digests":{"sha256":"%s"}}', AttestationIn),
        (
            b' {"kind" : "document", "wait":10, "digests":\n{"sm3":null,"sha256":"%s"}}',
            AttestationIn,
        ),
        (b'{"proof":"a \\"kind\\":\\"b\\" \\u2014 \\n","digests":{"sha256":"%s"}}', VerificationIn),
        (b'{"reference":"kind","expect_issuer":"kind","digests":{"sha256":"%s"}}', VerificationIn),
    ],
)
def test_field_given_once_is_read_however_it_is_written(body: bytes, kind: type) -> None:
    body = body % SHA.encode()
    assert read_body(body, kind).digests.sha256 == SHA
    assert find_twice(body) is None


def test_what_is_not_json_is_said_to_be_so_first() -> None:
    with pytest.raises(MalformedError) as caught:
        read_body(b'{"digests":{},"digests":{}', AttestationIn)
    assert caught.value.code == "malformed-json" or "sha256" in caught.value.message


@pytest.mark.parametrize(
    "path", ["/v1/attestations", "/v1/attestations:batch", "/v1/verifications"]
)
@pytest.mark.parametrize("plain", [True, False])
async def test_packed_body_is_refused_even_if_it_only_says_so(
    client: httpx.AsyncClient, gateway: FakeGateway, path: str, *, plain: bool
) -> None:
    body = json.dumps({"digests": {"sha256": SHA}}).encode()
    content = body if plain else gzip.compress(body)
    answer = await client.post(path, content=content, headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unknown-encoding")
    assert not gateway.leaves
    answer = await client.post(path, content=body, headers={"content-encoding": "identity"})
    assert answer.status_code in (200, 201)


@pytest.mark.parametrize("body", [b'{"sha256":"00"}', b' \n{"digests"', b"[1,2]"])
async def test_json_in_compact_form_is_told_where_it_belongs(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/v1/attestations:compact", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-compact")
    assert "is JSON" in answer.json()["detail"]
    assert "/v1/attestations:batch" in answer.json()["hint"]


@pytest.mark.parametrize("day", ["2026-13-01", "2026-02-30", "0000-01-01"])
async def test_day_that_there_is_not_is_refused(whole: httpx.AsyncClient, day: str) -> None:
    answer = await whole.get(f"/v1/audit?day={day}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")
    assert f"`day` is no date: {day}" in answer.json()["detail"]


@pytest.mark.parametrize("index", ["99999999999999999999999", "9223372036854775808"])
async def test_index_that_is_too_large_is_said_to_be_so(
    client: httpx.AsyncClient, index: str
) -> None:
    answer = await client.get(f"/v1/proofs/hk-1/{index}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-number")
    assert f"the index is too large: {index[:32]}" in answer.json()["detail"]


async def test_reference_without_an_index_is_told_what_it_lacks(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verifications", json={"reference": "hk-1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-reference")
    assert "there is no # in it" in answer.json()["detail"]

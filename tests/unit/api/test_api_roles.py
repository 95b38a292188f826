"""Who may do what: the table, and each way to be refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from anybody import ANYBODY
from chopmark.api.anchors import make_anchors_route
from chopmark.api.app import create_app
from chopmark.api.audit import make_audit_routes
from chopmark.api.console import make_console_route
from chopmark.api.identity import ANY_KIND, CALLER, ROLES, Caller, Door, Role
from chopmark.api.rates import Bucket
from chopmark.api.roles import GRAVE, METERED, TABLE, admit, check_kind
from chopmark.api.signin.routes import make_signin_routes
from chopmark.api.submissions import make_witness_routes
from chopmark.api.tiles import make_tile_route
from chopmark.core.errors import ForbiddenError
from fakegateway import FakeGateway

SHA = "0a" * 32


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    token = CALLER.set(ANYBODY)
    yield
    CALLER.reset(token)


PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text()


def routes() -> set[str]:
    """Every path that the daemon serves, as the router has it."""
    gateway = FakeGateway()
    witness = make_witness_routes(None, gateway)  # type: ignore[arg-type]
    audit = make_audit_routes(None)  # type: ignore[arg-type]
    console = make_console_route(None, gateway)  # type: ignore[arg-type]
    signing = make_signin_routes(None, gateway)  # type: ignore[arg-type]
    own = [make_tile_route(None), make_anchors_route(None), console]  # type: ignore[arg-type]
    more = [*own, *witness, *audit, *signing]
    return {route.path_format for route in create_app(gateway, more=more).routes.routes}


def test_every_route_has_its_roles() -> None:
    assert routes() - TABLE.keys() == set()


def test_every_role_is_in_the_page_with_its_routes() -> None:
    section = PAGE.partition("\n## Who may do what")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert rows.keys() == ROLES
    present = routes()
    for path, roles in TABLE.items():
        if path not in present or roles == ROLES:
            continue
        name = re.sub(r"/\{.*", "", path.removeprefix("/v1/").lstrip("/"))
        for role in roles:
            named = f"`{name}`" in rows[role] or f"`{name.partition('/')[0]}`" in rows[role]
            assert named, (path, role)


def test_paths_that_are_metered_are_routes() -> None:
    assert routes() >= METERED


async def test_what_concerns_single_documents_is_metered(client: httpx.AsyncClient) -> None:
    document = {"digests": {"sha256": SHA}}
    asked: list[tuple[str, str, dict[str, object]]] = [
        ("POST", "/v1/attestations", document),
        ("POST", "/v1/verifications", document),
        ("POST", "/v1/revocations", {"index": 0, "reason": 1}),
        ("GET", f"/v1/documents/sha256/{SHA}", {}),
    ]
    for method, path, body in asked:
        bucket = Bucket(1, clock=lambda: 0.0)
        bucket.take()
        CALLER.set(Caller("cert x", ROLES, ANY_KIND, machine=True, door="tls", bucket=bucket))
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited"), path
    assert (await client.get("/v1/status")).status_code == 200


@pytest.mark.parametrize("role", sorted(ROLES))
def test_role_opens_its_own_routes_and_no_other(role: Role) -> None:
    CALLER.set(Caller("cert x", frozenset({role}), ANY_KIND, machine=True, door="tls"))
    for path, roles in TABLE.items():
        if role in roles:
            admit(path)
            continue
        with pytest.raises(ForbiddenError) as caught:
            admit(path)
        assert caught.value.code == "role-missing"
        assert "cert x" in caught.value.message
        assert all(needed in caught.value.message for needed in roles)


@pytest.mark.parametrize(
    ("door", "code"), [("page", "not-by-session"), ("loopback", "caller-unknown")]
)
def test_what_changes_trust_is_for_callers_that_are_known(door: Door, code: str) -> None:
    assert routes() >= GRAVE.keys()
    CALLER.set(Caller("user olga", ROLES, ANY_KIND, machine=False, door=door))
    for path in GRAVE:
        with pytest.raises(ForbiddenError) as caught:
            admit(path)
        assert caught.value.code == code
    admit("/v1/roster/signatures")


@pytest.mark.parametrize("door", ["unix", "tls"])
def test_what_changes_trust_is_open_to_certificates_and_the_unix_socket(door: Door) -> None:
    CALLER.set(Caller("cert ops", ROLES, ANY_KIND, machine=True, door=door))
    for path in GRAVE:
        admit(path)


def test_route_that_the_table_lacks_is_an_operators() -> None:
    CALLER.set(Caller("uid 7", ROLES - {"operator"}, ANY_KIND, machine=True, door="unix"))
    with pytest.raises(ForbiddenError, match="operator"):
        admit("/v1/new")


async def test_long_way_asks_the_table_under_every_spelling(client: httpx.AsyncClient) -> None:
    CALLER.set(Caller("uid 7", frozenset({"verifier"}), ANY_KIND, machine=True, door="unix"))
    body = {"digests": {"sha256": SHA}}
    for path in (
        "/v1/attestations",
        "/v1/attestations/",
        "//v1/attestations",
        "/v1/%61ttestations",
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code in (403, 404), path
    assert (await client.get("/v1/proofs/hk-1/0")).json()["code"] != "role-missing"
    refused = await client.get("/v1/keys")
    assert (refused.status_code, refused.json()["code"]) == (403, "role-missing")
    assert "[[api.user]]" in refused.json()["hint"]


async def test_what_is_mounted_asks_the_table_by_its_path() -> None:
    tiles = make_tile_route(None)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(create_app(FakeGateway(), more=[tiles]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        CALLER.set(Caller("cert x", frozenset({"verifier"}), ANY_KIND, machine=True, door="tls"))
        answer = await client.get("/log/x/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "no-such-tile")
        CALLER.set(Caller("cert y", frozenset({"issuer"}), ANY_KIND, machine=True, door="tls"))
        refused = await client.get("/log/x/nothing")
        assert (refused.status_code, refused.json()["code"]) == (403, "role-missing")


def test_kind_is_granted_by_name_or_by_the_star() -> None:
    CALLER.set(Caller("cert x", ROLES, frozenset({"diploma", "kyc"}), machine=True, door="tls"))
    check_kind("diploma")
    with pytest.raises(ForbiddenError) as caught:
        check_kind("bank-statement")
    assert caught.value.code == "kind-not-granted"
    assert "diploma, kyc" in caught.value.hint
    CALLER.set(Caller("cert x", ROLES, ANY_KIND, machine=True, door="tls"))
    check_kind("bank-statement")


@pytest.mark.parametrize(
    ("machine", "asked", "told"),
    [(True, {}, True), (True, {"expect_issuer": "hk-1"}, False), (False, {}, False)],
)
async def test_program_that_names_no_issuer_is_told_so(
    client: httpx.AsyncClient, *, machine: bool, asked: dict[str, str], told: bool
) -> None:
    CALLER.set(Caller("uid 7", ROLES, ANY_KIND, machine=machine, door="unix"))
    body = {"digests": {"sha256": SHA}}
    await client.post("/v1/attestations", json=body)
    answer = await client.post("/v1/verifications", json=body | asked)
    assert answer.json()["verdict"] == "valid"
    assert answer.json().get("issuer_unchecked", False) is told


async def test_program_is_told_nothing_where_there_is_nothing_to_rely_on(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    CALLER.set(Caller("uid 7", ROLES, ANY_KIND, machine=True, door="unix"))
    answer = await client.post("/v1/verifications", json={"digests": {"sha256": "ff" * 32}})
    assert "issuer_unchecked" not in answer.json()
    assert not gateway.leaves


async def test_proof_is_never_bare_unasked(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/attestations", json={"digests": {"sha256": SHA}})).is_success
    CALLER.set(Caller("uid 7", frozenset({"verifier"}), ANY_KIND, machine=True, door="unix"))
    answer = await client.get("/v1/proofs/hk-1/0")
    assert (answer.status_code, "bare" in answer.text) == (200, False)

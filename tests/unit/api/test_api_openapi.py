"""The document for machines names every route, and its examples are what it says they are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from chopmark.api.anchors import make_anchors_route
from chopmark.api.app import create_app
from chopmark.api.audit import make_audit_routes
from chopmark.api.console import make_console_route
from chopmark.api.events import Events, make_events_route
from chopmark.api.signin.routes import make_signin_routes
from chopmark.api.spec.build import OPERATIONS, build
from chopmark.api.spec.fields import ABOUT
from chopmark.api.spec.model import NDJSON, PROBLEM
from chopmark.api.submissions import make_witness_routes
from chopmark.api.tiles import make_tile_route
from fakegateway import FakeGateway

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text()
WITNESS = (Path(__file__).parents[3] / "docs/formats/witness.md").read_text()
DOCUMENT = build()
SCHEMAS = DOCUMENT["components"]["schemas"]


def each_operation() -> Iterator[Any]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield pytest.param(operation, id=f"{method} {path}")


def each_content(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from operation.get("requestBody", {"content": {}})["content"].items()
    for response in operation["responses"].values():
        yield from response["content"].items()


def check(value: object, schema: dict[str, Any]) -> None:
    whole = {"components": DOCUMENT["components"], **schema}
    jsonschema_rs.Draft202012Validator(whole).validate(value)


def served_routes() -> set[tuple[str, str]]:
    """Method and path of all that a gateway serves, with parameters without names."""
    gateway, nothing = FakeGateway(), object()
    more = [
        make_anchors_route(None),
        *make_audit_routes(nothing),  # type: ignore[arg-type]
        make_console_route(nothing, gateway),  # type: ignore[arg-type]
        *make_witness_routes(nothing, gateway),  # type: ignore[arg-type]
        make_events_route(Events("run", dict)),
        make_tile_route(nothing),  # type: ignore[arg-type]
        *make_signin_routes(nothing, gateway),  # type: ignore[arg-type]
    ]
    app = create_app(gateway, more=more).routes
    found = set()
    for route in app.routes:
        path = re.sub(r"\{[^}]*\}", "{}", route.path)
        for handler in getattr(route, "route_handlers", None) or [route.route_handler]:
            methods = getattr(handler, "http_methods", None) or {"ASGI"}
            found |= {(method, path) for method in methods}
    return found


def test_no_route_is_missing_and_none_is_made_up() -> None:
    described = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }
    served = served_routes() - {("OPTIONS", path) for _, path in served_routes()}
    plain = {path for method, path in served if method == "ASGI"} - {"/log"}
    known = {path for _, path in described}
    assert {one for one in served if one[0] != "ASGI"} <= described
    assert plain <= known
    below = {path for path in known if path.startswith("/log/")}
    assert known - below == {path for _, path in served} - {"/log"}


def test_document_is_valid() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    names = [
        one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()
    ]
    assert len(set(names)) == len(names) == len(OPERATIONS)
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        )


async def test_document_is_served_as_it_was_built(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize("operation", list(each_operation()))
def test_examples_are_what_their_schemas_say(operation: dict[str, Any]) -> None:
    for _, content in each_content(operation):
        for example in content.get("examples", {}).values():
            check(example["value"], content["schema"])
    for parameter in operation["parameters"]:
        if "example" in parameter:
            check(parameter["example"], parameter["schema"])


def test_a_wrong_example_would_be_found() -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        check({"error": {"code": 1}}, {"$ref": "#/components/schemas/ErrorLine"})


@pytest.mark.parametrize("operation", list(each_operation()))
def test_json_has_an_example_or_a_type_that_speaks_for_itself(operation: dict[str, Any]) -> None:
    body = operation.get("requestBody", {"content": {}})["content"]
    for media, content in body.items():
        assert "examples" in content or not media.endswith("json"), media
        assert media != NDJSON or len(content["examples"]) >= 1


@pytest.mark.parametrize("operation", list(each_operation()))
def test_codes_of_problems_are_in_the_docs_under_their_status(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if PROBLEM not in response["content"]:
            continue
        for code in re.findall(
            r"`([a-z0-9-]+)`", response["description"].partition("Problems: ")[2]
        ):
            rows = [row for row in PAGE.splitlines() if row.startswith("|") and f"`{code}`" in row]
            assert rows or code in WITNESS or code.startswith("malformed-"), code
            known = any(status in row for row in rows) or code in WITNESS
            assert known or code.startswith("malformed-"), (code, status)


def test_each_field_of_a_request_is_explained() -> None:
    for name, schema in SCHEMAS.items():
        if schema.get("additionalProperties") is False:
            for field, about in schema["properties"].items():
                assert "description" in about, f"{name}.{field}"
    fields = {
        f"{name}.{field}" for name, one in SCHEMAS.items() for field in one.get("properties", {})
    }
    queries = {key for key in ABOUT if key.partition(".")[0].endswith("Query")}
    assert set(ABOUT) - queries <= fields


def test_answers_may_grow_and_requests_may_not() -> None:
    assert "additionalProperties" not in SCHEMAS["StatusOut"]
    assert SCHEMAS["AttestationIn"]["additionalProperties"] is False


def test_each_route_says_which_roles_it_asks_for() -> None:
    (name,) = DOCUMENT["components"]["securitySchemes"]
    assert DOCUMENT["components"]["securitySchemes"][name]["type"] == "mutualTLS"
    paths = DOCUMENT["paths"]
    assert paths["/v1/attestations"]["post"]["security"] == [{name: ["issuer"]}]
    assert paths["/v1/evidence"]["get"]["security"] == [{name: ["auditor"]}, {name: ["operator"]}]
    assert paths["/log/{id}/checkpoint"]["get"]["security"] == [
        {name: ["auditor"]},
        {name: ["verifier"]},
    ]
    assert paths["/v1/proofs/{id}/{index}"]["get"]["security"] == [{name: []}]
    for methods in paths.values():
        for operation in methods.values():
            assert operation["security"]

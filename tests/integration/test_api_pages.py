"""What the pages and the OpenAPI document say of the API is what a real gateway does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import attest, some_document

from chopmark.api.spec.build import OPERATIONS, build
from pageexamples import Reader, read_examples
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from unixproxy import proxied

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
BEFORE = 41
"""Entries that the log has when the reference begins."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a peer that witnesses what it signs."""
    cluster = Cluster(tmp_path_factory.mktemp("c"), (HONG_KONG, SHENZHEN), rule="jurisdictions")
    try:
        made = cluster.start()["hk-1"]
        attest(made, some_document("first"), until="witnessed", wait=60)
        lines = b"".join(b'{"sha256":"%064x"}\n' % number for number in range(BEFORE - 1))
        with made.client() as client:
            client.post("/v1/attestations:batch", content=lines).raise_for_status()
        peer = cluster["sz-1"]
        attest(peer, some_document("at the peer"))
        made.wait_for(lambda: made.peer(peer)["cosigned_size"] == 1, "to cosign the peer's head")
        yield made
    finally:
        cluster.stop()


def reader(gateway: Gateway, folder: Path) -> Reader:
    """A folder with two documents, and the addresses that the pages have."""
    for name in ("april.pdf", "may.pdf"):
        (folder / name).write_bytes(some_document(f"{folder.name} {name}"))
    places = {
        "/run/chopmark/api.sock": str(gateway.socket),
        "127.0.0.1:8080": f"127.0.0.1:{gateway.port}",
        "127.0.0.1:9464": f"127.0.0.1:{gateway.metrics_port}",
        "curl ": "curl -sS ",
    }
    return Reader(folder, places, f'API="--unix-socket {gateway.socket} http://localhost"')


@pytest.mark.parametrize("page", ["api.md", "api-guide.md"])
def test_examples_are_answered_as_the_page_says(
    gateway: Gateway, tmp_path: Path, page: str
) -> None:
    somebody = reader(gateway, tmp_path)
    # What is about HTTPS, test_api_tls runs.
    all_ = read_examples(DOCS / page)
    examples = [one for one in all_ if "gateway.bank.example" not in one.command]
    assert len(examples) > 10
    wrong = []
    for example in examples:
        # On a busy machine the witness may be late.
        gateway.wait_for(lambda: not gateway.get("/v1/status")["alarms"], "to be without alarms")
        try:
            somebody.run(example)
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n\n".join(wrong)


def test_answers_hold_nothing_that_the_document_lacks(gateway: Gateway) -> None:
    document = gateway.get("/v1/openapi.json")
    for path, methods in document["paths"].items():
        asked = methods.get("get", {})
        content = asked.get("responses", {}).get("200", {}).get("content", {})
        if any(one.get("required") for one in asked.get("parameters", ())):
            continue
        if "{" in path or "application/json" not in content or path == "/v1/openapi.json":
            continue
        known = content["application/json"]["schema"]
        lacking = list(find_unknown(gateway.get(path), known, document["components"]["schemas"]))
        assert not lacking, f"{path}: {lacking}"


def find_unknown(
    value: object, schema: dict[str, object], types: dict[str, dict[str, object]], at: str = ""
) -> Iterator[str]:
    """Fields of an answer that its schema does not have."""
    if "$ref" in schema:
        schema = types[str(schema["$ref"]).rpartition("/")[2]]
    if "anyOf" in schema:
        schema = next((one for one in schema["anyOf"] if "$ref" in one), {})  # type: ignore[attr-defined]
        yield from find_unknown(value, schema, types, at)
    elif isinstance(value, list):
        for one in value:
            yield from find_unknown(one, schema.get("items", {}), types, at)  # type: ignore[arg-type]
    elif isinstance(value, dict) and "properties" in schema:
        for name, one in value.items():
            if name not in schema["properties"]:  # type: ignore[operator]
                yield f"{at}.{name}"
            else:
                below = schema["properties"][name]  # type: ignore[index]
                yield from find_unknown(one, below, types, f"{at}.{name}")


def test_field_that_the_document_lacks_would_be_found(gateway: Gateway) -> None:
    status = gateway.get("/v1/status")
    status["hsm"]["pin"] = "1234"
    types = gateway.get("/v1/openapi.json")["components"]["schemas"]
    found = list(find_unknown(status, {"$ref": "#/components/schemas/StatusOut"}, types))
    assert found == [".hsm.pin"], json.dumps(found)


@pytest.fixture(scope="module")
def address(gateway: Gateway) -> Iterator[str]:
    """The gateway's unix socket, where everything may be asked, for who knows ports only."""
    with proxied(gateway.socket) as port:
        yield f"http://127.0.0.1:{port}"
    assert gateway.is_answering()
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.timeout(600)
def test_answers_are_what_the_document_says(address: str, tmp_path: Path) -> None:
    done = schemathesis(build(), address, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(OPERATIONS)} selected / {len(OPERATIONS)} total" in done.stdout
    assert "No issues found" in done.stdout


def test_answer_that_the_document_lacks_would_be_found(address: str, tmp_path: Path) -> None:
    document = build()
    del document["paths"]["/v1/proofs/{id}/{index}"]["get"]["responses"]["404"]
    done = schemathesis(document, address, tmp_path, "--include-operation-id", "readProof")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Received: 404" in done.stdout, done.stdout


def schemathesis(
    document: dict[str, Any], address: str, folder: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    """Ask all that a document allows and forbids; `SCHEMA_EXAMPLES=100` asks at greater length."""
    examples = os.environ.get("SCHEMA_EXAMPLES", "2")
    settings = ("--phases", "examples,coverage,fuzzing", "--max-examples", examples)
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        TESTS / "schemathesis.toml",
    ]
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    environment = {"SCHEMATHESIS_HOOKS": "apischema", "PYTHONPATH": str(TESTS)}
    return subprocess.run(
        [*command, "run", file, "--url", address, *settings, *more],
        env=os.environ | environment,
        cwd=folder,  # it keeps notes of its own there
        capture_output=True,
        text=True,
        check=False,
        timeout=590,
    )

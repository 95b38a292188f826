"""Requests that are sent again, and the SDK, on real parts: kill -9 between commit and answer."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chopmark.client.async_gateway import AsyncGatewayClient
from chopmark.client.bulk import FEW
from chopmark.client.gateway import GatewayClient
from chopmark.client.messages import Attested, Job, Query
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import ExistsError, RefusedError
from chopmark.core.policy import parse_policy
from chopmark.core.proof import parse_proof, verify_proof
from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs/sdk.md").read_text("utf-8")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway that the tests share; each leaves it running."""
    made = Cluster(tmp_path_factory.mktemp("k"), (HONG_KONG,))
    try:
        made.start()
        yield made["hk-1"]
    finally:
        made.stop()


def digests(text: str) -> Digests:
    return Digests(sha256(text.encode()).digest(), None)


def draft(text: str, kind: str = "kyc") -> Draft:
    return Draft(digests(text).sha256, kind)


def send(gateway: Gateway, text: str, key: str) -> socket.socket:
    """Send a request, and do not wait for its answer."""
    body = json.dumps({"digests": {"sha256": digests(text).sha256.hex()}, "until": "signed"})
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(gateway.socket))
    head = f'POST /v1/attestations HTTP/1.1\r\nhost: x\r\nidempotency-key: "{key}"\r\n'
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    return connection


def size(gateway: Gateway) -> int:
    return int(gateway.get("/v1/status")["size"])


def test_crash_between_commit_and_answer_makes_one_entry(gateway: Gateway) -> None:
    before = size(gateway)
    with send(gateway, "crash", "k-crash"):
        deadline = time.monotonic() + PATIENCE
        while size(gateway) == before:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        gateway.kill()
    gateway.start()
    with GatewayClient(f"unix:{gateway.socket}") as client:
        body = Draft(digests("crash").sha256, "document")
        again = client.attest(body, until="signed", key="k-crash")
        assert again.proof is not None
        assert parse_proof(again.proof).index == again.index
        assert client.attest(body, until="signed", key="k-crash").index == again.index
    with gateway.client() as http:
        page = http.get(f"/v1/entries?after={before - 1}").json()
    digest = digests("crash").sha256.hex()
    found = [one["index"] for one in page["entries"] if digest in str(one["digests"])]
    assert found == [again.index]


def test_duplicates_live_over_restarts_and_end_with_a_revocation(gateway: Gateway) -> None:
    with GatewayClient(f"unix:{gateway.socket}") as client:
        first = client.attest(draft("twice"), until="signed")
        gateway.stop()
        gateway.start()
        again = client.attest(draft("twice"), until="signed")
        assert (again.index, again.duplicate, first.duplicate) == (first.index, True, False)
        line = next(client.attest_many([draft("twice")])).attested
        assert line is not None
        assert (line.index, line.duplicate) == (first.index, True)
        assert client.attest(draft("twice"), until="signed", again=True).index > first.index
        client.revoke(first.index, 2)
        assert client.attest(draft("twice"), until="signed").index > first.index


@pytest.mark.parametrize("blinded", [False, True])
def test_what_was_revoked_for_good_is_attested_if_it_is_asked_for_again(
    gateway: Gateway, *, blinded: bool
) -> None:
    with GatewayClient(f"unix:{gateway.socket}") as client:
        first = client.attest(draft(f"forged {blinded}"), until="signed")
        client.revoke(first.index, 4)
        asked = msgspec.structs.replace(draft(f"forged {blinded}"), blinded=blinded)
        before = size(gateway)
        with pytest.raises(RefusedError, match=f"entry {first.index} .* fraud") as caught:
            client.attest(asked, until="signed")
        assert caught.value.code == "revoked-for-good"
        (line,) = client.attest_many([draft(f"forged {blinded}")])
        assert line.error is not None
        assert line.error.code == "revoked-for-good"
        assert size(gateway) == before
        made = client.attest(asked, until="signed", again=True)
        assert made.index == before
        assert (
            client.verify(Query(digests(f"forged {blinded}"), made.proof))["verdict"] == "revoked"
        )


def test_second_revocation_that_would_not_count_makes_no_entry(gateway: Gateway) -> None:
    with GatewayClient(f"unix:{gateway.socket}") as client:
        target = client.attest(draft("revoked twice"), until="signed").index
        first = client.revoke(target, 3)
        assert "duplicate" not in first
        before = size(gateway)
        assert client.revoke(target, 3) == first | {"duplicate": True}
        with pytest.raises(ExistsError, match="customer's request") as caught:
            client.revoke(target, 0)
        assert caught.value.code == "already-revoked"
        assert size(gateway) == before
        place = f"{gateway.who.origin}#{target}"
        assert "is revoked already (" in gateway.cli("revoke", place, "--reason", "customer").stdout
        done = gateway.cli("revoke", place, "--reason", "replaced", check=False)
        assert done.returncode == 73
        assert f"entry {target} is revoked already" in " ".join(done.stderr.split())
        graver = client.revoke(target, 4)
        assert graver["index"] == before
        for reason in (1, 3, 5):
            with pytest.raises(ExistsError, match="fraud"):
                client.revoke(target, reason)
        assert size(gateway) == before + 1


def test_job_under_a_name_is_done_once(gateway: Gateway) -> None:
    told: list[int] = []
    job = Job("kyc", name="month's end")
    documents = [digests(f"job {number}") for number in range(FEW + 10)]

    async def attest() -> list[Attested]:
        async with AsyncGatewayClient(f"unix:{gateway.socket}") as client:
            made = [one async for one in client.attest_all(documents, job, progress=told.append)]
        return [one.attested for one in made if one.attested]

    first = asyncio.run(attest())
    reached = size(gateway)
    with GatewayClient(f"unix:{gateway.socket}") as client:
        again = [one.attested for one in client.attest_all(iter(documents), job)]
        assert [one and one.index for one in again] == [one.index for one in first]
        policy = parse_policy(client.policy())
    assert size(gateway) == reached
    assert told[-1] == len(documents)
    for one in first[::500]:
        assert one.proof is not None
        assert verify_proof(parse_proof(one.proof), policy).index == one.index


def test_page_on_the_sdk_says_what_works(gateway: Gateway, tmp_path: Path) -> None:
    documents = [tmp_path / f"statement-{number}.pdf" for number in range(3)]
    for number, document in enumerate(documents):
        document.write_text(f"statement {number}")
    names: dict[str, Any] = {
        "document": documents[0],
        "documents": documents,
        "proof_file": tmp_path / "statement-0.proof",
    }
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        text = block.replace("/run/chopmark/api.sock", str(gateway.socket))
        if "https://" not in text:  # test_tls_gateway runs such
            exec(text, names)  # noqa: S102 - our own page
    assert names["verdict"]["verdict"] == "valid"
    assert names["offline"].word.value == "valid-as-of"
    assert all(path.with_name(path.name + ".tlog-proof").exists() for path in documents)

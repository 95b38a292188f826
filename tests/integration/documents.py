"""Documents for tests that talk to real gateways."""

import hashlib
import json
import os
from typing import Any

from chopmark.core.digest import digest_stream
from rig.gateway import Gateway

LONGEST = 60
"""Seconds that a gateway waits for signature and quorum if it is asked to; by itself, 10."""


def digests_of(data: bytes) -> dict[str, str]:
    """Digests as the API takes them."""
    digests, _ = digest_stream([data])
    assert digests.sm3 is not None
    return {"sha256": digests.sha256.hex(), "sm3": digests.sm3.hex()}


def attest(gateway: Gateway, data: bytes, **more: Any) -> dict[str, Any]:
    """Attest a document; gives the answer."""
    with gateway.client() as client:
        body = {"digests": digests_of(data), "kind": "bank-statement", "wait": LONGEST, **more}
        answer = client.post("/v1/attestations", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def revoke(gateway: Gateway, index: int, reason: int) -> dict[str, Any]:
    """Revoke an entry; gives the answer."""
    with gateway.client() as client:
        body = {"index": index, "reason": reason, "wait": LONGEST}
        answer = client.post("/v1/revocations", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def verify(gateway: Gateway, data: bytes | None, **more: Any) -> dict[str, Any]:
    """Verify a document; gives the verdict."""
    with gateway.client() as client:
        body = {**({"digests": digests_of(data)} if data is not None else {}), **more}
        answer = client.post("/v1/verifications", json=body)
        assert answer.status_code == 200, answer.text
        verdict: dict[str, Any] = answer.json()
        return verdict


def wait_valid(gateway: Gateway, data: bytes) -> None:
    """Wait until a document is valid: who vouches for a head comes in after the head."""
    gateway.wait_for(lambda: verify(gateway, data)["verdict"] == "valid", "to find it valid")


def attest_many(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """Attest random digests in one request; gives the answers, in order."""
    lines = b"".join(b'{"sha256":"%s"}\n' % os.urandom(32).hex().encode() for _ in range(count))
    with gateway.client() as client:
        answer = client.post(f"/v1/attestations:batch?wait={LONGEST}", content=lines)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


def some_document(name: str) -> bytes:
    """Bytes of a document that no other test has."""
    return b"%PDF-1.4 " + hashlib.sha256(name.encode()).hexdigest().encode()

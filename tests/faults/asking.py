"""Somebody at a gateway who keeps every answer, to compare it with the ledger later."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import httpx
from oracle import Answer, Heads

from chopmark.core.keys import parse_vkey
from rig.gateway import Gateway

REFUSED = frozenset({503, 507})
"""Statuses that mean: nothing was recorded."""


@dataclass
class Client:
    """One client; `answers` and `heads` are what it has seen."""

    gateway: Gateway
    answers: list[Answer] = field(default_factory=list)
    heads: Heads = field(init=False)

    def __post_init__(self) -> None:
        vkey = self.gateway.cli("--json", "peers", "export").stdout
        self.heads = Heads(parse_vkey(json.loads(vkey)["log_vkey"]))

    def attest(self, digest: bytes | None = None, wait: float = 10) -> httpx.Response:
        """Attest one document, or be refused; anything else is a fault."""
        digest = digest or os.urandom(32)
        with self.gateway.client() as client:
            body = {"digests": {"sha256": digest.hex()}, "wait": wait}
            answer = client.post("/v1/attestations", json=body)
        assert answer.status_code in {201, 202} | REFUSED, answer.text
        if answer.status_code in {201, 202}:
            made = answer.json()
            self.answers.append(Answer(made["index"], digest, signed=made["state"] == "signed"))
            if "proof" in made:
                self.heads.add_proof(made["proof"].encode())
        return answer

    def attest_many(self, count: int, wait: float = 5) -> list[dict[str, Any]]:
        """Attest many in one request; gives the errors among the answers."""
        digests = [os.urandom(32) for _ in range(count)]
        lines = b"".join(b'{"sha256":"%s"}\n' % digest.hex().encode() for digest in digests)
        with self.gateway.client() as client:
            answer = client.post(f"/v1/attestations:batch?wait={wait}", content=lines)
        assert answer.status_code in {200} | REFUSED, answer.text
        if answer.status_code != 200:
            return [answer.json()]
        made = [json.loads(line) for line in answer.text.splitlines()]
        assert len(made) == count
        for digest, one in zip(digests, made, strict=True):
            if "error" not in one:
                self.answers.append(Answer(one["index"], digest, signed=one["state"] == "signed"))
        return [one["error"] for one in made if "error" in one]

    def verify(self, digest: bytes) -> str:
        """The verdict about a digest."""
        with self.gateway.client() as client:
            body = {"digests": {"sha256": digest.hex()}}
            answer = client.post("/v1/verifications", json=body)
        assert answer.status_code == 200, answer.text
        verdict: str = answer.json()["verdict"]
        return verdict

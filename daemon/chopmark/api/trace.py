"""`POST /v1/trace`: the life of a document over all logs, each step with its proof.

By POST, for what is asked with may hold salts, and URLs get into logs.
"""

from typing import Any

import msgspec

from chopmark.api.consents import Proofs, ProofText
from chopmark.api.dealings import TraceAsked
from chopmark.api.limits import ApiLimits
from chopmark.api.models import DigestsIn, read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.core.errors import MalformedError


class TraceIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/trace`."""

    digests: DigestsIn | None = None
    proof: ProofText | None = None
    records: Proofs = []


async def trace(body: bytes, gateway: Gateway, _: ApiLimits) -> Answer:
    """Trace one document by its digests, its proof, or the proofs of consents and uses."""
    asked = read_body(body, TraceIn)
    if asked.digests is None and asked.proof is None and not asked.records:
        message = "nothing to trace: `digests`, `proof` and `records` are all missing"
        raise MalformedError("malformed-request", message)
    digests = None if asked.digests is None else asked.digests.decoded()
    proof = None if asked.proof is None else asked.proof.encode()
    records = tuple(one.encode() for one in asked.records)
    found: dict[str, Any] = await gateway.dealings.trace(TraceAsked(digests, proof, records))
    return Answer(200, found)

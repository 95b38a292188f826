"""`POST /v1/attestations`: attest one document.

201: it has come as far as was asked for, with its proof. 202: durable, and not so far yet: `signed`
with a provisional proof, or `recorded`; the proof comes by `GET /v1/proofs/{id}/{index}`. Anything
else: not recorded.
"""

import msgspec

from chopmark.api.limits import ApiLimits
from chopmark.api.models import AttestationIn, DigestsIn, read_body
from chopmark.api.ports import Awaited, Gateway
from chopmark.api.posts import Answer
from chopmark.api.recording import wait_for_proof
from chopmark.api.times import Deadline, parse_time
from chopmark.core.draft import Draft, Recorded
from chopmark.core.wording import format_time


class AttestationOut(msgspec.Struct, omit_defaults=True):
    """An attestation that is recorded.

    `valid_until` is there if it ends, `blinded` if it is so, be it by the catalogue of kinds.

    `proof` is there once it is signed; `provisional` if that lacks the quorum that is demanded.
    """

    id: str
    origin: str
    index: int
    made_at: str
    state: str
    kind: str
    digests: dict[str, str]
    proof: str | None = None
    provisional: bool = False
    valid_until: str | None = None
    blinded: bool = False


async def attest(body: bytes, gateway: Gateway, limits: ApiLimits) -> Answer:
    """Attest one document."""
    asked = read_body(body, AttestationIn)
    deadline = Deadline(asked.wait)
    draft = _draft(asked, gateway)
    recorded = await _record(gateway, limits, draft, asked.wait)
    left = deadline.left()
    awaited = await wait_for_proof(gateway, recorded.start, asked.until, left, asked.kind)
    return _answer(gateway, asked, draft, recorded, awaited)


async def _record(gateway: Gateway, limits: ApiLimits, draft: Draft, wait: float) -> Recorded:
    if draft.supersedes is not None:
        await gateway.check_supersedes(draft.supersedes)
    return await gateway.record([draft], max(wait, limits.least_record))


def _draft(asked: AttestationIn, gateway: Gateway) -> Draft:
    """What is asked for, with what the catalogue of kinds may set."""
    digests = asked.digests.decoded()
    until = None if asked.valid_until is None else parse_time(asked.valid_until, "valid_until")
    draft = Draft(digests.sha256, asked.kind, digests.sm3, until, asked.supersedes, asked.blinded)
    terms = gateway.check_draft(draft)
    if terms == (until, asked.blinded):
        return draft
    return msgspec.structs.replace(draft, valid_until=terms.valid_until, blinded=terms.blinded)


def _answer(
    gateway: Gateway, asked: AttestationIn, draft: Draft, recorded: Recorded, awaited: Awaited
) -> Answer:
    who = gateway.identity()
    content = AttestationOut(
        who.id,
        who.origin,
        recorded.start,
        format_time(recorded.made_at),
        awaited.state,
        asked.kind,
        _echo(asked.digests),
        None if awaited.proof is None else awaited.proof.decode(),
        awaited.provisional,
        None if draft.valid_until is None else format_time(draft.valid_until),
        draft.blinded,
    )
    short = awaited.proof is None or (awaited.provisional and asked.until == "witnessed")
    location = f"/v1/proofs/{who.id}/{recorded.start}"
    return Answer(202 if short else 201, content, location)


def _echo(digests: DigestsIn) -> dict[str, str]:
    sm3 = {} if digests.sm3 is None else {"sm3": digests.sm3}
    return {"sha256": digests.sha256} | sm3

"""`POST /v1/attestations`: attest one document.

It is attested once for each client, unless asked for again; and once for each idempotency key.

201: it has come as far as was asked for, with its proof. 202: durable, and not so far yet: `signed`
with a provisional proof, or `recorded`; the proof comes by `GET /v1/proofs/{id}/{index}`. Anything
else: not recorded.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from chopmark.api.idempotency import ask, find_earlier, the_entry
from chopmark.api.limits import ApiLimits
from chopmark.api.models import AttestationIn, DigestsIn, read_body
from chopmark.api.ports import Awaited, Gateway
from chopmark.api.posts import Answer
from chopmark.api.recording import wait_for_proof
from chopmark.api.roles import check_kind
from chopmark.api.times import Deadline, parse_time
from chopmark.core.draft import Asking, Draft, Earlier, sort_canonical
from chopmark.core.wording import format_time


class AttestationOut(msgspec.Struct, omit_defaults=True):
    """An attestation that is recorded.

    `valid_until` is there if it ends, `blinded` if it is so, be it by the catalogue of kinds.

    `proof` is there once it is signed; `provisional` if that lacks the quorum that is demanded.
    `duplicate` says that it was attested before, for this client.
    """

    id: str
    origin: str
    index: int
    made_at: str
    state: str
    kind: str
    digests: dict[str, Any]
    proof: str | None = None
    provisional: bool = False
    valid_until: str | None = None
    blinded: bool = False
    duplicate: bool = False


async def attest(body: bytes, gateway: Gateway, limits: ApiLimits) -> Answer:
    """Attest one document."""
    asked = read_body(body, AttestationIn)
    check_kind(asked.kind)
    deadline = Deadline(asked.wait)
    asking = ask(asked, again=asked.duplicates == "again")
    entry = await find_earlier(gateway, asking) or await _record(gateway, limits, asked, asking)
    left = deadline.left()
    awaited = await wait_for_proof(gateway, entry.index, asked.until, left, asked.kind)
    return _answer(gateway, asked, entry, awaited)


async def _record(
    gateway: Gateway, limits: ApiLimits, asked: AttestationIn, asking: Asking
) -> Earlier:
    draft = _draft(asked, gateway)
    if draft.supersedes is not None:
        await gateway.check_supersedes(draft.supersedes, draft)
    recorded = await gateway.record([draft], max(asked.wait, limits.least_record), asking)
    entry = the_entry(recorded)
    if recorded.known:
        return entry
    return replace(entry, valid_until=draft.valid_until, blinded=draft.blinded)


def _draft(asked: AttestationIn, gateway: Gateway) -> Draft:
    """What is asked for, with what the catalogue of kinds may set."""
    digests = asked.digests.decoded()
    until = None if asked.valid_until is None else parse_time(asked.valid_until, "valid_until")
    draft = Draft(
        *(digests.sha256, asked.kind, digests.sm3, until, asked.supersedes, asked.blinded),
        canonical=sort_canonical(dict(digests.canonical)),
    )
    end, blinded = gateway.check_draft(draft)
    if (end, blinded) == (until, asked.blinded):
        return draft
    return replace(draft, valid_until=end, blinded=blinded, default_end=end != until)


def _answer(gateway: Gateway, asked: AttestationIn, entry: Earlier, awaited: Awaited) -> Answer:
    who = gateway.identity()
    content = AttestationOut(
        who.id,
        who.origin,
        entry.index,
        format_time(entry.made_at),
        awaited.state,
        asked.kind,
        _echo(asked.digests),
        None if awaited.proof is None else awaited.proof.decode(),
        awaited.provisional,
        None if entry.valid_until is None else format_time(entry.valid_until),
        entry.blinded,
        entry.duplicate,
    )
    short = awaited.proof is None or (awaited.provisional and asked.until == "witnessed")
    location = f"/v1/proofs/{who.id}/{entry.index}"
    return Answer(202 if short else 201, content, location)


def _echo(digests: DigestsIn) -> dict[str, Any]:
    given = {"sha256": digests.sha256, "sm3": digests.sm3, "canonical": digests.canonical}
    return {name: value for name, value in given.items() if value is not None}

"""`POST /v1/consents` and `/v1/uses`: what a customer lets a receiver do, and that it has done it.

201: it has come as far as was asked for, with its proof. 202: durable, and not so far yet. Anything
else: not recorded. Salt and body are in the answer, and nowhere else for good.
"""

from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from chopmark.api.dealings import ConsentAsked, Made, UseAsked
from chopmark.api.idempotency import ask
from chopmark.api.limits import DEFAULT_WAIT, ApiLimits
from chopmark.api.models import DigestsIn, Index, Kind, Name, Wait, read_body
from chopmark.api.ports import Gateway, Until
from chopmark.api.posts import Answer
from chopmark.api.recording import wait_for_proof
from chopmark.api.times import Deadline, parse_time
from chopmark.api.verifications import parse_reference
from chopmark.core.consent import MAX_RECORDS, Consent, Use, add_records, seal, show
from chopmark.core.errors import MalformedError
from chopmark.core.proof import MAX_PROOF, Proof, parse_proof
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time

ProofText = Annotated[str, Meta(max_length=MAX_PROOF)]
Proofs = Annotated[list[ProofText], Meta(max_length=MAX_RECORDS)]


class ConsentIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/consents`."""

    index: Index
    receiver: Name
    purpose: Kind
    valid_until: str
    scenario: Kind | None = None
    proof: ProofText | None = None
    wait: Wait = DEFAULT_WAIT
    until: Until = "witnessed"


class UseIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/uses`."""

    digests: DigestsIn
    purpose: Kind
    proof: ProofText | None = None
    reference: Name | None = None
    expect_issuer: Name | None = None
    consents: Proofs = []
    scenario: Kind | None = None
    wait: Wait = DEFAULT_WAIT
    until: Until = "witnessed"


class DealingOut(msgspec.Struct, omit_defaults=True):
    """A consent or use that is recorded.

    `attestation` names what it is about, `receiver` the origin of who may use it, or has. `salt`
    and `body` open the entry; `proof` has them in it, once it is signed. `document_proof` is the
    document's proof that was given, with that in it.
    """

    id: str
    origin: str
    index: int
    made_at: str
    state: str
    attestation: str
    receiver: str
    purpose: str
    salt: str
    body: str
    proof: str | None = None
    provisional: bool = False
    scenario: str | None = None
    valid_until: str | None = None
    consent: int | None = None
    document_proof: str | None = None


async def consent(body: bytes, gateway: Gateway, limits: ApiLimits) -> Answer:
    """Record a consent."""
    asked = read_body(body, ConsentIn)
    deadline = Deadline(asked.wait)
    until = parse_time(asked.valid_until, "valid_until")
    wish = ConsentAsked(asked.index, asked.receiver, asked.purpose, until, asked.scenario)
    seconds = max(asked.wait, limits.least_record)
    carrier = read_carrier(asked.proof)
    made = await gateway.dealings.consent(wish, seconds, ask(asked, again=True))
    return await _answer(gateway, made, carrier, asked.until, deadline)


async def use(body: bytes, gateway: Gateway, limits: ApiLimits) -> Answer:
    """Verify a document, and record that it is used."""
    asked = read_body(body, UseIn)
    deadline = Deadline(asked.wait)
    wish = UseAsked(
        asked.digests.decoded(),
        asked.purpose,
        None if asked.proof is None else asked.proof.encode(),
        None if asked.reference is None else parse_reference(asked.reference),
        asked.expect_issuer,
        tuple(one.encode() for one in asked.consents),
        asked.scenario,
    )
    seconds = max(asked.wait, limits.least_record)
    carrier = read_carrier(asked.proof)
    made = await gateway.dealings.use(wish, seconds, ask(asked, again=True))
    return await _answer(gateway, made, carrier, asked.until, deadline)


def read_carrier(proof: str | None) -> Proof | None:
    """The document's proof, before anything is recorded.

    Raises:
        MalformedError: what `parse_proof` raises.
    """
    return None if proof is None else parse_proof(proof.encode())


def _carry(carrier: Proof | None, proof: Proof) -> str | None:
    """The document's proof with one more consent or use in it.

    None where it is of another attestation, or full: what was recorded is in its own proof.
    """
    if carrier is None:
        return None
    with suppress(MalformedError):
        return add_records(carrier, [show(proof)]).encode().decode()
    return None


async def _answer(
    gateway: Gateway, made: Made, carrier: Proof | None, until: Until, deadline: Deadline
) -> Answer:
    entry, body = made.entry, made.body
    awaited = await wait_for_proof(gateway, entry.index, until, deadline.left(), "")
    proof, carrying = None, None
    if awaited.proof is not None:
        sealed = seal(parse_proof(awaited.proof), made.salt, body)
        proof, carrying = sealed.encode().decode(), _carry(carrier, sealed)
    who = gateway.identity()
    until_ms = body.until if isinstance(body, Consent) else None
    rests_on = body.consent if isinstance(body, Use) else None
    content = DealingOut(
        who.id,
        who.origin,
        entry.index,
        format_time(entry.made_at),
        awaited.state,
        f"{body.origin}#{body.index}",
        body.receiver,
        body.purpose,
        encode_base64(made.salt),
        encode_base64(body.encode()),
        proof,
        awaited.provisional,
        body.scenario,
        None if until_ms is None else format_time(until_ms),
        None if rests_on is None else rests_on[0],
        carrying,
    )
    short = proof is None or (awaited.provisional and until == "witnessed")
    return Answer(202 if short else 201, content, f"/v1/proofs/{who.id}/{entry.index}")

"""`POST /v1/revocations`: take back an attestation of our own log.

201: signed. 202: durable, it will be signed. Anything else: not recorded.
"""

import msgspec

from chopmark.api.idempotency import ask, find_earlier, the_entry
from chopmark.api.limits import ApiLimits
from chopmark.api.models import RevocationIn, read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.recording import is_signed_before_stop
from chopmark.api.times import Deadline
from chopmark.core.wording import format_time


class RevocationOut(msgspec.Struct, omit_defaults=True):
    """A revocation that is recorded; `index` is its own, `revokes` that of the attestation.

    `duplicate` says that it was revoked for this reason before.
    """

    id: str
    origin: str
    index: int
    revokes: int
    reason: int
    made_at: str
    state: str
    duplicate: bool = False


async def revoke(body: bytes, gateway: Gateway, limits: ApiLimits) -> Answer:
    """Revoke one attestation."""
    asked = read_body(body, RevocationIn)
    deadline = Deadline(asked.wait)
    asking = ask(asked, again=True)
    entry = await find_earlier(gateway, asking)
    if entry is None:
        seconds = max(asked.wait, limits.least_record)
        entry = the_entry(await gateway.revoke(asked.index, asked.reason, seconds, asking))
    signed = await is_signed_before_stop(gateway, entry.index, deadline.left())
    who = gateway.identity()
    content = RevocationOut(
        who.id,
        who.origin,
        entry.index,
        asked.index,
        asked.reason,
        format_time(entry.made_at),
        "signed" if signed else "recorded",
        entry.duplicate,
    )
    return Answer(201 if signed else 202, content)

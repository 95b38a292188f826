"""The roster: looked at by everybody here, signed, published and pinned by operators."""

from typing import Any

import msgspec
from litestar import get

from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.wiring import GatewayDep


class RosterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text or note of a roster, or a suspension."""

    note: str


class SignBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text or note of a roster, and whether an operator vouches for a record that is lost."""

    note: str
    confirm_lost: bool = False


class RosterPinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note, and its fingerprint as the operator knows it from elsewhere."""

    note: str
    fingerprint: str


@get("/v1/roster")
async def read_roster(gateway: GatewayDep) -> dict[str, Any]:
    """The version in force."""
    return gateway.rosters.show()


async def sign_roster(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Sign a text of the roster: `POST /v1/roster/signatures`."""
    asked = read_body(body, SignBody)
    note = await gateway.rosters.sign(asked.note.encode(), confirmed=asked.confirm_lost)
    return Answer(201, {"note": note.decode()})


async def publish_roster(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Take a version or a suspension: `POST /v1/roster/versions`."""
    return Answer(200, await gateway.rosters.publish(read_body(body, RosterBody).note.encode()))


async def pin_roster(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Put a version in force by its fingerprint: `POST /v1/roster/pin`."""
    asked = read_body(body, RosterPinBody)
    return Answer(200, await gateway.rosters.pin(asked.note.encode(), asked.fingerprint))

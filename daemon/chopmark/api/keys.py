"""The keys in the token: made, activated and destroyed by operators while the gateway runs."""

from typing import Any, Literal

import msgspec
from litestar import get

from chopmark.api.identity import require_unix
from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.wiring import GatewayDep


class GenerateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the new key is for."""

    role: Literal["log", "cosigner"]


class KeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key."""

    vkey: str


class LeftoverBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key that is none of ours, by two facts."""

    label: str
    fingerprint: str


@get("/v1/keys")
async def read_keys(gateway: GatewayDep) -> list[dict[str, Any]]:
    """The keys of this gateway, and what else lies in its token."""
    return await gateway.rotation.keys()


async def generate_key(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Make a key in the token: `POST /v1/keys/generate`."""
    return Answer(201, await gateway.rotation.generate(read_body(body, GenerateBody).role))


async def activate_key(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Let a key sign in place of the one before: `POST /v1/keys/activate`."""
    return Answer(200, await gateway.rotation.activate(read_body(body, KeyBody).vkey))


async def retire_key(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Destroy a key that has ended: `POST /v1/keys/retire`."""
    require_unix("a key is destroyed")
    return Answer(200, await gateway.rotation.retire(read_body(body, KeyBody).vkey))


async def destroy_key(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Destroy a key that nobody has a claim to: `POST /v1/keys/destroy`."""
    require_unix("a key is destroyed")
    asked = read_body(body, LeftoverBody)
    return Answer(200, await gateway.rotation.destroy(asked.label, asked.fingerprint))

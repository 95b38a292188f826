"""The HSM, for operators: how it is, its PIN, and maintenance."""

from typing import Any

import msgspec
from litestar import get

from chopmark.api.identity import CALLER, require_unix
from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.wiring import GatewayDep
from chopmark.core.errors import MalformedError


class PinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The PIN; nothing shows it."""

    pin: str

    def __repr__(self) -> str:
        return "PinBody(pin=***)"


class MaintenanceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the HSM is to be out of use."""

    on: bool


@get("/v1/hsm")
async def read_hsm(gateway: GatewayDep) -> dict[str, Any]:
    """How the HSM is."""
    return gateway.hsm.describe()


async def unlock_hsm(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Give the PIN: `POST /v1/hsm/pin`, by the unix socket.

    Where it is awaited, and none was refused, a client with a certificate may give it too: an
    unlock service on the institution's network.
    """
    if CALLER.get().door != "tls" or gateway.hsm.describe()["state"] != "locked":
        require_unix("a PIN is taken")
    return Answer(200, await gateway.hsm.unlock(_read_pin(body)))


async def unlatch_hsm(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Let the PIN be tried again: `POST /v1/hsm/unlatch`."""
    require_unix("the PIN is tried again")
    if body not in (b"", b"{}"):
        raise MalformedError("malformed-request", "this route takes no body")
    return Answer(200, await gateway.hsm.unlatch())


async def maintain_hsm(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Take the HSM out of use, or into use again: `POST /v1/hsm/maintenance`."""
    require_unix("the HSM is taken out of use")
    return Answer(200, await gateway.hsm.maintain(on=read_body(body, MaintenanceBody).on))


def _read_pin(body: bytes) -> str:
    """The PIN. What is wrong with another body is not told by a text that could quote it."""
    try:
        return msgspec.json.decode(body, type=PinBody).pin
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise MalformedError("malformed-request", 'the body is not {"pin": "…"}')

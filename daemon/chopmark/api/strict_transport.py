"""Has browsers come back by HTTPS only (RFC 6797): what people sign in to is asked for by no other.

Only of a name that is this gateway's alone: `localhost` and the loopback addresses are shared by
all that this machine serves, much of it by plain HTTP.
"""

from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from litestar.enums import ScopeType
from litestar.types import Message, Scope, Send

_STRICT: Final = (b"strict-transport-security", b"max-age=31536000")
"""A year from each visit. Names below it are not the gateway's to speak for."""


def strictly(scope: Scope, send: Send) -> Send:
    """How to answer a request that came by TLS: with the header, where it is due."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    named = scope["type"] == ScopeType.HTTP and len(hosts) == 1
    if not named or is_loopback(hosts[0].decode("latin-1")):
        return send

    async def send_strictly(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], _STRICT]
        await send(message)

    return send_strictly


def is_loopback(host: str) -> bool:
    """Whether a `Host`, with or without a port, means the machine that the browser is on."""
    bare = host.lower()
    name = bare[1:].partition("]")[0] if bare.startswith("[") else bare.partition(":")[0]
    if name.rstrip(".").rpartition(".")[2] == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(name).is_loopback
    return False

"""Who calls: the peer of a connection, as the tasks that serve its requests see it.

The only module that reads identity from a transport: the kernel's word on who opened a unix socket,
and the client certificate of a TLS connection. Both are read once, when the connection is made.
"""

import socket
import struct
from asyncio import BaseTransport
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal

from chopmark.core.errors import ForbiddenError

Role = Literal["issuer", "verifier", "auditor", "operator"]
ROLES: Final[frozenset[Role]] = frozenset(("issuer", "verifier", "auditor", "operator"))
ANY_KIND: Final = frozenset("*")
_CREDENTIALS: Final = struct.Struct("3i")
"""What SO_PEERCRED gives: process, user and group id (unix(7))."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what that one may do.

    Attributes:
        client: a stable text: `uid 1000`, `cert core-banking`, `local`; empty for what the daemon
            does by itself.
        roles: what it may do.
        kinds: kinds of document that it may have attested; `*` stands for all.
        machine: a program of the institution's, not a page that a person looks at.
        door: by which way it came; empty for the daemon itself.
    """

    client: str
    roles: frozenset[Role]
    kinds: frozenset[str]
    machine: bool
    door: Literal["", "unix", "loopback", "tls"] = ""

    def may_issue(self, kind: str) -> bool:
        """Whether it may have documents of this kind attested."""
        return kind in self.kinds or "*" in self.kinds


OURSELVES: Final = Caller("", ROLES, ANY_KIND, machine=False)
"""What is done for no connection: the daemon's own work."""
CALLER: Final[ContextVar[Caller]] = ContextVar("caller", default=OURSELVES)
"""The caller of the request that the current task serves."""


def client_identity() -> str:
    """Who asks, in the name of which keys and duplicates are told apart; empty for ourselves."""
    return CALLER.get().client


def require_unix(what: str) -> None:
    """Refuse a request that did not come by the unix socket, whose users the kernel knows.

    Args:
        what: what is asked for, for the message.

    Raises:
        ForbiddenError: `unix-only`.
    """
    if CALLER.get().door not in ("", "unix"):
        hint = "use the unix socket: the kernel says there who asks, and nobody reads along"
        raise ForbiddenError("unix-only", f"{what} by the unix socket only", hint=hint)


def identify(transport: BaseTransport) -> Caller:
    """Who is at the other end of a connection."""
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family != socket.AF_UNIX:
        return Caller("local", ROLES, ANY_KIND, machine=False, door="loopback")
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return Caller(f"uid {uid}", ROLES, ANY_KIND, machine=True, door="unix")

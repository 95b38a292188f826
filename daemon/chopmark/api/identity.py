"""Who calls: the peer of a connection, as the tasks that serve its requests see it."""

import socket
import struct
from asyncio import BaseTransport
from contextvars import ContextVar
from typing import Final

from chopmark.core.errors import ForbiddenError

CALLER: Final[ContextVar[str]] = ContextVar("caller", default="")
"""The caller of the request that the current task serves; empty where none does."""
_CREDENTIALS: Final = struct.Struct("3i")
"""What SO_PEERCRED gives: process, user and group id (unix(7))."""


def require_unix(what: str) -> None:
    """Refuse a request that did not come by the unix socket, whose users the kernel knows.

    Args:
        what: what is asked for, for the message.

    Raises:
        ForbiddenError: `unix-only`.
    """
    if not CALLER.get().startswith("unix "):
        hint = "use the unix socket: the kernel says there who asks, and nobody reads along"
        raise ForbiddenError("unix-only", f"{what} by the unix socket only", hint=hint)


def describe_peer(transport: BaseTransport) -> str:
    """Who is at the other end: `unix uid=1000 pid=4711`, or `tcp 127.0.0.1:50122`."""
    peer = transport.get_extra_info("socket")
    if peer is None:
        return ""
    if peer.family == socket.AF_UNIX:
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(data)
        return f"unix uid={uid} pid={pid}"
    address = transport.get_extra_info("peername") or ("", 0)
    return f"tcp {address[0]}:{address[1]}"

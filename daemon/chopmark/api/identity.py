"""Who calls: the peer of a connection, as the tasks that serve its requests see it."""

import socket
import struct
from asyncio import BaseTransport
from contextvars import ContextVar
from typing import Final

CALLER: Final[ContextVar[str]] = ContextVar("caller", default="")
"""The caller of the request that the current task serves; empty where none does."""
_CREDENTIALS: Final = struct.Struct("3i")
"""What SO_PEERCRED gives: process, user and group id (unix(7))."""


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

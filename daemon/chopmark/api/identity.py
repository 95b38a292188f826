"""Who calls: the peer of a connection, as the tasks that serve its requests see it.

The only module that reads identity from a transport: the kernel's word on who opened a unix socket,
and the client certificate of a TLS connection. Both are read once, when the connection is made.
"""

import logging
import os
import socket
import ssl
import struct
from asyncio import BaseTransport
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from chopmark.api.certificates import Certificate, read_certificate
from chopmark.api.rates import Bucket
from chopmark.core.errors import ForbiddenError

_log = logging.getLogger(__name__)

Role = Literal["issuer", "verifier", "auditor", "operator"]
Door = Literal["", "unix", "loopback", "tls", "page"]
ROLES: Final[frozenset[Role]] = frozenset(("issuer", "verifier", "auditor", "operator"))
ANY_KIND: Final = frozenset("*")
_CREDENTIALS: Final = struct.Struct("3i")
"""What SO_PEERCRED gives: process, user and group id (unix(7))."""
_SO_PEERGROUPS: Final = 59
"""Supplementary groups of the peer (asm-generic/socket.h, since Linux 4.13)."""
_GROUP: Final = 4
"""Bytes of a group's number."""
_MOST_GROUPS: Final = 256
"""As many as Python's getsockopt has room for."""
_MOST_USERS: Final = 1024
"""Users of a group that are remembered with their bucket."""


class Barred(NamedTuple):
    """Why a caller may do nothing at all."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what that one may do.

    Attributes:
        client: a stable text: `uid 1000`, `cert core-banking`, `user anna`, `oidc 4711`,
            `branch 10.1.2.0/24`, `local`; empty for nobody.
        roles: what it may do.
        kinds: kinds of document that it may have attested; `*` stands for all.
        machine: a program of the institution's, not a page that a person looks at.
        door: by which way it came; empty for none.
        barred: why it may do nothing, if so.
        bucket: bounds its rate, if it is bounded.
        open: paths that are open to it though it is barred, or lacks the role.
        open_bucket: bounds its rate there; that of its network.
    """

    client: str
    roles: frozenset[Role]
    kinds: frozenset[str]
    machine: bool
    door: Door = ""
    barred: Barred | None = None
    bucket: Bucket | None = field(default=None, compare=False)
    open: frozenset[str] = frozenset()
    open_bucket: Bucket | None = field(default=None, compare=False)

    def may_issue(self, kind: str) -> bool:
        """Whether it may have documents of this kind attested."""
        return kind in self.kinds or "*" in self.kinds

    @property
    def where(self) -> str:
        """Where it is said what it may do."""
        if self.door == "page":
            return "with its account (`chopmark account`), or in [[api.oidc.group]]"
        block = "[[api.client]]" if self.door == "tls" else "[[api.user]]"
        return f"in the gateway's configuration ({block})"

    def portion(self, most: int) -> int:
        """Documents of a stream to be taken at a time: those of a second, at most so many."""
        return most if self.bucket is None else min(most, self.bucket.rate)

    async def pace(self, count: int) -> None:
        """Wait until its rate allows so many more documents of a stream."""
        if self.bucket is not None:
            await self.bucket.pace(count)


NOBODY: Final = Caller(
    "",
    frozenset(),
    frozenset(),
    machine=True,
    barred=Barred(
        "unknown-client", "nobody knows whose request this is", "connect again; nothing was done"
    ),
)
"""For whom a task works that serves no connection: it asks for nothing that needs a role."""
CALLER: Final[ContextVar[Caller]] = ContextVar("caller", default=NOBODY)
"""The caller of the request that the current task serves."""
_LOCAL: Final = Caller("local", ROLES - {"operator"}, ANY_KIND, machine=False, door="loopback")
"""Whoever may open a port of this machine. Nobody knows who it is: it does no operator's work."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the configuration lets somebody do.

    Attributes:
        roles: some of the four.
        kinds: of documents; `*` stands for all.
        rate: documents a second; None for no bound.
    """

    roles: frozenset[Role]
    kinds: frozenset[str] = ANY_KIND
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Grants:
    """What the configuration says about everybody.

    Attributes:
        users: by uid; None if the unix socket's mode is all that guards it.
        groups: by gid, the first one counting.
        clients: name and grant by the common name of a certificate.
    """

    users: Mapping[int, Grant] | None = None
    groups: Sequence[tuple[int, Grant]] = ()
    clients: Mapping[str, tuple[str, Grant]] = field(default_factory=dict)


class Callers:
    """Knows who may do what; one for all doors, so that a client has one rate."""

    def __init__(self, grants: Grants | None = None) -> None:
        self.grants = grants or Grants()
        self._users: OrderedDict[tuple[int, int | None], Caller] = OrderedDict()
        self._clients = {
            subject: _grant(f"cert {name}", grant, "tls")
            for subject, (name, grant) in self.grants.clients.items()
        }

    def meet(self, transport: BaseTransport) -> tuple[Caller, Certificate | None]:
        """Who is at the other end of a connection, and the certificate that says so, if one does.

        It was verified in the handshake.
        """
        secured = transport.get_extra_info("ssl_object")
        if secured is not None:
            return self._meet_client(secured.getpeercert(binary_form=True))
        peer = transport.get_extra_info("socket")
        if peer is None or peer.family != socket.AF_UNIX:
            return _LOCAL, None
        return self._meet_user(peer), None

    def _meet_client(self, encoded: bytes | None) -> tuple[Caller, Certificate | None]:
        if encoded is None:
            message = "this door asks for a client certificate, and none was shown"
            hint = "give one: --cert and --key of chopmark and curl, CHOPMARK_CERT and CHOPMARK_KEY"
            return _bar("nobody", Barred("no-client-certificate", message, hint)), None
        try:
            certificate = read_certificate(encoded)
        except ValueError as error:
            message = f"your certificate is good for TLS, and cannot be read here: {error}"
            hint = "have one made that keeps to RFC 5280"
            return _bar("unknown", Barred("unknown-client", message, hint)), None
        known = self._clients.get(certificate.name)
        if known is None:
            message = f"the certificate of {certificate.subject} is good, but no client here has it"
            hint = f"an operator adds [[api.client]] with subject = {certificate.name!r}"
            known = _bar(f"unknown {certificate}", Barred("unknown-client", message, hint))
        return known, certificate

    def _meet_user(self, peer: socket.socket) -> Caller:
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, gid = _CREDENTIALS.unpack(data)
        number, grant = self._find_user(uid, gid, peer)
        if grant is None:
            message = f"uid {uid} may open the socket, but no [[api.user]] is for it"
            hint = "an operator adds [[api.user]] to the gateway's configuration"
            return _bar(f"uid {uid}", Barred("unknown-client", message, hint), "unix")
        known = self._users.get((uid, number))
        if known is None:
            known = self._users[uid, number] = _grant(f"uid {uid}", grant, "unix")
            if len(self._users) > _MOST_USERS:
                self._users.popitem(last=False)
        return known

    def _find_user(
        self, uid: int, gid: int, peer: socket.socket
    ) -> tuple[int | None, Grant | None]:
        """The grant of a user, and the group that has it."""
        users, groups = self.grants.users, self.grants.groups
        if users is None or uid in (0, os.geteuid()):
            return None, Grant(ROLES)
        if uid in users:
            return None, users[uid]
        theirs = {gid, *_read_groups(peer)} if groups else set()
        return next(((number, grant) for number, grant in groups if number in theirs), (None, None))


def client_identity() -> str:
    """Who asks, in the name of which keys and duplicates are told apart; empty for nobody."""
    return CALLER.get().client


def require_unix(what: str) -> None:
    """Refuse a request that did not come by the unix socket, whose users the kernel knows.

    Args:
        what: what is asked for, for the message.

    Raises:
        ForbiddenError: `unix-only`.
    """
    if CALLER.get().door != "unix":
        hint = "use the unix socket: the kernel says there who asks, and nobody reads along"
        raise ForbiddenError("unix-only", f"{what} by the unix socket only", hint=hint)


def require_known(what: str) -> None:
    """Refuse a request that came by the loopback port: it is nobody's in particular.

    Args:
        what: is asked for, for the message.

    Raises:
        ForbiddenError: `caller-unknown`.
    """
    if CALLER.get().door == "loopback":
        message = f"{what} not on the loopback port, whose users nobody knows"
        hint = "use the unix socket (--gateway unix:PATH), or HTTPS"
        raise ForbiddenError("caller-unknown", message, hint=hint)


def read_refused(connection: ssl.SSLObject) -> Certificate | None:
    """The client's certificate that failed verification in a handshake, if it can be read.

    Python has no public way to it before 3.13.
    """
    inner = getattr(connection, "_sslobj", None)
    chain = getattr(inner, "get_verified_chain", lambda: None)()
    if not chain:
        return None
    try:
        return read_certificate(ssl.PEM_cert_to_DER_cert(chain[0].public_bytes()))
    except ValueError:
        return None


def _grant(client: str, grant: Grant, door: Literal["unix", "tls"]) -> Caller:
    bucket = None if grant.rate is None else Bucket(grant.rate)
    return Caller(client, grant.roles, grant.kinds, machine=True, door=door, bucket=bucket)


def _bar(client: str, why: Barred, door: Literal["unix", "tls"] = "tls") -> Caller:
    return Caller(client, frozenset(), frozenset(), machine=True, door=door, barred=why)


def _read_groups(peer: socket.socket) -> Sequence[int]:
    """The groups that the process had when it connected: the kernel needs no name service."""
    try:
        data = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * _GROUP)
    except OSError:  # it has more
        _log.warning("a process with more than %d groups has none here", _MOST_GROUPS)
        return ()
    return [number for (number,) in struct.iter_unpack("I", data)]

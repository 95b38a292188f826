"""Who a request at the page's listener comes from: a session, an open network, or a stranger.

Decided anew for each request, by its own cookie: many people may come through one connection of a
proxy. The address is that of the connection; what headers say of it anybody can write.
"""

from asyncio import BaseTransport
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from litestar.types import Scope

from chopmark.api.certificates import Certificate
from chopmark.api.identity import ANY_KIND, Barred, Caller, Callers, Role
from chopmark.api.rates import Bucket
from chopmark.api.roles import OPEN, SIGN_IN
from chopmark.api.signin.cookies import SESSION, read_cookie
from chopmark.api.signin.sessions import Session, Sessions

Network = IPv4Network | IPv6Network
BACKGROUND: Final = b"x-chopmark-background"
"""A header of requests that the page makes by itself: they keep no session alive."""
EVENTS: Final = "/v1/events"
"""A stream that browsers take up again by themselves, and cannot give a header."""
OPENED: Final[Role] = "verifier"
"""What guests of an open network may do a part of."""
NEEDED: Final = Barred(
    "sign-in-needed",
    "this asks for signing in",
    "sign in at the page; or use a client certificate at the address of [api.tls]",
)
ENDED: Final = Barred(
    "session-ended",
    "your session has ended, or there is none like it",
    "sign in again; nothing was done",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request's visitor.

    Attributes:
        caller: as what the request is done.
        address: it comes from.
        session: that it belongs to, and the id by which it says so.
    """

    caller: Caller
    address: str
    session: Session | None = None
    token: str = field(default="", repr=False)


VISIT: Final[ContextVar[Visit | None]] = ContextVar("visit", default=None)
"""The visitor of the request that the current task serves; None at other doors."""


class Visitors:
    """Tells visitors apart.

    Args:
        sessions: those there are.
        networks: that may verify without signing in.
        rate: requests a second that each of them has.
    """

    def __init__(self, sessions: Sessions, networks: Sequence[str] = (), rate: int = 1) -> None:
        self._sessions = sessions
        self._strangers = {why: _bar("stranger", why) for why in (NEEDED, ENDED)}
        self._networks: list[tuple[Network, dict[Barred, Caller]]] = []
        for text in networks:
            bucket, client = Bucket(rate), f"branch {text}"
            guests = {why: _open(client, why, bucket) for why in (NEEDED, ENDED)}
            self._networks.append((ip_network(text), guests))

    def meet(self, scope: Scope) -> Visit:
        """The visitor of a request."""
        client = scope.get("client")
        address = plain_address(client[0] if client else "")
        headers = scope["headers"]
        token = read_cookie(headers, SESSION)
        if not token:
            return Visit(self._guest(address, NEEDED), address)
        alone = scope["path"] == EVENTS or any(name == BACKGROUND for name, _ in headers)
        session = self._sessions.find(token, person=not alone)
        if session is None:
            return Visit(self._guest(address, ENDED), address)
        caller = self._with_open(session.caller, address)
        return Visit(caller, address, session, token)

    def _with_open(self, caller: Caller, address: str) -> Caller:
        """Nobody may do less for having signed in: what is open to a network's guests stays so."""
        if OPENED in caller.roles:
            return caller
        guest = self._guest(address, NEEDED)
        if not guest.roles:
            return caller
        return replace(caller, open=OPEN, open_bucket=guest.bucket)

    def _guest(self, address: str, why: Barred) -> Caller:
        """What somebody may do who is not signed in; of several networks the first one counts."""
        if self._networks and address:
            where = ip_address(address)
            for network, guests in self._networks:
                if where in network:
                    return guests[why]
        return self._strangers[why]


class Strangers(Callers):
    """Who connects at the page's listener: nobody yet, whose connections are counted by machine."""

    def meet(self, transport: BaseTransport) -> tuple[Caller, Certificate | None]:
        """Nobody, from an address, or from a network of IPv6 that one machine has to itself."""
        name = transport.get_extra_info("peername")
        address = plain_address(name[0]) if isinstance(name, tuple) else ""
        return _bar(f"address {address_group(address)}", NEEDED), None


def plain_address(text: str) -> str:
    """An address as there is one way to write it: without a zone, and IPv4 as such."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def address_group(address: str) -> str:
    """What one machine has at its disposal: of IPv6 a network of 64 bits."""
    if ":" not in address:
        return address
    return str(ip_network((address, 64), strict=False))


def _bar(client: str, why: Barred) -> Caller:
    nobodys = frozenset[Role]()
    return Caller(
        client, nobodys, frozenset(), machine=False, door="page", barred=why, open=SIGN_IN
    )


def _open(client: str, why: Barred, bucket: Bucket) -> Caller:
    roles: frozenset[Role] = frozenset({OPENED})
    paths = SIGN_IN | OPEN
    return Caller(
        client, roles, ANY_KIND, machine=False, door="page", barred=why, bucket=bucket, open=paths
    )

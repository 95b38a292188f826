"""The part of the configuration tree that is about the API: who may get at it, and how.

As of `config_model`, a description stands here once.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

Kinds = tuple[str, ...]
Roles = tuple[Literal["issuer", "verifier", "auditor", "operator"], ...]
Rate = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class ApiTls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api.tls]`: HTTPS for other machines, by TLS 1.3 with client certificates."""

    listen: Annotated[str, Meta(description="an address of this machine and a port")]
    certificate: Annotated[
        Path, Meta(description="PEM file: our certificate, then those between it and its root")
    ]
    key: Annotated[Path, Meta(description="PEM file: its private key; its owner alone may open it")]
    client_ca: Annotated[
        Path, Meta(description="PEM file: the CAs whose client certificates are taken")
    ]
    crl: Annotated[
        Path | None,
        Meta(
            description="PEM file: what these CAs have revoked, a list by each of them",
            examples=["/etc/chopmark/tls/crl.pem"],
        ),
    ] = None

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of `listen`, for a checked configuration."""
        return split_address(self.listen)


class ApiClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[api.client]]`: who a client certificate stands for, and what that one may do."""

    name: Annotated[str, Meta(description="its name here, in log and audit log: [a-z0-9.-]{1,32}")]
    subject: Annotated[str, Meta(description="common name (CN) of its certificate's subject")]
    roles: Annotated[Roles, Meta(description="what it may do: issuer, verifier, auditor, operator")]
    kinds: Annotated[
        Kinds, Meta(description='kinds that it may have attested; ["*"] stands for all')
    ] = ("*",)
    rate: Annotated[
        Rate | None,
        Meta(
            description="documents a second, for whatever is asked; none: no limit",
            examples=[500],
        ),
    ] = None


class ApiUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[api.user]]`: what a user of this machine, or those of a group, may do."""

    user: Annotated[
        str | None, Meta(description="name or number of the user…", examples=["core-banking"])
    ] = None
    group: Annotated[
        str | None, Meta(description="…or of a group", examples=["chopmark-clerks"])
    ] = None
    roles: Annotated[
        Roles, Meta(description="what they may do: issuer, verifier, auditor, operator")
    ]
    kinds: Annotated[
        Kinds, Meta(description='kinds that they may have attested; ["*"] stands for all')
    ] = ("*",)
    rate: Annotated[
        Rate | None,
        Meta(
            description="documents a second, for whatever is asked; none: no limit",
            examples=[500],
        ),
    ] = None


class ApiPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api.page]`: the page for people, by HTTPS, at a listener of its own."""

    listen: Annotated[str, Meta(description="an address of this machine and a port")]
    certificate: Annotated[
        Path | None,
        Meta(
            description="PEM file, as in [api.tls]; none: the certificate of [api.tls]",
            examples=["/etc/chopmark/tls/page.pem"],
        ),
    ] = None
    key: Annotated[
        Path | None,
        Meta(
            description="PEM file: its private key; its owner alone may open it",
            examples=["/etc/chopmark/tls/page.key"],
        ),
    ] = None
    open_to: Annotated[
        tuple[str, ...],
        Meta(description="networks that may verify without signing in, such as 10.1.2.0/24"),
    ] = ()
    open_rate: Annotated[Rate, Meta(description="requests a second of each of these networks")] = 50
    idle: Annotated[
        int, Meta(description="seconds without a person's request after which a session ends")
    ] = 900
    longest: Annotated[
        int, Meta(description="seconds after which a session ends whatever happens")
    ] = 36_000

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of `listen`, for a checked configuration."""
        return split_address(self.listen)


class OidcGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[api.oidc.group]]`: what those of a group of the OpenID provider's may do."""

    name: Annotated[str, Meta(description="the group, as the claim has it")]
    roles: Annotated[
        Roles, Meta(description="what they may do: issuer, verifier, auditor, operator")
    ]
    kinds: Annotated[
        Kinds, Meta(description='kinds that they may have attested; ["*"] stands for all')
    ] = ("*",)


class ApiOidc(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api.oidc]`: the bank's OpenID provider, at which people sign in to the page."""

    issuer: Annotated[str, Meta(description="its issuer identifier, an HTTPS URL")]
    client_id: Annotated[str, Meta(description="name of this gateway there")]
    address: Annotated[
        str,
        Meta(description="the page as people open it; /v1/session/oidc/callback is registered"),
    ]
    secret_credential: Annotated[
        str | None,
        Meta(
            description="file name of our secret there, in $CREDENTIALS_DIRECTORY; none: no secret",
            examples=["oidc-secret"],
        ),
    ] = None
    scope: Annotated[str, Meta(description="what is asked for; openid is part of it")] = (
        "openid profile"
    )
    claim: Annotated[str, Meta(description="claim of the ID token that names the groups")] = (
        "groups"
    )
    ca: Annotated[
        Path | None,
        Meta(
            description="PEM file: CAs of the provider's certificate; none: those of the system",
            examples=["/etc/chopmark/oidc-ca.pem"],
        ),
    ] = None
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="further hosts of the provider, each with a port or at 443"),
    ] = ()
    group: tuple[OidcGroup, ...] = ()

    @property
    def reached(self) -> tuple[tuple[str, int], ...]:
        """Host and port of the issuer and of `hosts`, for a checked configuration."""
        issuer = urlsplit(self.issuer)
        further = (split_end(one, 443) for one in self.hosts)
        return ((issuer.hostname or "", issuer.port or 443), *further)


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api]`: where the HTTP API listens, and who may do what there."""

    socket: Annotated[Path, Meta(description="unix socket for this machine, of mode 0660")] = Path(
        "/run/chopmark/api.sock"
    )
    listen: Annotated[
        str | None,
        Meta(
            description="also listen here: a loopback address and a port",
            examples=["127.0.0.1:8080"],
        ),
    ] = None
    serve_page: Annotated[
        bool,
        Meta(description="whether the page for people is served, at / of `listen` and of TLS"),
    ] = True
    tls: ApiTls | None = None
    page: ApiPage | None = None
    oidc: ApiOidc | None = None
    client: tuple[ApiClient, ...] = ()
    user: tuple[ApiUser, ...] = ()

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """Host and port of `listen`, for a checked configuration."""
        return None if self.listen is None else split_address(self.listen)


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of an address that was checked."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def split_end(end: str, usual: int) -> tuple[str, int]:
    """Host and port of an end that was checked; the port may be left out."""
    host, _, port = end.rpartition(":")
    if not host or not port.isdecimal():
        return end.strip("[]"), usual
    return host.strip("[]"), int(port)

"""What is asked of every request, in front of the routes and of the short way.

1. A role: one table says which route asks for which. A route that is missing there is an
   operator's alone; a test finds it.
2. No query, unless its handler says that it takes one (`TAKES_QUERY`): what nobody reads may be
   what the caller relies on. The short way looks routes up by the whole URL, so none gets there.
3. A body as it is: nothing here unpacks one.
"""

from collections.abc import Awaitable, Mapping
from functools import wraps
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from chopmark.api.identity import CALLER, ROLES, Barred, Caller, Role, require_known
from chopmark.api.limits import ApiLimits
from chopmark.api.models import NoQuery, read_query
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer, Handler
from chopmark.core.errors import ForbiddenError, MalformedError

_Roles = frozenset[Role]
_ISSUER: Final[_Roles] = frozenset({"issuer"})
_VERIFIER: Final[_Roles] = frozenset({"verifier"})
_AUDITOR: Final[_Roles] = frozenset({"auditor"})
_OPERATOR: Final[_Roles] = frozenset({"operator"})
_READERS: Final = _VERIFIER | _AUDITOR

TABLE: Final[Mapping[str, _Roles]] = {
    "/v1/attestations": _ISSUER,
    "/v1/attestations:batch": _ISSUER,
    "/v1/attestations:compact": _ISSUER,
    "/v1/revocations": _ISSUER,
    "/v1/consents": _ISSUER,
    "/v1/uses": _ISSUER,
    "/v1/verifications": _VERIFIER,
    "/v1/verifications:batch": _VERIFIER,
    "/v1/documents/{algorithm}/{digest}": _VERIFIER,
    "/v1/trace": _VERIFIER,
    "/v1/events": _VERIFIER,
    "/v1/entries": _READERS,
    "/v1/ledger": _READERS,
    "/v1/proofs/{member}/{index}": ROLES,
    "/log": _READERS,
    "/v1/audit": _AUDITOR,
    "/v1/audit/proofs/{number}": _AUDITOR,
    "/v1/anchors": ROLES,
    "/v1/evidence": _AUDITOR | _OPERATOR,
    "/v1/evidence/releases": _OPERATOR,
    "/v1/hsm": _OPERATOR,
    "/v1/hsm/pin": _OPERATOR,
    "/v1/hsm/unlatch": _OPERATOR,
    "/v1/hsm/maintenance": _OPERATOR,
    "/v1/keys": _OPERATOR,
    "/v1/keys/generate": _OPERATOR,
    "/v1/keys/activate": _OPERATOR,
    "/v1/keys/retire": _OPERATOR,
    "/v1/keys/destroy": _OPERATOR,
    "/v1/roster/signatures": _OPERATOR,
    "/v1/roster/versions": _OPERATOR,
    "/v1/roster/pin": _OPERATOR,
    "/v1/roster": ROLES,
    "/v1/accounts": _OPERATOR,
    "/v1/accounts/add": _OPERATOR,
    "/v1/accounts/password": _OPERATOR,
    "/v1/accounts/remove": _OPERATOR,
    "/v1/accounts/unlock": _OPERATOR,
    "/v1/sessions": _OPERATOR,
    "/v1/sessions/end": _OPERATOR,
    "/v1/console/records": _OPERATOR,
    "/v1/session": ROLES,
    "/v1/session/password": ROLES,
    "/v1/session/oidc": ROLES,
    "/v1/session/oidc/callback": ROLES,
    "/v1/status": ROLES,
    "/v1/peers": ROLES,
    "/v1/peers/{member}/round-trip": _OPERATOR,
    "/v1/replicas": ROLES,
    "/v1/rates": ROLES,
    "/v1/policy": ROLES,
    "/v1/export": ROLES,
    "/v1/openapi.json": ROLES,
    "/healthz": ROLES,
    "/readyz": ROLES,
    "/add-checkpoint": ROLES,
    "/witness/{origin_hash}/checkpoint": ROLES,
}
"""By path, as Litestar has it; any of the roles will do."""
SIGN_IN: Final = frozenset({"/v1/session", "/v1/session/oidc", "/v1/session/oidc/callback"})
"""Open to everybody at the page's listener: what it takes to sign in."""
OPEN: Final = frozenset(
    {
        "/v1/verifications",
        "/v1/documents/{algorithm}/{digest}",
        "/v1/policy",
        "/v1/roster",
        "/v1/peers",
        "/v1/status",
    }
)
"""Open without signing in to the networks that `[api.page] open_to` names."""
PUBLIC: Final = frozenset({"/", "/page"})
"""Paths for whoever gets at a door, known or not: the files of the page, which hold nothing."""
GRAVE: Final[Mapping[str, str]] = {
    "/v1/roster/pin": "a roster is pinned",
    "/v1/roster/versions": "a version of the roster is taken",
    "/v1/keys/activate": "another key is put to use",
    "/v1/evidence/releases": "a forked log is followed again",
}
"""What changes whom the whole gateway trusts, in words: for callers whom the kernel or a
certificate names, not for whoever has an operator's password or sits at her browser."""
METERED: Final = frozenset(
    {
        "/v1/attestations",
        "/v1/revocations",
        "/v1/consents",
        "/v1/uses",
        "/v1/trace",
        "/v1/verifications",
        "/v1/documents/{algorithm}/{digest}",
    }
)
"""Paths of which each request is one document of the client's rate; streams pace themselves."""
TAKES_QUERY: Final = {"takes_query": True}
"""What a handler that reads the query of its URL has as `opt`."""


def admit(path: str) -> None:
    """Let the caller do what the route at `path` does, or say why not.

    Raises:
        ForbiddenError: what bars the caller (`no-client-certificate`, `sign-in-needed` …), or
            `role-missing`, `not-by-session`, `caller-unknown`.
        TryAgainError: `rate-limited`.
    """
    if path in PUBLIC:
        return
    caller = CALLER.get()
    if caller.barred is not None:
        _admit_barred(caller, caller.barred, path)
        return
    needed = TABLE.get(path, _OPERATOR)
    if needed.isdisjoint(caller.roles):
        if path not in caller.open:
            raise _role_missing(caller, needed)
        if caller.open_bucket is not None:
            caller.open_bucket.take()
        return
    if path in GRAVE:
        _admit_named(caller, GRAVE[path])
    if caller.bucket is not None and path in METERED:
        caller.bucket.take()


def _admit_barred(caller: Caller, barred: Barred, path: str) -> None:
    """Let one in who may do nothing but what is open; nobody knows who it is, so all is counted."""
    if path not in caller.open:
        raise ForbiddenError(barred.code, barred.message, hint=barred.hint)
    if caller.bucket is not None and path not in SIGN_IN:
        caller.bucket.take()


def _admit_named(caller: Caller, what: str) -> None:
    """Refuse sessions of people, and the loopback port, whose users nobody knows."""
    if caller.door == "page":
        message = f"{what} by the unix socket or with a client certificate, not by signing in"
        hint = "use `chopmark` on the gateway's machine, or a client certificate at [api.tls]"
        raise ForbiddenError("not-by-session", message, hint=hint)
    require_known(what)


def check_kind(kind: str) -> None:
    """Refuse a kind of document that the caller may not have attested.

    Raises:
        ForbiddenError: `kind-not-granted`.
    """
    caller = CALLER.get()
    if not caller.may_issue(kind):
        granted = ", ".join(sorted(caller.kinds))
        message = f"{caller.client} may not have documents of the kind {kind[:40]!r} attested"
        hint = f"it may: {granted}; an operator gives kinds {caller.where}"
        raise ForbiddenError("kind-not-granted", message, hint=hint)


def check_salt(caller: Caller, index: int, kind: str, client: str | None) -> None:
    """Refuse the salt of an attestation to all but the client that had it attested, and operators.

    Args:
        caller: who asks.
        index: of the attestation.
        kind: of its document.
        client: that had it attested; None if that is not known.

    Raises:
        ForbiddenError: `salt-not-yours`.
    """
    theirs = "issuer" in caller.roles and caller.may_issue(kind) and caller.client == client
    if not theirs and "operator" not in caller.roles:
        message = f"the salt of entry {index} is for the client that had it attested, not for you"
        hint = "give ?bare=true for the proof without it, which says nothing about any document"
        raise ForbiddenError("salt-not-yours", message, hint=hint)


def admitted(path: str, handle: Handler) -> Handler:
    """A handler of the short way, with the check before it."""

    @wraps(handle)
    def check(body: bytes, gateway: Gateway, limits: ApiLimits) -> Awaitable[Answer]:
        admit(path)
        return handle(body, gateway, limits)

    return check


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The checks before every handler of the long way, for Litestar.

    Raises:
        MalformedError: `malformed-request` naming the parameter, `unknown-encoding`.
        ChopmarkError: what `admit` raises.
    """
    scope = connection.scope
    # What is mounted has no template: its path stands in the handler.
    admit(scope["path_template"] or min(handler.paths))
    if scope["query_string"] and not handler.opt.get("takes_query"):
        read_query(scope["query_string"], NoQuery)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            message = "the body has a Content-Encoding, and none is undone here"
            raise MalformedError("unknown-encoding", message, hint="send it as it is")


def _role_missing(caller: Caller, needed: _Roles) -> ForbiddenError:
    words = " or ".join(sorted(needed))
    if caller.door == "loopback":
        message = f"nobody knows who asks on the loopback port: this is for the role {words}"
        hint = "use the unix socket (--gateway unix:PATH), or HTTPS with a certificate"
        return ForbiddenError("role-missing", message, hint=hint)
    message = f"{caller.client} may not do this: it lacks the role {words}"
    hint = f"an operator gives roles {caller.where}"
    return ForbiddenError("role-missing", message, hint=hint)

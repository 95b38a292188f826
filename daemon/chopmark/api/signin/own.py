"""Routes about one's own session: who am I, sign in, sign out, another password, OpenID Connect.

They are open to everybody at the page's listener. At the other doors `GET /v1/session` says who
asks, and nobody signs in: who comes there is known, or is nobody.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Literal, TypeVar

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.identity import CALLER, Caller, Role
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer, post_json, read_in_time, send_answer
from chopmark.api.problems import explain, is_fault, tell
from chopmark.api.refusals import SERVER_LOG
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.signin.cookies import (
    DEVICE,
    PENDING,
    SESSION,
    drop_cookie,
    make_cookie,
    read_cookie,
)
from chopmark.api.signin.desk import Desk, Entered
from chopmark.api.signin.sessions import Session, make_token
from chopmark.api.signin.visits import OPENED, VISIT, Visit
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError

_REFUSALS: Final = logging.getLogger(SERVER_LOG)
"""Tells of each kind once a minute."""
Read = TypeVar("Read", bound=msgspec.Struct)
By = Literal["password", "oidc", "certificate", "socket", "loopback", "network"]
_BY: Final[dict[str, By]] = {"tls": "certificate", "unix": "socket", "loopback": "loopback"}
_NETWORK: Final[By] = "network"
_KEPT: Final = 180 * 86_400
"""Seconds that a browser is known again."""
_PENDING: Final = 600
"""Seconds that somebody may take at the OpenID provider."""
_MAX_QUERY: Final = 8192


class SessionOut(msgspec.Struct):
    """Who asks, and what that one may do (docs/api.md)."""

    signed_in: bool
    client: str | None
    name: str | None
    by: By | None
    roles: list[Role]
    kinds: list[str]
    csrf: str | None
    idle_seconds: int | None
    left_seconds: int | None
    methods: list[Literal["password", "oidc"]]
    reason: str | None


class CredentialsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name and password: of who signs in, or of an account that gets it; nothing shows that."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"CredentialsBody({self.name!r}, password=***)"


class PasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One's password, and the one to come; nothing shows them."""

    old: str
    new: str

    def __repr__(self) -> str:
        return "PasswordBody(***)"


def make_session_routes(desk: Desk, gateway: Gateway, limits: ApiLimits) -> list[ASGIRouteHandler]:
    """The routes in front of a desk."""

    @asgi("/v1/session", copy_scope=False)
    async def session(scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        if method == "GET":
            await send_answer(send, Answer(200, _describe(desk)))
        elif method == "POST":
            _check_type(scope)
            body = await read_in_time(scope, receive, limits)
            if body is not None:
                await send_answer(send, await _sign_in(desk, scope, body))
        elif method == "DELETE":
            desk.leave(_visit())
            gone = Answer(200, _describe(desk, gone=True), headers=(drop_cookie(SESSION),))
            await send_answer(send, gone)
        else:
            raise MethodNotAllowedException(headers={"allow": "GET, POST, DELETE"})

    async def change(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        asked = read_secret(body, PasswordBody)
        entered = await desk.change_password(_visit(), asked.old, asked.new)
        cookie = make_cookie(SESSION, entered.token)
        return Answer(200, _describe(desk, entered), headers=(cookie,))

    @asgi("/v1/session/oidc", copy_scope=False)
    async def start(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        await _follow(scope, send, lambda: _start(desk))

    @asgi("/v1/session/oidc/callback", copy_scope=False, opt=TAKES_QUERY)
    async def callback(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        await _follow(scope, send, lambda: _finish(desk, scope))

    return [session, post_json("/v1/session/password", change, gateway, limits), start, callback]


def read_secret(body: bytes, type_: type[Read]) -> Read:
    """A body with a password in it. What is wrong with another is told without quoting it.

    Raises:
        MalformedError: `malformed-request`.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    fields = ", ".join(type_.__struct_fields__)
    raise MalformedError("malformed-request", f"the body is not JSON with the fields {fields}")


def _describe(desk: Desk, entered: Entered | None = None, *, gone: bool = False) -> SessionOut:
    visit, caller = VISIT.get(), CALLER.get()
    methods = _methods(desk) if visit is not None else []
    if entered is not None:
        return _describe_session(desk, entered.session, entered.token, methods)
    if gone or (visit is not None and visit.session is None):
        return _describe_guest(caller, methods, gone=gone)
    if visit is not None and visit.session is not None:
        return _describe_session(desk, visit.session, visit.token, methods, opened=caller.open)
    roles, kinds = sorted(caller.roles), sorted(caller.kinds)
    who = (True, caller.client, caller.client, _BY.get(caller.door))
    return SessionOut(*who, roles, kinds, None, None, None, methods, None)


def _describe_session(
    desk: Desk,
    session: Session,
    token: str,
    methods: list[Literal["password", "oidc"]],
    *,
    opened: Collection[str] = (),
) -> SessionOut:
    """Who it is; where verifying is open to the network, that is among what they may do."""
    caller, sessions = session.caller, desk.sessions
    roles = caller.roles | ({OPENED} if opened else set())
    return SessionOut(
        signed_in=True,
        client=caller.client,
        name=session.name,
        by=session.by,
        roles=sorted(roles),
        kinds=sorted(caller.kinds),
        csrf=make_token(token),
        idle_seconds=int(sessions.idle),
        left_seconds=sessions.left(session),
        methods=methods,
        reason=None,
    )


def _describe_guest(
    caller: Caller, methods: list[Literal["password", "oidc"]], *, gone: bool
) -> SessionOut:
    """Of an open network, or a stranger; whoever has just signed out asks again for that."""
    known = bool(caller.roles) and not gone
    client, by = (caller.client if known else None), _NETWORK if known else None
    reason = caller.barred.code if caller.barred is not None else "session-ended"
    roles = sorted(caller.roles) if known else []
    return SessionOut(
        signed_in=False,
        client=client,
        name=None,
        by=by,
        roles=roles,
        kinds=[],
        csrf=None,
        idle_seconds=None,
        left_seconds=None,
        methods=methods,
        reason=reason,
    )


def _methods(desk: Desk) -> list[Literal["password", "oidc"]]:
    """How one may sign in here."""
    return ["password"] if desk.provider is None else ["password", "oidc"]


def _visit() -> Visit:
    visit = VISIT.get()
    if visit is None:
        hint = "the address of [api.page] is for that"
        message = "nobody signs in at this door: it knows who asks, or nobody does"
        raise RefusedError("no-sign-in-here", message, hint=hint)
    return visit


async def _sign_in(desk: Desk, scope: Scope, body: bytes) -> Answer:
    visit, asked = _visit(), read_secret(body, CredentialsBody)
    device = read_cookie(scope["headers"], DEVICE)
    entered = await desk.enter(asked.name, asked.password, visit, device)
    cookies = [make_cookie(SESSION, entered.token)]
    if entered.device is not None:
        cookies.append(make_cookie(DEVICE, entered.device, seconds=_KEPT))
    return Answer(201, _describe(desk, entered), headers=tuple(cookies))


def _check_type(scope: Scope) -> None:
    """Demand JSON: a form of another origin cannot send it without asking (Fetch, CORS)."""
    found = [value for name, value in scope["headers"] if name == b"content-type"]
    if len(found) != 1 or found[0].partition(b";")[0].strip().lower() != b"application/json":
        raise MalformedError("malformed-request", "content-type is not application/json")


async def _start(desk: Desk) -> Answer:
    _visit()
    where, pending = await desk.start_oidc()
    cookie = make_cookie(PENDING, pending, seconds=_PENDING, lax=True)
    return _go_to(where, cookie)


async def _finish(desk: Desk, scope: Scope) -> Answer:
    visit, pending = _visit(), read_cookie(scope["headers"], PENDING)
    query = scope["query_string"]
    if len(query) > _MAX_QUERY:
        raise MalformedError("malformed-request", "the provider's answer is too long")
    entered = await desk.enter_known(query.decode("latin-1"), pending, visit)
    cookies = (make_cookie(SESSION, entered.token), drop_cookie(PENDING))
    return _go_to("/", *cookies)


async def _follow(scope: Scope, send: Send, work: Callable[[], Awaitable[Answer]]) -> None:
    """A step that a browser takes as a whole page: what goes wrong is told by ours."""
    if scope.get("method") != "GET":
        raise MethodNotAllowedException(headers={"allow": "GET"})
    _visit()
    try:
        answer = await work()
    except ChopmarkError as error:
        problem = explain(error)
        tell(problem)
        if is_fault(error):  # each stranger can have us ask a provider that is away
            _REFUSALS.warning("signing in by OpenID Connect failed: %s", error)
        answer = _go_to(f"/#/signin/{problem.code}", drop_cookie(PENDING))
    await send_answer(send, answer)


def _go_to(where: str, *cookies: tuple[bytes, bytes]) -> Answer:
    return Answer(303, b"", where, b"text/plain; charset=utf-8", cookies)

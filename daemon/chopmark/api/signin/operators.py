"""Routes for operators: accounts, on the unix socket only, and the sessions of everybody.

Who has an account, and who is signed in from where, the loopback port tells nobody.
"""

import msgspec
from litestar import get
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler

from chopmark.api.identity import Role, require_known, require_unix
from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer, post_json
from chopmark.api.signin.desk import Desk
from chopmark.api.signin.own import CredentialsBody, read_secret


class AccountBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new account; nothing shows the password."""

    name: str
    password: str
    roles: list[Role]
    kinds: list[str] = msgspec.field(default_factory=lambda: ["*"])

    def __repr__(self) -> str:
        return f"AccountBody({self.name!r}, password=***)"


class NameBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which account; to unlock, also which address."""

    name: str


class ClientBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose sessions."""

    client: str


class AccountOut(msgspec.Struct):
    """An account (docs/api.md)."""

    name: str
    roles: list[Role]
    kinds: list[str]
    changed: str
    sessions: int
    locked_seconds: int


class SessionOfOut(msgspec.Struct):
    """Somebody's session (docs/api.md)."""

    client: str
    name: str
    by: str
    address: str
    age_seconds: int
    idle_seconds: int


class UnlockedOut(msgspec.Struct):
    """Whether there was a wait."""

    was_locked: bool


class EndedOut(msgspec.Struct):
    """How many sessions have ended."""

    ended: int


def make_account_routes(
    desk: Desk, gateway: Gateway, limits: ApiLimits
) -> list[ASGIRouteHandler | HTTPRouteHandler]:
    """The routes in front of a desk."""

    @get("/v1/accounts")
    async def read_accounts() -> list[AccountOut]:
        require_known("accounts are shown")
        return msgspec.convert(desk.list_accounts(), list[AccountOut])

    @get("/v1/sessions")
    async def read_sessions() -> list[SessionOfOut]:
        require_known("sessions are shown")
        return msgspec.convert(desk.list_sessions(), list[SessionOfOut])

    async def add(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_unix("an account is made")
        asked = read_secret(body, AccountBody)
        await desk.add_account(asked.name, asked.roles, asked.kinds, asked.password)
        return Answer(201, desk.list_accounts())

    async def give(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_unix("a password is given")
        asked = read_secret(body, CredentialsBody)
        await desk.set_password(asked.name, asked.password)
        return Answer(200, desk.list_accounts())

    async def remove(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_unix("an account is removed")
        await desk.remove_account(read_body(body, NameBody).name)
        return Answer(200, desk.list_accounts())

    async def unlock(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_unix("an account is unlocked")
        return Answer(200, UnlockedOut(await desk.unlock(read_body(body, NameBody).name)))

    async def end(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_known("sessions are ended")
        return Answer(200, EndedOut(desk.end_sessions(read_body(body, ClientBody).client)))

    posts = {
        "/v1/accounts/add": add,
        "/v1/accounts/password": give,
        "/v1/accounts/remove": remove,
        "/v1/accounts/unlock": unlock,
        "/v1/sessions/end": end,
    }
    made = [post_json(path, handle, gateway, limits) for path, handle in posts.items()]
    return [read_accounts, read_sessions, *made]

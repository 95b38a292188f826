"""The page's listener for tests: real TLS and HTTP, in front of the fake gateway.

Passwords are hashed by few passes over little memory, and the clock of sessions is the test's.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from chopmark.api.app import create_app
from chopmark.api.certificates import TlsFiles
from chopmark.api.limits import ApiLimits
from chopmark.api.server import serve
from chopmark.api.signin.accounts import Accounts
from chopmark.api.signin.cookies import SESSION
from chopmark.api.signin.desk import Desk, Provider
from chopmark.api.signin.lockout import Lockouts
from chopmark.api.signin.page_door import PageDoor
from chopmark.api.signin.passwords import Cost, Hasher
from chopmark.api.signin.routes import make_signin_routes
from chopmark.api.signin.sessions import Sessions
from chopmark.api.signin.visits import Strangers, Visitors
from chopmark.api.trust import Trust
from chopmark.service.accounts import AccountFile
from fakegateway import FakeGateway
from rig.authority import Authority
from rig.patience import PATIENCE

PASSWORD = "correct horse battery"
CHEAP = Cost(passes=1, memory=64)


@dataclass
class Noted:
    """An audit log in memory."""

    records: list[tuple[str, str, str]] = field(default_factory=list)

    def note(
        self, action: str, *, actor: str = "gateway", outcome: str = "done", **about: str | int
    ) -> None:
        assert "password" not in about
        self.records.append((action, actor, outcome))
        self.about = about

    async def settle(self) -> None:
        pass


@dataclass
class Page:
    """A desk, and the server in front of it."""

    folder: Path
    networks: tuple[str, ...] = ()
    rate: int = 50
    provider: Provider | None = None
    gateway: FakeGateway = field(default_factory=FakeGateway)
    now: float = 1000.0
    port: int = 0

    def __post_init__(self) -> None:
        self.noted = Noted()
        self.authority = Authority(self.folder)
        pair = self.authority.issue("gateway")
        self.trust = Trust(TlsFiles(pair.certificate, pair.key, section="[api.page]"))
        self.sessions = Sessions(900, 36_000, self.clock)
        store = AccountFile(self.folder / "accounts.json")
        accounts = Accounts(store, lambda: "2026-11-22T13:00:00.000Z")
        lockouts = Lockouts(self.clock)
        self.desk = Desk(accounts, self.sessions, Hasher(CHEAP), lockouts, self.provider)
        self.desk.audit = self.noted

    def clock(self) -> float:
        return self.now

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Page"]:
        limits, ready = ApiLimits(grace=1), asyncio.get_running_loop().create_future()
        app = create_app(self.gateway, limits, make_signin_routes(self.desk, self.gateway))
        door = PageDoor(app, Visitors(self.sessions, self.networks, self.rate))
        serving = serve(
            *(door, None, ("127.0.0.1", 0)),
            limits=limits,
            ready=ready.set_result,
            callers=Strangers(),
            trust=self.trust,
        )
        task = asyncio.create_task(serving)
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        self.port = int(ready.result()[0].rpartition(":")[2])
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def browser(self) -> httpx.AsyncClient:
        """A client that keeps cookies, and says where it comes from, as browsers do."""
        context = ssl.create_default_context(cafile=self.authority.path)
        headers = {"origin": self.origin}
        return httpx.AsyncClient(
            verify=context, base_url=self.origin, headers=headers, trust_env=False, timeout=PATIENCE
        )

    async def add(self, name: str, *roles: Any, password: str = PASSWORD) -> None:
        await self.desk.add_account(name, roles or ("verifier",), ("*",), password)

    async def sign_in(
        self, client: httpx.AsyncClient, name: str, password: str = PASSWORD
    ) -> httpx.Response:
        answer = await client.post("/v1/session", json={"name": name, "password": password})
        if answer.status_code == 201:
            client.headers["x-chopmark-csrf"] = answer.json()["csrf"]
        return answer


def session_id(client: httpx.AsyncClient) -> str:
    return client.cookies[SESSION]


async def connect(page: Page) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=page.authority.path)
    return await asyncio.open_connection("localhost", page.port, ssl=context)

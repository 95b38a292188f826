"""Where people sign in, and operators look after accounts and sessions; each act is noted.

The audit log gets: `session.began`, `session.refused`, `session.ended`; `account.added`,
`account.removed`, `account.password`, `account.unlocked`. A name that is no account's is in none of
them: it may be a password that was typed into the wrong field. Of one machine's refusals some are
noted in a minute, so that it cannot hide others' among its own; all are counted by their codes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from chopmark.api.identity import CALLER, Caller, Role
from chopmark.api.signin.accounts import Account, Accounts
from chopmark.api.signin.lockout import PLACES, Key, Lockouts, whose
from chopmark.api.signin.passwords import Hasher, check_password
from chopmark.api.signin.sessions import Session, Sessions, Why
from chopmark.api.signin.visits import Visit, address_group
from chopmark.core.errors import ChopmarkError, ForbiddenError, RefusedError, TryAgainError
from chopmark.core.ports import AuditSink, NoAudit

_log = logging.getLogger(__name__)
_LONGEST: Final = 64
"""Characters of a name that are told apart from others."""
SWEEP: Final = 10.0
"""Seconds between two looks for sessions that are due."""
NOTED: Final = 10
"""Refusals of one machine that are noted in a minute."""
_MINUTE: Final = 60


class Entered(NamedTuple):
    """Who has signed in: the session, its id, and what the browser keeps beyond it, if anything."""

    session: Session
    token: str
    device: str | None = None


class Known(NamedTuple):
    """Whom the OpenID provider vouches for, and what that one may do."""

    subject: str
    name: str
    roles: frozenset[Role]
    kinds: frozenset[str]


class Provider(Protocol):
    """An OpenID provider."""

    async def start(self) -> tuple[str, str]:
        """Where to send a browser, and what it must bring back in a cookie."""
        ...

    async def finish(self, query: str, pending: str | None, begin: Callable[[], None]) -> Known:
        """Who has come back from there.

        Args:
            query: of the address that the browser was sent to.
            pending: its cookie.
            begin: called before the provider is asked anything about this; may raise.

        Raises:
            ForbiddenError: `oidc-refused`, `no-role-here`.
            ChopmarkError: `oidc-unreachable`, `overloaded`.
        """
        ...


@dataclass(slots=True)
class Desk:
    """Everything about signing in; one for the daemon's life.

    Attributes:
        provider: the OpenID provider, where there is one.
        audit: where it is noted.
    """

    accounts: Accounts
    sessions: Sessions
    hasher: Hasher = field(default_factory=Hasher)
    lockouts: Lockouts = field(default_factory=Lockouts)
    provider: Provider | None = None
    audit: AuditSink = field(default_factory=NoAudit)
    _refused: Counter[str] = field(default_factory=Counter)
    _minute: int = 0

    def __post_init__(self) -> None:
        self.sessions.on_end = self._note_end

    async def watch(self) -> None:
        """End sessions that are due, for ever."""
        while True:
            await asyncio.sleep(SWEEP)
            self.sessions.sweep()

    async def enter(
        self, name: str, password: str, visit: Visit, device: str | None = None
    ) -> Entered:
        """Sign somebody in by name and password; `device` is what the browser shows of before.

        Raises:
            ForbiddenError: `wrong-credentials`.
            TryAgainError: `locked-out`, `overloaded`.
        """
        account = self.accounts.find(name)
        try:
            proved = await self._prove(account, password, self._keys(name, visit.address, device))
            await self._renew(proved, password)
            entered = self._begin(self._caller(proved), name, "password", visit)
        except ChopmarkError as error:
            actor = f"user {name}" if account else f"address {visit.address}"
            self._refuse(actor, error, visit.address, "password")
            raise
        known = self.accounts.read_device(name, device)
        return entered._replace(device=None if known else self.accounts.make_device(name, device))

    async def enter_known(self, query: str, pending: str | None, visit: Visit) -> Entered:
        """Sign somebody in whom the OpenID provider has sent back; raises as `Provider.finish`."""
        try:
            known = await self._ask_provider(query, pending, visit.address)
            caller = Caller(
                f"oidc {known.subject}", known.roles, known.kinds, machine=False, door="page"
            )
            return self._begin(caller, known.name, "oidc", visit)
        except ChopmarkError as error:
            self._refuse(f"address {visit.address}", error, visit.address, "oidc")
            raise

    async def _ask_provider(self, query: str, pending: str | None, address: str) -> Known:
        """As `Provider.finish`; who is refused there again and again must wait."""
        keys, asked = [("oidc", address_group(address))], []

        def begin() -> None:
            self.lockouts.begin(keys)
            asked.extend(keys)

        try:
            known = await self._provider().finish(query, pending, begin)
        except ChopmarkError as error:
            if error.code != "oidc-refused":
                self.lockouts.take_back(asked, forgive=False)
            raise
        self.lockouts.take_back(asked, forgive=False)
        return known

    async def start_oidc(self) -> tuple[str, str]:
        """Where to send a browser, and its cookie (`no-oidc`, `oidc-unreachable`)."""
        return await self._provider().start()

    def leave(self, visit: Visit) -> None:
        """Sign somebody out; harmless where nobody is signed in."""
        if visit.session is not None:
            self.sessions.end(visit.session, "signed-out")

    async def change_password(self, visit: Visit, old: str, new: str) -> Entered:
        """Give oneself another password; one goes on with a new session, and all others end.

        Whoever has taken the id of the old one has it no more.
        Tries are counted for the session: who guesses elsewhere keeps nobody from this.

        Raises:
            RefusedError: `no-password`: one has signed in otherwise.
            ForbiddenError: `wrong-credentials`.
            RefusedError: `weak-password`.
            TryAgainError: `locked-out`, `overloaded`.
        """
        session = visit.session
        if session is None or session.by != "password":
            raise RefusedError("no-password", "you have not signed in by a password here")
        check_password(new, session.name)
        name, keys = session.name, [("device", f"{session.name}@{session.key.hex()}")]
        try:
            account = await self._prove(self.accounts.find(name), old, keys)
            hashed = await self.hasher.make(new)
            if session.ended or not await self.accounts.swap_hash(account, hashed):
                raise _wrong()
        except ChopmarkError as error:
            self._refuse(f"user {name}", error, visit.address, "password")
            raise
        await self._tell_password(name)
        return self._begin(session.caller, name, "password", visit)

    def list_accounts(self) -> list[dict[str, Any]]:
        """All accounts, with how long each must wait for its next try, if it must."""
        waits: dict[str, int] = {}
        for key, seconds in self.lockouts.waiting().items():
            waits[whose(key)] = max(seconds, waits.get(whose(key), 0))
        return [
            {
                "name": one.name,
                "roles": list(one.roles),
                "kinds": list(one.kinds),
                "changed": one.changed,
                "sessions": len([s for s in self.sessions if s.caller.client == _client(one.name)]),
                "locked_seconds": waits.get(one.name, 0),
            }
            for one in self.accounts.list()
        ]

    def list_sessions(self) -> list[dict[str, Any]]:
        """All sessions, the oldest first."""
        now = self.sessions.clock()
        return [
            {
                "client": one.caller.client,
                "name": one.name,
                "by": one.by,
                "address": one.address,
                "age_seconds": int(now - one.began),
                "idle_seconds": int(now - one.seen),
            }
            for one in self.sessions
        ]

    async def add_account(
        self, name: str, roles: Sequence[Role], kinds: Sequence[str], password: str
    ) -> None:
        """Make an account (`bad-account`, `weak-password`, `account-exists`)."""
        about = {"name": name, "roles": " ".join(sorted(roles))}
        with_roles = (tuple(roles), tuple(kinds))
        try:
            self.accounts.check_new(name, *with_roles)
            check_password(password, name)
            await self.accounts.add(name, *with_roles, await self.hasher.make(password))
        except ChopmarkError as error:
            self._note("account.added", error.code, **about)
            raise
        await self._noted("account.added", **about)

    async def set_password(self, name: str, password: str) -> None:
        """Give an account another password; its sessions end."""
        self.accounts.get(name)
        check_password(password, name)
        await self.accounts.set_hash(name, await self.hasher.make(password))
        await self._tell_password(name)

    async def remove_account(self, name: str) -> None:
        """Take an account away; its sessions end (`no-such-account`)."""
        await self.accounts.remove(name)
        self.sessions.end_of(_client(name), "account")
        self.lockouts.forget(name)
        await self._noted("account.removed", name=name)

    async def unlock(self, name: str) -> bool:
        """Let an account, or an address, be tried again; whether it had to wait."""
        waited = self.lockouts.forget(name)
        await self._noted("account.unlocked", name=name)
        return waited

    def end_sessions(self, client: str) -> int:
        """End all sessions of a client; gives how many there were."""
        return self.sessions.end_of(client, "operator")

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        waiting = self.lockouts.waiting()
        if not waiting:
            return []
        # Guests see alarms: no name may be here, nor whether it is an account's.
        names = {whose(key) for key in waiting if key[0] not in PLACES}
        told = [f"{len(names)} name{'s' if len(names) > 1 else ''}"] if names else []
        told += sorted({whose(key) for key in waiting if key[0] in PLACES})[:5]
        message = f"wrong passwords at the page: no tries for a while for {', '.join(told)}"
        hint = "`chopmark account list` shows whose; `chopmark account unlock` ends the wait"
        return [{"code": "sign-in-locked", "message": message, "hint": hint}]

    async def _prove(self, account: Account | None, password: str, keys: list[Key]) -> Account:
        """The account, if this is its password."""
        self.lockouts.begin(keys)
        try:
            hashed, stranger = account.hash if account else None, keys[0][0] != "device"
            good = await self.hasher.check(hashed, password, stranger=stranger)
        except TryAgainError:
            self.lockouts.take_back(keys, forgive=False)
            raise
        # It may have been given another password, or have been removed, while this one was hashed.
        if not good or account is None or self.accounts.find(account.name) != account:
            raise _wrong()
        self.lockouts.take_back(keys, forgive=True)
        return account

    async def _renew(self, account: Account, password: str) -> None:
        """Hash a password that was proved by the parameters of today."""
        if self.hasher.is_outdated(account.hash):
            hashed = await self.hasher.make(password)
            if not await self.accounts.swap_hash(account, hashed, same=True):
                raise _wrong()

    def _keys(self, name: str, address: str, device: str | None) -> list[Key]:
        """What a try is counted for."""
        known = self.accounts.read_device(name, device)
        if known is not None:
            return [("device", f"{name}@{known}")]
        # What follows an @ is a browser; no account has such a name.
        plain = name.replace("@", "?")[:_LONGEST]
        return [("name", plain), ("address", address_group(address))]

    def _caller(self, account: Account) -> Caller:
        roles, kinds = frozenset(account.roles), frozenset(account.kinds)
        return Caller(_client(account.name), roles, kinds, machine=False, door="page")

    def _begin(self, caller: Caller, name: str, by: Any, visit: Visit) -> Entered:
        token, session = self.sessions.begin(caller, name, by, visit.address)
        if visit.session is not None:  # whoever signs in anew goes on with that alone
            self.sessions.end(visit.session, "renewed")
        self.audit.note("session.began", actor=caller.client, address=visit.address, by=by)
        _log.info("%s has signed in from %s", caller.client, visit.address)
        return Entered(session, token)

    def _refuse(self, actor: str, error: ChopmarkError, address: str, by: str) -> None:
        minute, machine = int(self.sessions.clock() // _MINUTE), address_group(address)
        if minute != self._minute:
            self._minute, self._refused = minute, Counter()
        self._refused[machine] += 1
        if self._refused[machine] <= NOTED:
            about = {"outcome": error.code, "address": address, "by": by}
            self.audit.note("session.refused", actor=actor, **about)

    def _note_end(self, session: Session, why: Why) -> None:
        client = session.caller.client
        about = {"operator": CALLER.get().client} if why == "operator" else {}
        self.audit.note("session.ended", actor=client, address=session.address, why=why, **about)
        _log.info("the session of %s from %s has ended: %s", client, session.address, why)

    async def _tell_password(self, name: str) -> None:
        """Let all hear that an account has another password."""
        self.sessions.end_of(_client(name), "account")
        self.lockouts.forget(name)
        await self._noted("account.password", name=name)

    async def _noted(self, action: str, **about: str) -> None:
        self._note(action, "done", **about)
        await self.audit.settle()

    def _note(self, action: str, outcome: str, **about: str) -> None:
        self.audit.note(action, actor=CALLER.get().client or "unknown", outcome=outcome, **about)

    def _provider(self) -> Provider:
        if self.provider is None:
            raise RefusedError("no-oidc", "there is no OpenID provider to sign in at")
        return self.provider


def _wrong() -> ForbiddenError:
    hint = "an operator gives you another password: `chopmark account password`"
    return ForbiddenError("wrong-credentials", "name and password do not go together", hint=hint)


def _client(name: str) -> str:
    return f"user {name}"
